"""The cookie that a polling handshake may set for a load balancer's sake (python-api.md 1.4, ``cookie``; limits.md).

The server never reads it. Off by default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from roomcast.errors import SettingsError

DEFAULT_NAME = "io"

# What a string option stands for; a dict says everything itself, as in python-socketio.
_PLAIN: Mapping[str, Any] = {"path": "/", "SameSite": "Lax"}
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 6265 4.1.1: a token of RFC 9110
_VALUE = re.compile(r"[ -:<-~]*")  # RFC 6265 4.1.1: no control characters, no semicolon

Option = str | Mapping[str, Any] | None


def render(option: Option, sid: str, secure: bool) -> bytes | None:
    """The value of ``Set-Cookie`` for a new session, or None when there is to be none.

    ``option`` is a name, or a dict of attributes with the key ``name``; an attribute's value is a string, a number, a
    function without arguments that gives one, True for an attribute without value, False or None to leave it out.
    ``HttpOnly`` is added unless the dict has that key, ``Secure`` too when the request came over TLS. Raises
    SettingsError for what would not be a cookie; call it once when the server is made, to find out then.
    """
    if option is None:
        return None
    attributes = {"name": option, **_PLAIN} if isinstance(option, str) else dict(option)
    name = attributes.pop("name", DEFAULT_NAME)
    told = {str(key).lower() for key in attributes}
    if "httponly" not in told:
        attributes["HttpOnly"] = True
    if secure and "secure" not in told:
        attributes["Secure"] = True
    parts = [_attribute(name, sid)]
    for key, value in attributes.items():
        given = value() if callable(value) else value
        if given is not None and given is not False:
            parts.append(_attribute(key, given))
    return "; ".join(parts).encode()


def _attribute(key: Any, value: Any) -> str:
    if not isinstance(key, str) or not _NAME.fullmatch(key):
        raise SettingsError(f"the cookie option has a name that no cookie can have: {key!r}")
    if value is True:
        return key
    text = str(value)
    if not _VALUE.fullmatch(text):
        raise SettingsError(f"the cookie option has a value for {key} that no cookie can have: {text!r}")
    return f"{key}={text}"
