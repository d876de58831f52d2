"""Class-based namespaces: which method an event means, and with which arguments."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast.core.namespaces import NamespaceSurface


class Chat(NamespaceSurface):
    """A namespace of an application."""

    def on_connect(self, sid: str, environ: Any) -> None:
        """Takes two of three."""

    def on_disconnect(self) -> None:
        """Takes none."""

    def on_message(self, sid: str, text: str) -> None:
        """Takes what it is given."""


class Long(NamespaceSurface):
    """The same with the long forms, one of them taking anything."""

    def on_connect(self, *args: Any) -> None:
        """Takes any number."""

    @staticmethod
    def on_disconnect(sid: str, reason: str) -> None:
        """Has no self."""


def args_for(namespace: NamespaceSurface, event: str, *args: Any) -> Any:
    method, kept = namespace._handler(event, args)
    return None if method is None else kept


@pytest.mark.parametrize(("given", "name"), [(None, "/"), ("", "/"), ("/chat", "/chat"), ("*", "*")])
def test_the_name(given: str | None, name: str) -> None:
    namespace = NamespaceSurface(given)
    assert namespace.namespace == name
    assert namespace._target(None) == name
    assert namespace._target("/other") == "/other"


def test_the_server_is_told_at_registration() -> None:
    namespace = Chat()
    assert namespace.server is None
    server = object()
    namespace.set_server(server)
    assert namespace.server is server


def test_connect_and_disconnect_get_what_their_signature_takes() -> None:
    chat, long = Chat(), Long()
    for _ in range(2):
        assert args_for(chat, "connect", "sid", "environ", "auth") == ("sid", "environ")
        assert args_for(chat, "disconnect", "sid", "reason") == ("sid",)
        assert args_for(long, "connect", "sid", "environ", "auth") == ("sid", "environ", "auth")
        assert args_for(long, "disconnect", "sid", "reason") == ("sid", "reason")


def test_other_events_get_everything() -> None:
    assert args_for(Chat(), "message", "sid", "a", "b") == ("sid", "a", "b")
    assert args_for(Chat(), "unknown", "sid") is None
    assert args_for(Chat(), "", "sid") is None


def test_two_objects_of_one_class_keep_apart() -> None:
    one, other = Chat(), Chat()
    method, _ = one._handler("connect", ("sid", "environ", "auth"))
    other_method, _ = other._handler("connect", ("sid", "environ", "auth"))
    assert method.__self__ is one
    assert other_method.__self__ is other
