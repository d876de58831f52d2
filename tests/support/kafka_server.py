"""Kafka as a child process: one node that is broker and controller (KRaft), from its Maven artefacts.

They are fetched once, into a folder of the user's cache; a Kafka that ``KAFKA_HOME`` names is used instead. Java has to
be there, and Maven for the first time; what is missing skips the test, or fails it in CI.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import tempfile
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.support.patience import PATIENCE
from tests.support.programs import missing, module, program
from tests.support.services import Process, free_port, wait_for, write_certificate
from tests.support.tree import ROOT

POM = ROOT / "tests" / "support" / "kafka" / "pom.xml"
FETCH_SECONDS = 600
"""What 43 MB take at most."""
STARTS_WITHIN = 6 * PATIENCE
"""3 s on a quiet machine of two cores, most of them busy."""
USER = "roomcast"

# Serial collection and the first compiler alone: half the memory and a second less to start.
JVM = ("-Xmx256m", "-Xms64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
LOGGING = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"


def cache() -> Path:
    """Where the artefacts of the version that the pom names are, or will be."""
    version = re.search(r"<kafka.version>([^<]+)<", POM.read_text())
    assert version is not None
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "roomcast-tests" / f"kafka-{version[1]}"


def class_path() -> str:
    """What Java is to be given: Kafka's own libraries, or the cache, filled if need be."""
    if home := os.environ.get("KAFKA_HOME"):
        return str(Path(home) / "libs" / "*")
    folder = cache()
    if not folder.is_dir():
        _fetch(folder)
    return str(folder / "*")


