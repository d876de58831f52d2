"""What the methods of the public API do, as ``help()`` finds it."""

from __future__ import annotations

import inspect

import pytest

from roomcast.core.contract import Emitting, Managing, Serving


@pytest.mark.parametrize("contract", [Emitting, Serving, Managing])
def test_each_method_has_a_text(contract: type) -> None:
    methods = [name for name, value in vars(contract).items() if inspect.isfunction(value)]
    assert methods
    assert all(inspect.getdoc(getattr(contract, name)) for name in methods)


class Mine(Serving):
    """A server."""

    def emit(self, event: str, *args: object, **more: object) -> None:
        pass


def test_whoever_overrides_one_without_a_text_has_this_one() -> None:
    assert inspect.getdoc(Mine.emit) == inspect.getdoc(Emitting.emit)


def test_a_contract_does_nothing() -> None:
    serving = Serving()
    assert serving.emit("e") is None
    assert serving.shutdown() is None
    with pytest.raises(NotImplementedError):
        serving.rooms("sid")
