"""Settings: what cannot work is refused when the server is made, and every field says what it is for."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import pytest

from roomcast.errors import SettingsError
from roomcast.settings import Meaning, Settings

SMALLEST: dict[str, Any] = {
    "ping_interval": 0.001,
    "ping_timeout": 0.001,
    "upgrade_timeout": 0.001,
    "connect_timeout": 0.001,
    "max_attachments": 1,
    "max_payload": 1,
    "drain_delay_seconds": 0,
    "drain_seconds": 0,
    "transports": ("polling",),
    "max_events_per_second": 0.001,
    "max_handshakes_per_second": 0.001,
    "max_handshakes_per_second_per_address": 0.001,
}


@pytest.mark.parametrize("name", Settings.__struct_fields__)
def test_every_field_says_what_it_means(name: str) -> None:
    hint = get_type_hints(Settings, include_extras=True)[name]
    meanings = [each for each in get_args(hint) if isinstance(each, Meaning)]
    assert len(meanings) == 1
    assert meanings[0].text


def test_settings_are_values() -> None:
    assert Settings() == Settings()
    with pytest.raises(AttributeError):
        Settings().max_payload = 1  # type: ignore[misc]  # the point of the test


@pytest.mark.parametrize(("name", "value"), SMALLEST.items())
def test_the_smallest_that_works(name: str, value: Any) -> None:
    assert getattr(Settings(**{name: value}), name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, value) for name in [*SMALLEST][:4] + [*SMALLEST][-3:] for value in (0, -1, float("nan"))],
        *[(name, value) for name in ("drain_delay_seconds", "drain_seconds") for value in (-0.1, float("nan"))],
        ("max_attachments", 0),
        ("max_attachments", 1_001),
        ("max_payload", 0),
        ("transports", ()),
    ],
)
def test_what_cannot_work(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match="max_http_buffer_size" if name == "max_payload" else name):
        Settings(**{name: value})


def test_as_many_attachments_as_there_may_be() -> None:
    assert Settings(max_attachments=1_000).max_attachments == 1_000
