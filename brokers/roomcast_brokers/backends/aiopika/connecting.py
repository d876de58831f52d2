"""What TLS has to be like, from what the URL says about it."""

from __future__ import annotations

import ssl

from roomcast_brokers.backends.aiopika.location import Tls


def tls_context(tls: Tls) -> ssl.SSLContext:
    """As aio-pika makes it of the same options. Reads files; raises OSError (of which SSLError is one)."""
    cadata = None if tls.cadata is None else tls.cadata
    context = ssl.create_default_context(cafile=tls.cafile, capath=tls.capath, cadata=cadata)
    if tls.certfile is not None:
        context.load_cert_chain(tls.certfile, tls.keyfile)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
