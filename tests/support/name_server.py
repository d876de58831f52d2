"""A name server for one name, as Docker's own: it has the address of every container of a service.

with NameServer("node", ["127.1.2.3", "127.1.2.4"]) as names:
    ...  # asks 127.0.0.1:names.port over UDP
"""

from __future__ import annotations

import socket
import struct
import threading
from ipaddress import IPv4Address
from typing import Final, Self

HEAD: Final = struct.Struct("!HHHHHH")
QUESTION: Final = struct.Struct("!HH")
ANSWER: Final = struct.Struct("!HHHIH4s")
A, IN = 1, 1
ANSWERED: Final = 0x8180  # a response, recursion desired and available, no error
THE_NAME_ASKED_FOR: Final = 0xC00C  # a pointer to it: right behind the head
TIME_TO_LIVE: Final = 1
LARGEST: Final = 512
END: Final = b""


class NameServer:
    """Answers each question for ``name`` with ``addresses``, which may be replaced at any time; others with nothing."""

    def __init__(self, name: str, addresses: list[str]) -> None:
        self.addresses = addresses
        self._name = name.encode()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, name="names", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.sendto(END, self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while (asked := self._socket.recvfrom(LARGEST))[0] != END:
            self._socket.sendto(self._answer(asked[0]), asked[1])

    def _answer(self, query: bytes) -> bytes:
        identity = HEAD.unpack_from(query)[0]
        end = query.index(b"\0", HEAD.size) + 1
        name, kind = _read(query[HEAD.size : end]), QUESTION.unpack_from(query, end)[0]
        found = self.addresses if (name, kind) == (self._name, A) else []
        answers = (ANSWER.pack(THE_NAME_ASKED_FOR, A, IN, TIME_TO_LIVE, 4, IPv4Address(each).packed) for each in found)
        question = query[HEAD.size : end + QUESTION.size]
        return HEAD.pack(identity, ANSWERED, 1, len(found), 0, 0) + question + b"".join(answers)


def _read(labels: bytes) -> bytes:
    """The name in a question: each label behind its length."""
    found = []
    while length := labels[0]:
        found.append(labels[1 : length + 1])
        labels = labels[length + 1 :]
    return b".".join(found).lower()
