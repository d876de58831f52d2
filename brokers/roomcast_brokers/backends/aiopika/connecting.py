"""What TLS has to be like, from what the URL says about it."""

from __future__ import annotations

import ssl
from typing import Final

from roomcast_brokers.backends.aiopika.location import Tls

_PEM: Final = b"-----BEGIN"


def tls_context(tls: Tls) -> ssl.SSLContext:
    """As aio-pika makes it of the same options. Reads files; raises OSError (SSLError is one) or ValueError."""
    cadata: str | bytes | None = tls.cadata
    if tls.cadata is not None and tls.cadata.lstrip().startswith(_PEM):
        cadata = tls.cadata.decode("ascii", "replace")  # the ssl module tells the two forms apart by the type
    context = ssl.create_default_context(cafile=tls.cafile, capath=tls.capath, cadata=cadata)
    if tls.certfile is not None:
        context.load_cert_chain(tls.certfile, tls.keyfile)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
