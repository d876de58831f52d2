"""Servers that tests start as child processes: each on a free port, with a folder of its own, and gone afterwards.

Methods block; in a coroutine they belong into ``asyncio.to_thread``. A server that tests need and that is not installed
skips them, or fails them in CI (:mod:`tests.support.programs`). What a server has logged is in ``log()``.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from tests.support.patience import PATIENCE
from tests.support.programs import module, program

LOOK_AGAIN = 0.01
"""Seconds between two looks at whether a server is there."""

PORTS = range(20_000, 32_000)
"""Below the ports that systems give to outgoing connections. A port among those may be taken by a client, or even by a
client that tries to reach this very port, while its server is being restarted.
"""

_running: set[Process] = set()


def free_port() -> int:
    """A port on which nothing listens at the moment, nor on the one 10,000 above it (Redis Cluster's own)."""
    while True:
        port = random.choice(PORTS)
        try:
            for each in (port, port + 10_000):
                with socket.socket() as sock:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    sock.bind(("127.0.0.1", each))
        except OSError:
            continue
        return port


def wait_for(condition: Callable[[], object], what: str | Callable[[], str], timeout: float = PATIENCE) -> None:
    """Look again and again until ``condition`` holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"in vain after {timeout:g} s: {what() if callable(what) else what}"
        time.sleep(LOOK_AGAIN)


def freeze(process: subprocess.Popen[bytes]) -> None:
    """Stop a child where it is. When this returns, it stands still, which a busy machine may take a moment for."""
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)


class Process(ABC):
    """A program that serves, in a temporary folder of its own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="roomcast-"))
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def spawn(self, *command: str, environment: Mapping[str, str] | None = None) -> None:
        """Run the program; ``environment`` is what it has beside this process's own."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it with ``kill -9``."""
        self._end(signal.SIGKILL)

    def suspend(self) -> None:
        """Freeze it: connections stay, nothing is answered."""
        assert self._process is not None
        freeze(self._process)

    def resume(self) -> None:
        if self.running:
            assert self._process is not None
            self._process.send_signal(signal.SIGCONT)

    def log(self) -> str:
        """What it has written: the last 4,000 characters."""
        path = self.folder / "log"
        return path.read_text("utf-8", "replace")[-4_000:] if path.is_file() else ""

    def close(self) -> None:
        """End it and take its folder away."""
        if self.running:
            self.kill()
        atexit.unregister(self.close)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def start(self) -> None:
        """Start the server, and return when it answers."""

    def _end(self, sign: signal.Signals, patience: float = PATIENCE) -> None:
        if self._process is None:
            return
        self.resume()
        self._process.send_signal(sign)
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


class RedisServer(Process):
    """A Redis server on a port of its own, the same for its whole life. ``options`` are those of its configuration.

    ``password`` is asked of everybody; ``tls`` serves TLS with the certificate in ``certificate``, which is its own
    authority; ``unix`` listens on a Unix socket beside the port.
    """

    def __init__(
        self,
        *options: str,
        password: str | None = None,
        tls: bool = False,
        unix: bool = False,
        program: str = "redis-server",
    ) -> None:
        super().__init__()
        self.password = password
        self.tls = tls
        self.port = free_port()
        self.certificate = self.folder / "certificate.pem"
        self.socket = self.folder / "socket"
        self._program = program
        self._options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(self.folder), *options]
        self._options += ["--shutdown-timeout", "0"] if program == "redis-server" else []
        if password is not None:
            self._options += ["--requirepass", password]
        if unix:
            self._options += ["--unixsocket", str(self.socket)]

    @property
    def url(self) -> str:
        login = f":{quote(self.password, safe='')}@" if self.password else ""
        query = f"?ssl_ca_certs={self.certificate}" if self.tls else ""
        return f"redis{'s' if self.tls else ''}://{login}127.0.0.1:{self.port}/0{query}"

    @property
    def unix_url(self) -> str:
        login = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"unix://{login}{self.socket}"

    def start(self) -> None:
        """Run and accept connections when this returns; nothing to do if it runs."""
        if self.running:
            self.resume()
            return
        path = program(self._program, install="apt install redis-server redis-sentinel")
        module("redis")
        if self.tls and not self.certificate.is_file():
            write_certificate(self.certificate)
        self.spawn(path, *self._arguments())
        wait_for(self._answers, lambda: f"{self._program} does not serve\n{self.log()}")

    def restart(self) -> None:
        """Kill it and start it again on its port."""
        self.kill()
        self.start()

    def command(self, *words: str | int) -> Any:
        """What the server answers, by a connection that ends at once."""
        with self.client() as client:
            return client.execute_command(*words)

    @contextlib.contextmanager
    def client(self) -> Iterator[Any]:
        """redis-py's client."""
        import redis

        tls: dict[str, Any] = {"ssl": True, "ssl_ca_certs": str(self.certificate)} if self.tls else {}
        client = redis.Redis(
            port=self.port, password=self.password, decode_responses=True, protocol=2, socket_timeout=PATIENCE, **tls
        )
        try:
            yield client
        finally:
            client.close()

    def client_kill(self, kind: str) -> int:
        """Cut all connections of a kind: "normal" are those that publish, "pubsub" those that subscribe."""
        return int(self.command("CLIENT", "KILL", "TYPE", kind))

    def client_kill_all(self) -> None:
        """Cut both kinds, in one instant."""
        with self.client() as client, client.pipeline(transaction=True) as pipeline:
            for kind in ("normal", "pubsub"):
                pipeline.execute_command("CLIENT", "KILL", "TYPE", kind)
            pipeline.execute()

    def clients(self, kind: str) -> list[dict[str, str]]:
        """The connections of a kind, but for the one that asks."""
        with self.client() as client:
            own = str(client.client_id())
            found: list[dict[str, str]] = client.client_list(_type=kind)
        return [each for each in found if each["id"] != own and each["cmd"] != "client|list"]

    def config_set(self, name: str, value: str) -> None:
        self.command("CONFIG", "SET", name, value)
        if name == "requirepass":
            self.password = value

    def _arguments(self) -> list[str]:
        if not self.tls:
            return ["--port", str(self.port), *self._options]
        own = str(self.certificate)
        files = ["--tls-cert-file", own, "--tls-key-file", own, "--tls-ca-cert-file", own]
        return ["--port", "0", "--tls-port", str(self.port), *files, "--tls-auth-clients", "no", *self._options]

    def _answers(self) -> bool:
        import redis

        if not self.running:
            raise AssertionError(f"{self._program} ended at once\n{self.log()}")
        try:
            return bool(self.command("PING"))
        except (redis.ConnectionError, redis.TimeoutError):
            return False


def write_certificate(path: Path) -> None:
    """A certificate for this machine that nobody else trusts, with its key, in one file."""
    module("cryptography")
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
