"""What the reports of a crowd of clients add up to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from tests.support.crowd import Report


class Verdict:
    """``reports`` are those of all clients."""

    def __init__(self, reports: Sequence[Report]) -> None:
        self.reports = reports

    # --- what went wrong ----------------------------------------------------------------------------------------------

    def troubles(self, but: str = "") -> list[str]:
        """Everything that a client would complain about, ``but`` for one kind of happening."""
        kinds = [kind for kind in ("disconnect", "error", "upgrade error") if kind != but]
        found = [
            f"{report.group}: {each.what} on {each.tag}: {each.more}"
            for report in self.reports
            for each in report.happened(*kinds)
        ]
        found += [f"{report.group}: {report.repeats} heard twice" for report in self.reports if report.repeats]
        found += [
            f"{report.group}: missed {gap.first} to {gap.last} while it was connected"
            for report in self.reports
            for gap in report.gaps
            if gap.within
        ]
        return found

    def server_errors(self) -> list[str]:
        """Everything that had to do with an HTTP status from 500."""
        return [
            f"{report.group}: {each.what} on {each.tag} at {each.at:.3f}: {each.more}"
            for report in self.reports
            for each in report.history
            if each.status is not None and each.status >= 500
        ]

    def missed(self) -> int:
        """Ticks that clients have missed, altogether."""
        return sum(gap.last - gap.first + 1 for report in self.reports for gap in report.gaps)

    def unanswered(self) -> int:
        """Questions that got no answer (yet)."""
        return sum(report.asked - report.answered for report in self.reports)

    # --- who was where ------------------------------------------------------------------------------------------------

    def least_share(self) -> float:
        """The part of all clients that the node with the fewest got at their first connection."""
        first = Counter(report.happened("connect")[0].tag for report in self.reports)
        return min(first.values()) / len(self.reports)

    def tags_by_group(self) -> dict[str, set[str | None]]:
        """The nodes that the clients of each group came to first."""
        found: dict[str, set[str | None]] = defaultdict(set)
        for report in self.reports:
            found[report.group].add(report.happened("connect")[0].tag)
        return dict(found)

    def leavings(self) -> list[Counter[str | None]]:
        """For each client, how often its connection to which node has ended."""
        return [Counter(each.tag for each in report.happened("disconnect")) for report in self.reports]

    def away(self) -> list[float]:
        """Seconds from the end of each connection to the next one of the same client."""
        found = []
        for report in self.reports:
            since: float | None = None
            for each in report.happened("connect", "disconnect"):
                if each.what == "disconnect":
                    since = each.at
                elif since is not None:
                    found.append(each.at - since)
                    since = None
        return found
