"""A WSGI application under uWSGI with gevent:  python -m tests.support.uwsgi_server MODULE:NAME PORT [OPTION...]"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

HOST = "127.0.0.1"
AS_DOCUMENTED = ("--gevent", "100", "--gevent-monkey-patch", "--master", "--die-on-term")


def main(path: str, port: str, *options: str) -> None:
    """Become uWSGI: the program of this environment, else the one that is installed."""
    program = shutil.which("uwsgi", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if program is None:
        raise SystemExit("uWSGI is not installed: pip install pyuwsgi")
    os.execv(program, [program, "--http-socket", f"{HOST}:{port}", *AS_DOCUMENTED, *options, "--module", path])


if __name__ == "__main__":
    main(*sys.argv[1:])
