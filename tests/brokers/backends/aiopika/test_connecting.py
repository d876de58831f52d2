"""What TLS is like, by the options of the URL."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from roomcast_brokers.backends.aiopika.connecting import tls_context
from roomcast_brokers.backends.aiopika.location import Tls
from tests.support.services import write_certificate


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    write_certificate(path)
    return path


def test_by_default_this_machine_is_trusted_and_names_are_checked() -> None:
    context = tls_context(Tls())
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
    context = tls_context(Tls(verify=False))
    assert (context.check_hostname, context.verify_mode) == (False, ssl.CERT_NONE)


def test_whom_to_trust_and_who_one_is(certificate: Path) -> None:
    path = str(certificate)
    context = tls_context(Tls(cafile=path, certfile=path, keyfile=path))
    assert [each["subject"] for each in context.get_ca_certs()] == [((("commonName", "localhost"),),)]
    der = ssl.PEM_cert_to_DER_cert(certificate.read_text().partition("-----END PRIVATE KEY-----\n")[2])
    assert len(tls_context(Tls(cadata=der)).get_ca_certs()) == 1
    assert len(tls_context(Tls(cadata=ssl.DER_cert_to_PEM_cert(der).encode())).get_ca_certs()) == 1
    assert tls_context(Tls(capath=str(certificate.parent))).verify_mode is ssl.CERT_REQUIRED


def test_files_that_are_not_there(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    with pytest.raises(OSError, match="No such file"):
        tls_context(Tls(cafile=missing))
    with pytest.raises(OSError, match="No such file"):
        tls_context(Tls(certfile=missing))
