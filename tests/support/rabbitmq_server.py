"""A RabbitMQ server that tests start as a child process, with an Erlang port mapper, a cookie and a folder of its own.

It takes five seconds to start, and as long to come back after a kill. :meth:`RabbitServer.stop_app` makes it go away
for everybody who is connected, and :meth:`RabbitServer.start_app` brings it back in a second: durable things survive,
the rest does not. Whatever asks the server goes through ``rabbitmqctl`` and takes half a second.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from tests.support.patience import PATIENCE
from tests.support.programs import program
from tests.support.services import Process, free_port, wait_for, write_certificate

PROTOCOL_HEADER: Final = b"AMQP\x00\x00\x09\x01"
START_TIMEOUT: Final = 6 * PATIENCE
"""Seconds: an Erlang that starts while others use the processors takes its time."""
MEMORY: Final = 0.4
"""The share of the machine's memory above which RabbitMQ lets nobody publish; its own default."""

_DEBIAN: Final = Path("/usr/lib/rabbitmq/bin")  # what lies on PATH there changes the user, and the environment


def _programs() -> Path:
    """The folder of the programs themselves."""
    found = program("rabbitmq-server", install="apt install rabbitmq-server")
    return _DEBIAN if _DEBIAN.is_dir() else Path(found).resolve().parent


