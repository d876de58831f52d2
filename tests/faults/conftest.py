"""A cluster that stands for the whole run and is repaired before each test, and the record of what was measured."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from tests.support.fault_cluster import FaultCluster
from tests.support.fault_results import Results


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The full tests take as long as they take, whatever time the short versions of them have."""
    for item in items:
        if item.get_closest_marker("faults") is not None:
            item.add_marker(pytest.mark.timeout(0), append=False)


@pytest.fixture(scope="session")
def standing() -> Iterator[FaultCluster]:
    """Three nodes on one Redis; starting them for each test would take longer than most tests."""
    with FaultCluster(nodes=3) as cluster:
        yield cluster


@pytest.fixture
def cluster(standing: FaultCluster) -> FaultCluster:
    """Three nodes that run, each behind its proxy, and their Redis. A test may do to them whatever it likes."""
    standing.repair()
    return standing


@pytest.fixture(scope="session")
def results() -> Iterator[Results]:
    """Where full tests write what they measured; the page is written when the session ends."""
    results = Results()
    yield results
    results.write()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With a test that failed stands what the nodes wrote."""
    report = yield
    cluster = getattr(item, "funcargs", {}).get("cluster")
    if report.failed and isinstance(cluster, FaultCluster):
        report.sections.append(("nodes", cluster.logs()))
    return report
