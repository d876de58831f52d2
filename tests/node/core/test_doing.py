"""The colourless half of doing a node's work: each kind has its method."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from roomcast.core import work as kinds
from roomcast.core.counters import Counters
from roomcast.core.doing import Doing
from roomcast.exceptions import ConnectionRefusedError as Refused


class Recording(Doing):
    """A driver that notes what it is asked to do."""

    def __init__(self) -> None:
        super().__init__(Counters(), logging.getLogger("test.doing"), None)
        self.done: list[tuple[str, Any]] = []

    def call_handler(self, work: Any) -> Any:
        self.done.append(("handler", work))
        return "waits"

    def _call_connect(self, work: Any) -> None:
        self.done.append(("connect", work))

    def _call_disconnect(self, work: Any) -> None:
        self.done.append(("disconnect", work))

    def _notify(self, work: Any) -> None:
        self.done.append(("notify", work))

    def _pause(self, work: Any) -> None:
        self.done.append(("pause", work))

    def _settle_ack(self, work: Any) -> None:
        self.done.append(("settle", work))

    def _several(self, work: Any) -> None:
        self.run(work.works)


class Bus:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def draw_tag(self) -> None:
        self.told.append("draw")

    def reset(self) -> None:
        self.told.append("reset")


class Owner:
    """Of a link."""

    def __init__(self) -> None:
        self.owner = self
        self.ended: list[Any] = []

    def end(self, *how: Any) -> None:
        self.ended.append(how)


HANDLER = kinds.CallHandler(None, [], None, None)  # type: ignore[arg-type]  # nobody looks into it


def connect(name: str = "/") -> Any:
    class Socket:
        class namespace:  # as sockets have it
            pass

    Socket.namespace.name = name  # type: ignore[attr-defined]  # as above
    return kinds.CallConnect(None, (), Socket)  # type: ignore[arg-type]  # what is used of one


def test_every_kind_of_work_can_be_done() -> None:
    driver = Recording()
    named = {getattr(kinds, name) for name in kinds.__all__ if isinstance(getattr(kinds, name), type)}
    assert named <= set(driver._do)
    with pytest.raises(KeyError):
        driver.do("nonsense")


def test_each_kind_has_its_method_in_order() -> None:
    driver = Recording()
    works = [
        connect(),
        kinds.CallDisconnect(None, (), None),  # type: ignore[arg-type]  # nobody looks into it
        kinds.Notify(print, ()),
        kinds.PauseReading(1.0),
        kinds.SettleAck(None),
    ]
    assert driver.do(HANDLER) == "waits"
    assert driver.do(kinds.Several(tuple(works))) is None
    assert driver.do(None) is None
    assert [name for name, _ in driver.done] == ["handler", "connect", "disconnect", "notify", "pause", "settle"]
    assert [work for _, work in driver.done[1:]] == works


def test_links_are_closed_by_their_owners() -> None:
    owner = Owner()
    Recording().do(kinds.CloseLink(owner, 1000, "bye", b"tail"))
    assert owner.ended == [(1000, "bye", b"tail")]


def test_what_concerns_the_broker_is_the_buses() -> None:
    driver = Recording()
    driver.run([kinds.DrawTag(), kinds.ResetBroker()])  # a server that stands alone has none
    driver.bus = bus = Bus()
    driver.run([kinds.DrawTag(), kinds.ResetBroker()])
    assert bus.told == ["draw", "reset"]


def test_reports_are_written(caplog: pytest.LogCaptureFixture) -> None:
    Recording().do(kinds.Report("warning", "rare"))
    assert [(each.name, each.levelname, each.getMessage()) for each in caplog.records] == [
        ("roomcast.cluster", "WARNING", "rare")
    ]


@pytest.mark.parametrize("error", [None, Refused("no"), ConnectionRefusedError(), ValueError()])
def test_a_refusal_is_no_failure(error: BaseException | None, caplog: pytest.LogCaptureFixture) -> None:
    driver = Recording()
    driver.connect_failed(connect("/chat"), error)
    failed = isinstance(error, ValueError)
    assert driver.counters.handler_errors["connect"] == failed
    assert ("the connect handler of '/chat' raised ValueError" in caplog.text) is failed


@pytest.mark.parametrize(
    "method", ["call_handler", "_call_connect", "_call_disconnect", "_notify", "_pause", "_settle_ack", "_several"]
)
def test_what_is_the_drivers_is_not_here(method: str) -> None:
    with pytest.raises(NotImplementedError):
        getattr(Doing(Counters(), logging.getLogger("test.doing"), None), method)(None)
