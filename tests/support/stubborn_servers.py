"""Servers of a few lines that say what they are told to say, in a thread, to see what clients make of it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def answering(*scripts: bytes, close: bool = False) -> Iterator[int]:
    """The port of a server that sends ``scripts[0]`` to the first who connects and has written something,
    ``scripts[1]`` to the second, and the last one to all others. Then it says nothing more, or with ``close`` ends the
    connection.
    """
    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for number in range(1_000):
                try:
                    client, _ = server.accept()
                except OSError:
                    return  # closed: the test is over
                client.recv(65_536)
                client.sendall(scripts[min(number, len(scripts) - 1)])
                if close:
                    client.shutdown(socket.SHUT_WR)
                kept.append(client)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)  # wakes accept()
            thread.join()
            for client in kept:
                client.close()