def _fetch(folder: Path) -> None:
    """Fill the cache. It appears whole or not at all, also where several runs do this at once."""
    maven = program("mvn", install="apt install maven, or set KAFKA_HOME")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as fetched:
        jars = Path(fetched) / "jars"
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
        done = subprocess.run(
            [maven, "-q", "-B", "-f", str(POM), *goal],
            cwd=fetched,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=FETCH_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            missing("Kafka", f"Maven could not fetch it: {done.stdout.decode('utf-8', 'replace')[-500:]}")
        with contextlib.suppress(OSError):  # another run was faster
            jars.rename(folder)


class KafkaServer(Process):
    """Kafka on ports and with data of its own, the same for its whole life.

    ``password`` is asked of everybody (SASL PLAIN, user ``roomcast``); ``tls`` serves TLS with the certificate in
    ``certificate``, which is its own authority. ``properties`` are added to its configuration. Clients are told to come
    to ``advertised``, a port of a proxy, where it is set before the start.
    """

    def __init__(
        self, *, password: str | None = None, tls: bool = False, properties: Mapping[str, str] | None = None
    ) -> None:
        super().__init__()
        self.password = password
        self.tls = tls
        self.port = free_port()
        self.advertised = self.port
        self.certificate = self.folder / "certificate.pem"
        self._controller = free_port()
        self._properties = dict(properties or {})
        self._formatted = False

    @property
    def server(self) -> str:
        """As kafka-python wants it."""
        return f"127.0.0.1:{self.advertised}"

    @property
    def url(self) -> str:
        login = f"{USER}:{quote(self.password, safe='')}@" if self.password else ""
        query = f"?security_protocol={self._protocol}&ssl_cafile={self.certificate}" if self.tls else ""
        return f"kafka://{login}{self.server}/{query}"

    def start(self) -> None:
        """Run and serve clients when this returns; nothing to do if it runs."""
        if self.running:
            self.resume()
            return
        java = program("java", install="apt install openjdk-17-jre-headless")
        module("kafka")
        path = class_path()
        if self.tls and not self.certificate.is_file():
            write_certificate(self.certificate)
        if not self._formatted:
            self._format(java, path)
        self.spawn(java, *JVM, LOGGING, "-cp", path, "kafka.Kafka", "server.properties")
        wait_for(self._accepts, lambda: f"Kafka does not listen\n{self.log()}", STARTS_WITHIN)
        wait_for(self._serves, lambda: f"Kafka does not serve\n{self.log()}", STARTS_WITHIN)

    def restart(self) -> None:
        """Kill it and start it again, with the data that it has."""
        self.kill()
        self.start()

    # --- topics -------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def admin(self) -> Iterator[Any]:
        """kafka-python's client for administration."""
        from kafka import KafkaAdminClient

        client = KafkaAdminClient(bootstrap_timeout_ms=int(STARTS_WITHIN * 1_000), **self.client_options())
        try:
            yield client
        finally:
            client.close()

    def client_options(self) -> dict[str, Any]:
        """What kafka-python's clients have to be given."""
        options: dict[str, Any] = {"bootstrap_servers": self.server, "security_protocol": self._protocol}
        if self.password:
            login = {"sasl_plain_username": USER, "sasl_plain_password": self.password}
            options |= {"sasl_mechanism": "PLAIN", **login}
        if self.tls:
            options["ssl_cafile"] = str(self.certificate)
        return options

    def topics(self) -> dict[str, int]:
        """How many partitions each topic has."""
        with self.admin() as admin:
            return {each["name"]: len(each["partitions"]) for each in admin.describe_topics()}

    def create_topic(self, name: str, partitions: int = 1) -> None:
        """Return when it can be used."""
        with self.admin() as admin:
            wanted = {name: {"num_partitions": partitions, "replication_factor": 1}}
            admin.create_topics(wanted, wait_for_metadata=True)

    def delete_topic(self, name: str) -> None:
        """Return when nobody is told any more that it exists."""
        with self.admin() as admin:
            admin.delete_topics([name])
            wait_for(lambda: admin.describe_topics([name])[0]["error_code"], f"the topic {name} is still there")

    def add_partitions(self, name: str, total: int) -> None:
        """Let it have ``total`` partitions."""
        with self.admin() as admin:
            admin.create_partitions({name: total})
            admin.wait_for_topics([name])

    # --- how it is started --------------------------------------------------------------------------------------------

    @property
    def _protocol(self) -> str:
        return ("SASL_" if self.password else "") + ("SSL" if self.tls else "PLAINTEXT")

    def _format(self, java: str, path: str) -> None:
        """Write its configuration and prepare the folder of its data."""
        (self.folder / "server.properties").write_text(
            "".join(f"{name}={value}\n" for name, value in {**self._configuration(), **self._properties}.items())
        )
        identity = "a" + urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]  # one that begins with - is no argument
        tool = ["kafka.tools.StorageTool", "format", "-t", identity, "-c", "server.properties"]
        done = subprocess.run(
            [java, *JVM, LOGGING, "-cp", path, *tool],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=STARTS_WITHIN,
            check=False,
        )
        assert done.returncode == 0, done.stdout.decode("utf-8", "replace")
        self._formatted = True

    def _configuration(self) -> dict[str, str]:
        listener, protocol = "CLIENTS", self._protocol
        configuration = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller}",
            "listeners": f"{listener}://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self._controller}",
            "advertised.listeners": f"{listener}://127.0.0.1:{self.advertised}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": listener,
            "listener.security.protocol.map": f"CONTROLLER:PLAINTEXT,{listener}:{protocol}",
            "log.dirs": str(self.folder / "data"),
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            # Who was killed is let in again when its session has ended: with the default that takes 9 s.
            "broker.session.timeout.ms": "1500",
            "broker.heartbeat.interval.ms": "300",
        }
        if self.password:
            entry = f'org.apache.kafka.common.security.plain.PlainLoginModule required username="{USER}" '
            entry += f'password="{self.password}" user_{USER}="{self.password}";'
            own = f"listener.name.{listener.lower()}"
            configuration |= {"sasl.enabled.mechanisms": "PLAIN", "sasl.mechanism.inter.broker.protocol": "PLAIN"}
            configuration[f"{own}.plain.sasl.jaas.config"] = entry
        if self.tls:
            files = {"keystore": self.certificate, "truststore": self._authority()}
            configuration |= {f"ssl.{name}.location": str(file) for name, file in files.items()}
            configuration |= {f"ssl.{name}.type": "PEM" for name in files}
        return configuration

    def _authority(self) -> Path:
        """The certificate alone: Kafka wants no key among those it trusts."""
        path = self.folder / "authority.pem"
        path.write_text(re.sub(r"(?s)-+BEGIN PRIVATE.*?END PRIVATE KEY-+\n?", "", self.certificate.read_text()))
        return path

    def _accepts(self) -> bool:
        if not self.running:
            raise AssertionError(f"Kafka ended at once\n{self.log()}")
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def _serves(self) -> bool:
        """A broker that has just been started listens before the cluster counts it in and its partitions are led."""
        from kafka import KafkaAdminClient
        from kafka.errors import KafkaError

        own = {**self.client_options(), "bootstrap_servers": f"127.0.0.1:{self.port}"}
        try:
            client = KafkaAdminClient(bootstrap_timeout_ms=1_000, request_timeout_ms=2_000, **own)
        except KafkaError:
            return False
        try:
            topics = client.describe_topics() if client.describe_cluster()["brokers"] else None
        except KafkaError:
            return False
        finally:
            client.close()
        return topics is not None and all(part["leader_id"] >= 0 for topic in topics for part in topic["partitions"])
