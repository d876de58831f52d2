"""What the doctor is asked to look at, and which of it nobody may see."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec

from roomcast.doctor.packets import Serializer
from roomcast.doctor.target import Target
from roomcast.errors import SettingsError
from roomcast.socketio.names import namespace_fault

SHORTEST_SECRET: Final = 4
"""Characters. What is shorter in ``--auth`` or ``--header`` is a flag or a number, and stands in many a sentence."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """``origins`` empty: the deployment's own. ``broker`` None: nobody asks for the broker."""

    target: Target
    namespace: str = "/"
    auth: dict[str, Any] | None = None
    serializer: Serializer = "default"
    origins: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    authority: Path | None = None
    broker: str | None = None
    cluster: str
    keys: tuple[str | bytes, ...] = ()
    wait: float
    quick: bool = False

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be printed."""
        found = [
            *(self.target.login or ()),
            *_logins(self.broker),
            *(key if isinstance(key, str) else key.decode("utf-8", "replace") for key in self.keys),
            *(text for text in _texts(self.auth) if len(text) >= SHORTEST_SECRET),
            *(value for _, value in self.headers if len(value) >= SHORTEST_SECRET),
        ]
        return tuple(dict.fromkeys(filter(None, found)))


def _logins(url: str | None) -> Iterator[str]:
    """The name and password in a broker's URL, as they stand there, as they are meant, and as HTTP carries them."""
    login = "" if url is None else urlsplit(url).netloc.rpartition("@")[0]
    if not login:
        return
    _, _, password = login.partition(":")
    yield from (login, unquote(login), base64.b64encode(unquote(login).encode()).decode())
    if password:
        yield from (password, unquote(password))


def _texts(value: Any) -> Iterator[str]:
    """Every string in what was decoded from JSON, keys aside."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def read_auth(text: str | None) -> dict[str, Any] | None:
    """What a client says to be let in. Raises SettingsError, which does not repeat it."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise SettingsError('--auth: this is no JSON object, such as \'{"token": "…"}\'') from error


def read_namespace(name: str) -> str:
    """A namespace that clients may name. Raises SettingsError."""
    fault = namespace_fault(name)
    if fault is not None:
        raise SettingsError(f"--namespace: {fault}")
    return name


def read_origins(origins: Iterable[str]) -> tuple[str, ...]:
    """Origins as browsers write them: scheme, host, port if it is not the usual one. Raises SettingsError."""
    return tuple(map(_origin, origins))


def _origin(text: str) -> str:
    parts = urlsplit(text)
    if not parts.scheme or not parts.netloc or parts.path.strip("/") or "@" in parts.netloc:
        raise SettingsError("--origin: an origin has a scheme and a host and no path, such as https://app.example.com")
    return f"{parts.scheme}://{parts.netloc}".lower()


def read_headers(lines: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Headers for every request. Raises SettingsError, which does not repeat them."""
    found = []
    for text in lines:
        name, colon, value = text.partition(":")
        if not colon or not name.strip() or any(character in text for character in "\r\n\0"):
            raise SettingsError("--header: a header is a name, a colon and a value")
        found.append((name.strip(), value.strip()))
    return tuple(found)