class RabbitServer(Process):
    """RabbitMQ on a port of its own, the same for its whole life, without any plug-in.

    ``user`` and ``password`` are those of its only user. ``tls`` listens on :attr:`tls_port` too, with the certificate
    in ``certificate``, which is its own authority. ``settings`` are lines of its configuration.
    """

    def __init__(self, *settings: str, user: str = "guest", password: str = "guest", tls: bool = False) -> None:
        super().__init__()
        self.user = user
        self.password = password
        self.port = free_port()
        self.tls_port = free_port() if tls else 0
        self.certificate = self.folder / "certificate.pem"
        self._settings = settings
        self._distribution = free_port()
        self._mapper_port = free_port()
        self._mapper: subprocess.Popen[bytes] | None = None
        self._away = False

    @property
    def url(self) -> str:
        return f"amqp://{self._login}@127.0.0.1:{self.port}/"

    @property
    def tls_url(self) -> str:
        return f"amqps://{self._login}@127.0.0.1:{self.tls_port}/?cafile={self.certificate}"

    @property
    def _login(self) -> str:
        return f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"

    # --- life -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Run and accept connections when this returns; nothing to do if it runs."""
        if self.running:
            self.resume()
            if self._away:
                self.start_app()
            return
        self._away = False
        programs = _programs()
        self._configure()
        if self._mapper is None:
            mapper = program("epmd", install="apt install rabbitmq-server")
            self._mapper = subprocess.Popen(
                [mapper, "-port", str(self._mapper_port), "-address", "127.0.0.1"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        self.spawn(str(programs / "rabbitmq-server"), environment=self._environment())
        wait_for(self.accepts, lambda: f"RabbitMQ does not serve\n{self.log()}", START_TIMEOUT)

    def stop(self) -> None:
        """Ask it to end, and wait until it has; that takes a second, and more where others use the processors."""
        self._end(signal.SIGTERM, START_TIMEOUT)

    def restart(self) -> None:
        """Kill it and start it again on its port."""
        self.kill()
        self.start()

    def stop_app(self) -> None:
        """Go away, but leave Erlang running: connections end, new ones are refused. :meth:`start` brings it back."""
        if self.running and not self._away:
            self._away = True
            self.rabbitmqctl("stop_app")

    def start_app(self) -> None:
        """Come back after :meth:`stop_app`, and accept connections when this returns."""
        self.rabbitmqctl("start_app")
        self._away = False
        wait_for(self.accepts, lambda: f"RabbitMQ does not serve\n{self.log()}", START_TIMEOUT)

    def close(self) -> None:
        super().close()
        mapper, self._mapper = self._mapper, None
        if mapper is not None:
            mapper.terminate()
            mapper.wait()

    def accepts(self) -> bool:
        """Whether it answers on its port."""
        if not self.running:
            raise AssertionError(f"RabbitMQ ended\n{self.log()}")
        try:
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
                connection.sendall(PROTOCOL_HEADER)
                return bool(connection.recv(1))
        except OSError:
            return False

    # --- what tests do to it ----------------------------------------------------------------------------------------

    def rabbitmqctl(self, *words: str) -> str:
        """What ``rabbitmqctl`` writes."""
        command = [str(_programs() / "rabbitmqctl"), "--quiet", *words]
        run = subprocess.run(
            command, env={**os.environ, **self._environment()}, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, f"rabbitmqctl {words[0]}: {run.stdout}{run.stderr}\n{self.log()}"
        return run.stdout

    def evaluate(self, expression: str) -> str:
        """What an Erlang expression is on the server."""
        return self.rabbitmqctl("eval", expression).strip()

    def close_all_connections(self) -> None:
        """Cut everybody off, each with a ``connection.close``; new connections are accepted."""
        self.rabbitmqctl("close_all_connections", "cut by a test")

    def delete_queue(self, name: str) -> None:
        """Delete it, unless it has gone meanwhile."""
        queue = f'rabbit_misc:r(<<"/">>, queue, <<"{name}">>)'
        self.evaluate(
            f"case rabbit_amqqueue:lookup({queue}) of {{ok, Q}} -> "
            "rabbit_amqqueue:delete(Q, false, false, <<>>), ok; _ -> ok end."
        )

    def delete_exchange(self, name: str) -> None:
        resource = f'rabbit_misc:r(<<"/">>, exchange, <<"{name}">>)'
        self.evaluate(f'rabbit_exchange:delete({resource}, false, <<"test">>).')

    def raise_memory_alarm(self) -> None:
        """Let nobody publish."""
        self.rabbitmqctl("set_vm_memory_high_watermark", "0")

    def end_memory_alarm(self) -> None:
        self.rabbitmqctl("set_vm_memory_high_watermark", str(MEMORY))

    def add_user(self, user: str, password: str) -> None:
        """Who may do everything."""
        self.rabbitmqctl("add_user", user, password)
        self.rabbitmqctl("set_permissions", user, ".*", ".*", ".*")

    def change_password(self, password: str, *, user: str | None = None) -> None:
        """Of whoever connects from now on; the URL of this object stays as it is."""
        self.rabbitmqctl("change_password", user or self.user, password)

    # --- what it has ------------------------------------------------------------------------------------------------

    def queues(self) -> list[dict[str, Any]]:
        """Each with its name, what it was declared with, and how many messages and consumers it has."""
        columns = ("name", "durable", "auto_delete", "exclusive", "arguments", "messages", "consumers")
        return self._list("list_queues", *columns)

    def exchanges(self) -> list[str]:
        """The names of those that are not RabbitMQ's own."""
        names = [str(each["name"]) for each in self._list("list_exchanges", "name")]
        return [name for name in names if name and not name.startswith("amq.")]

    def consumers(self) -> list[dict[str, Any]]:
        return self._list("list_consumers", "queue_name", "consumer_tag", "ack_required")

    def bindings(self) -> list[tuple[str, str, str]]:
        """(exchange, queue, routing key), but for those of the exchange that has no name."""
        columns = ("source_name", "destination_name", "routing_key")
        found = self._list("list_bindings", *columns)
        return [(each[columns[0]], each[columns[1]], each[columns[2]]) for each in found if each["source_name"]]

    def connections(self) -> list[dict[str, Any]]:
        return self._list("list_connections", "name", "user", "channels", "state", "client_properties")

    def _list(self, *words: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.rabbitmqctl(*words, "--formatter", "json") or "[]")
        return found

    # --- how it is started ------------------------------------------------------------------------------------------

    def _configure(self) -> None:
        lines = [f"default_user = {self.user}", f"default_pass = {self.password}", "log.console.level = warning"]
        if self.tls_port:
            if not self.certificate.is_file():
                write_certificate(self.certificate)
            lines.append(f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}")
            lines += [f"ssl_options.{name} = {self.certificate}" for name in ("cacertfile", "certfile", "keyfile")]
        (self.folder / "rabbitmq.conf").write_text("\n".join([*lines, *self._settings]) + "\n")
        (self.folder / "plugins").write_text("[].\n")

    def _environment(self) -> dict[str, str]:
        folder = str(self.folder)
        return {
            "HOME": folder,  # where Erlang keeps its cookie
            "PATH": os.environ.get("PATH", os.defpath),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._mapper_port),
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/no-such-file",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq",
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
            "RABBITMQ_LOG_BASE": f"{folder}/logs",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes Erlang, so that signals reach it
        }


@cache
def shared_server() -> RabbitServer:
    """One for all tests of this process that leave it as they found it, running; for what they leave behind there is
    no promise. It ends with the process.
    """
    return RabbitServer(tls=True)
