"""What an ``async_mode`` names is loaded when it is named."""

from __future__ import annotations

import pytest

from roomcast.async_modes import Mode, load
from roomcast.errors import SettingsError

MODES = {"here": Mode("roomcast.errors:SettingsError"), "nowhere": Mode("roomcast.no_such_module:X", "extra")}


def test_it_is_loaded() -> None:
    assert load("here", MODES) is SettingsError


def test_a_name_that_does_not_exist_is_answered_with_those_that_do() -> None:
    with pytest.raises(ValueError, match="no async_mode 'there'; there are 'here', 'nowhere'"):
        load("there", MODES)


def test_what_is_not_installed_is_named_with_its_cause() -> None:
    with pytest.raises(SettingsError, match=r"pip install 'roomcast\[extra\]'") as raised:
        load("nowhere", MODES)
    assert isinstance(raised.value.__cause__, ImportError)
