from __future__ import annotations

import pytest

from roomcast_brokers.backends.memory import MemoryBroker
from roomcast_brokers.errors import BrokerURLError, MissingExtraError
from roomcast_brokers.registry import BACK_ENDS, BackEnd, create, scheme_of


@pytest.mark.parametrize("url", ["memory://", "memory://name", "MEMORY://name"])
def test_memory(url: str) -> None:
    assert isinstance(create(url), MemoryBroker)


@pytest.mark.parametrize("scheme", sorted(BACK_ENDS))
def test_every_entry_of_the_table_can_be_made(scheme: str) -> None:
    assert create(f"{scheme}://").traits


@pytest.mark.parametrize(
    ("url", "hint"),
    [("memroy://", "did you mean memory://?"), ("carrier-pigeon://user:secret@roof", "there is memory://")],
)
def test_a_wrong_scheme_is_told_the_right_one(url: str, hint: str) -> None:
    with pytest.raises(BrokerURLError) as caught:
        create(url)
    assert hint in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "memory", "://", "memory:/x"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(BrokerURLError, match="named by a URL"):
        scheme_of(url)


def test_a_missing_package_names_its_extra() -> None:
    table = {"pigeon": BackEnd("a_package_that_nobody_has.here:Broker", "pigeon")}
    with pytest.raises(MissingExtraError, match=r"pip install 'roomcast-brokers\[pigeon\]'") as caught:
        create("pigeon://", table)
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_without_an_extra_the_import_error_speaks_for_itself() -> None:
    with pytest.raises(ModuleNotFoundError, match="a_package_that_nobody_has"):
        create("pigeon://", {"pigeon": BackEnd("a_package_that_nobody_has.here:Broker")})
