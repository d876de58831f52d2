"""nginx and HAProxy as child processes, with a configuration that a test wrote: set up right, or wrongly on purpose."""

from __future__ import annotations

import contextlib
import socket

from tests.support.programs import program
from tests.support.services import Process, free_port, wait_for


class Proxy(Process):
    """``configuration`` is the whole file, in which ``PORT`` and ``FOLDER`` stand for this proxy's own."""

    def __init__(self, configuration: str) -> None:
        super().__init__()
        self.port = free_port()
        self._configuration = configuration

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Accepting connections when this returns."""
        text = self._configuration.replace("PORT", str(self.port)).replace("FOLDER", str(self.folder))
        file = self.folder / "proxy.conf"
        file.write_text(text)
        self.spawn(*self.command(str(file)))
        wait_for(self._accepts, lambda: f"{type(self).__name__} does not listen\n{self.log()}")

    def command(self, file: str) -> list[str]:
        raise NotImplementedError

    def _accepts(self) -> bool:
        if not self.running:
            raise AssertionError(f"{type(self).__name__} ended at once\n{self.log()}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False


class Nginx(Proxy):
    """``server`` is what stands in its only server, ``around`` what stands beside it in ``http``.

    One process: a worker would outlive a master that is killed.
    """

    def __init__(self, server: str, around: str = "") -> None:
        super().__init__(
            f"""
            daemon off;
            master_process off;
            pid FOLDER/nginx.pid;
            error_log stderr;
            events {{ worker_connections 1024; }}
            http {{
                access_log off;
                client_body_temp_path FOLDER/body;
                proxy_temp_path FOLDER/proxy;
                fastcgi_temp_path FOLDER/fastcgi;
                uwsgi_temp_path FOLDER/uwsgi;
                scgi_temp_path FOLDER/scgi;
                {around}
                server {{
                    listen 127.0.0.1:PORT;
                    {server}
                }}
            }}
            """
        )

    def command(self, file: str) -> list[str]:
        path = program("nginx", "/usr/sbin/nginx", install="apt install nginx-light")
        return [path, "-e", "stderr", "-c", file, "-p", str(self.folder)]


class Haproxy(Proxy):
    """``frontend`` and ``backend`` are what stands in these, behind the address to listen on."""

    def __init__(self, frontend: str, backend: str) -> None:
        super().__init__(
            f"""
global
    maxconn 1000
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
frontend public
    bind 127.0.0.1:PORT
    default_backend nodes
    {frontend}
backend nodes
    {backend}
"""
        )

    def command(self, file: str) -> list[str]:
        path = program("haproxy", "/usr/sbin/haproxy", install="apt install haproxy")
        return [path, "-db", "-f", file]
