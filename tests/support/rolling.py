"""A rolling restart, as an operator's tool does it, and what must be true of it (faults.md F17)."""

from __future__ import annotations

from collections import Counter

from tests.support.balanced_nodes import BalancedNode, BalancedNodes
from tests.support.balancers import HAProxy
from tests.support.crowd import Crowd, Ticker
from tests.support.services import wait_for
from tests.support.verdicts import Verdict

WORDS = 5
"""What a node says in the turns before it is told to stop: more than a poll that is held can carry away."""


class Rolling:
    """Restarts nodes one after another while ``crowd`` listens to ``ticker``, and keeps the books."""

    def __init__(self, nodes: BalancedNodes, haproxy: HAProxy, crowd: Crowd, ticker: Ticker) -> None:
        self._nodes = nodes
        self._haproxy = haproxy
        self._crowd = crowd
        self._ticker = ticker
        self._restarts: Counter[str | None] = Counter()
        self._owed: dict[str, list[int]] = {}

    def round(self) -> None:
        """Every node once."""
        for node in self._nodes:
            self.restart(node)

    def restart(self, node: BalancedNode) -> None:
        """One node, which is told to stop in the very turn in which there is something in the outboxes of its clients.

        Returns when it is back, HAProxy has seen that, and all clients are connected and hear what is said.
        """
        there = [number for number, each in enumerate(self._crowd.until_there()) if each.tag == node.tag]
        assert there, f"nobody is on {node.tag}"
        self._restarts[node.tag] += 1
        name = f"{node.tag}, {self._restarts[node.tag]}"
        self._owed[name] = there
        seen = self._haproxy.ups()
        self._crowd.emit(there[0], "last_words", name, WORDS)
        code = self._nodes.stopped(node)
        assert code == 0, f"{node.tag} ended with {code}\n{node.log()}"
        assert "have not read all" not in node.log()
        node.start()
        wait_for(lambda: self._haproxy.ups() > seen, self._haproxy.log)
        self._crowd.until_there()
        self._crowd.until_heard(self._ticker.number + 1)

    def judge(self) -> Verdict:
        """No 5xx; at most one reconnect for each restart of the node that a client was on; what was in its outbox when
        that was told to stop has arrived; what it missed, it missed while it knew that it was away.
        """
        verdict = Verdict(self._crowd.report())
        errors, troubles = verdict.server_errors(), verdict.troubles(but="disconnect")
        assert errors == [], errors
        assert troubles == [], troubles
        for report, leavings in zip(verdict.reports, verdict.leavings(), strict=True):
            assert leavings <= self._restarts, f"{report.history}"
        reports = verdict.reports
        words = [(name, reports[number].words.get(name)) for name, there in self._owed.items() for number in there]
        lost = [(name, heard) for name, heard in words if heard != list(range(WORDS))]
        assert lost == [], lost
        return verdict
