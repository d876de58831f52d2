"""The same application the other way round: FastAPI in front, roomcast mounted in it.

``roomcast run examples.fastapi_app.mounted:app``. Use this where FastAPI must stay the outermost application. The path
of the mount is all there is to configure: with ``socketio_path=None`` everything below it is Socket.IO.
"""

from __future__ import annotations

import roomcast
from examples.fastapi_app.app import api as app
from examples.fastapi_app.app import sio

app.mount("/socket.io", roomcast.ASGIApp(sio, socketio_path=None))
