"""WebSocket, server side, without I/O: RFC 6455 with permessage-deflate (RFC 7692).

``handshake`` answers the opening request, ``frames`` turns bytes into messages and messages into bytes, ``deflate`` is
the extension, ``closecodes`` the vocabulary of the end. ``connection`` joins them to a whole endpoint for those who
want one; the node's own transports use the parts.
"""
