from __future__ import annotations

import pytest

from roomcast_emitter import AsyncEmitter, Emitter, NoBrokerError
from roomcast_emitter.environment import Surroundings, read


def test_what_the_variables_say() -> None:
    assert read({"ROOMCAST_BROKER": "redis://x"}) == Surroundings("redis://x", "socketio", None)
    everything = {"ROOMCAST_BROKER": "redis://x", "ROOMCAST_CLUSTER": "shop", "ROOMCAST_KEYS": " new, old ,"}
    assert read(everything, "redis://y") == Surroundings("redis://x", "shop", ["new", "old"])


@pytest.mark.parametrize("environment", [{}, {"ROOMCAST_BROKER": "", "ROOMCAST_CLUSTER": "", "ROOMCAST_KEYS": ""}])
def test_an_empty_variable_is_none(environment: dict[str, str]) -> None:
    assert read(environment, "redis://y") == Surroundings("redis://y", "socketio", None)
    with pytest.raises(NoBrokerError, match="ROOMCAST_BROKER is not set"):
        read(environment)


@pytest.mark.parametrize("kind", [Emitter, AsyncEmitter])
def test_an_emitter_of_the_environment(
    kind: type[Emitter | AsyncEmitter], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROOMCAST_BROKER", raising=False)
    monkeypatch.setenv("ROOMCAST_CLUSTER", "shop")
    with pytest.raises(NoBrokerError):
        kind.from_environment()
    emitter = kind.from_environment("memory://", on_failure="drop")
    assert emitter._terms.channels.cluster == "shop"
    with pytest.raises(ValueError, match="on_failure"):
        kind.from_environment("memory://", on_failure="retry")  # type: ignore[arg-type]  # the point of the test
