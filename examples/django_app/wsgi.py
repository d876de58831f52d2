"""What a WSGI server serves: roomcast in front, Django behind it.

gunicorn --workers 1 --threads 20 examples.django_app.wsgi:app
"""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

import roomcast

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "examples.django_app.settings")
site = get_wsgi_application()

# Only now: models can be imported when Django is set up.
from examples.django_app.live import sio  # noqa: E402

app = roomcast.WSGIApp(sio, site)
