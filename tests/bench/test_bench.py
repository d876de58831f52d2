"""The bookkeeping of the benchmarks: what is run, what ratios mean, what the page says. Nothing is measured here."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from bench import brokers, contestants, report, wsgi
from bench.brokers import BOUND_US, CLOSE_ENOUGH, FIRST_RATE, HIGHEST_RATE, Figures, highest_rate
from bench.comparison import Measured
from bench.contestants import Contestant, Missing
from bench.generator import GeneratorFailed
from bench.mass_disconnect import Stall
from bench.report import BROKERS_HEADING, WSGI_HEADING, Run, render, section, with_section
from bench.workloads import WORKLOADS, chosen
from tests.contract.services import SERVICES


def test_workloads_are_chosen_by_the_beginnings_of_their_names() -> None:
    assert chosen(None) == WORKLOADS
    assert [workload.name for workload in chosen("fanout,sink")] == ["fanout", "fanout-burst", "sink"]
    with pytest.raises(ValueError, match="no workload begins with 'x'"):
        chosen("x")


def test_a_ratio_is_that_of_the_rounds_in_which_both_were_measured() -> None:
    measured = Measured()
    for round_, (mine, theirs) in enumerate([(1.0, 3.0), (2.0, 8.0), (1.0, 2.0)]):
        measured.add(("echo", "roomcast"), round_, mine, 10.0)
        measured.add(("echo", "node"), round_, theirs, 5.0)
    measured.add(("echo", "roomcast"), 3, 100.0, 0.0)
    assert measured.ratio("echo", "roomcast", "node") == (3.0, 2.0, 4.0)
    assert measured.ratio("echo", "roomcast", "nobody") is None
    assert measured.figure("echo", "node") == 3.0
    assert measured.rate("echo", "node") == 5.0
    assert measured.figure("sink", "node") is None


def test_a_peer_that_is_not_installed_is_named_and_nothing_is_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CARGO_TARGET_DIR", str(tmp_path))
    found, missing = contestants.find_peers(["rust", "node"])
    assert found == []
    assert [each.name for each in missing] == ["rust", "node"]
    assert all(each.install for each in missing)
    with pytest.raises(ValueError, match="unknown peer nobody"):
        contestants.find_peers(["nobody"])


def test_a_peer_that_was_built_elsewhere_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "release" / "rust_app"
    program.parent.mkdir()
    program.touch()
    monkeypatch.setenv("CARGO_TARGET_DIR", str(tmp_path))
    assert contestants.rust() == Contestant("rust", (str(program), "{port}"))


def test_the_page_says_what_was_measured_and_what_was_not() -> None:
    measured = Measured(failures=["sink against node: lost\nmore"])
    measured.add(("echo", "roomcast"), 1, 2.0, 1_000.0)
    measured.add(("echo", "node"), 1, 5.0, 400.0)
    page = render(
        Run(
            names=["roomcast", "node"],
            workloads=chosen("echo"),
            measured=measured,
            missing=[Missing("rust", "build it")],
            stalls=[Stall(5_000, 0.012, 0.01, 0.2)],
            rounds=1,
            seconds=3,
            load=0.5,
        )
    )
    assert "Only ratios within one run count" in page
    assert "**2.00 µs** | 5.00 µs<br>**×2.50** [2.50–2.50]" in page
    assert "failed" in page, "echo-deep gave no figure"
    assert "12.0 ms" in page
    assert "not installed: rust (build it)" in page
    assert "Failed: sink against node: lost" in page


def test_the_recorded_page_names_no_machine() -> None:
    if report.RESULTS.is_file():
        assert "@" not in report.RESULTS.read_text(encoding="utf-8")


@pytest.mark.parametrize("highest", [0, 500, 730, 12_345, 10**9])
def test_the_highest_rate_is_searched_for(highest: int) -> None:
    asked: list[int] = []

    def measure(rate: int) -> dict[str, int]:
        asked.append(rate)
        if rate > 2 * highest:
            raise GeneratorFailed("lost")
        return {"p99_us": 1_000 if rate <= highest else BOUND_US}

    found = highest_rate(measure)
    assert len(asked) < 20
    assert all(rate <= 2 * HIGHEST_RATE for rate in asked)
    if highest < FIRST_RATE:
        assert found == 0
    elif highest > HIGHEST_RATE:
        assert found > HIGHEST_RATE / 2
    else:
        assert highest / CLOSE_ENOUGH <= found <= highest


def test_sections_that_others_write_outlive_a_new_page() -> None:
    ours = brokers.render({"redis": {"roomcast": Figures(800, 5_400, 60_000)}}, 3)
    assert "| redis | roomcast | 0.8 ms | 5.4 ms | 60,000/s |" in ours
    theirs = f"{WSGI_HEADING}\n\nfast\n"
    page = "# Results\n\n## Everybody leaves\n\nat once\n"
    one = with_section(page, BROKERS_HEADING, ours)
    assert (section(one, BROKERS_HEADING), section(one, WSGI_HEADING)) == (ours, "")
    both = with_section(one, WSGI_HEADING, theirs)
    assert both == with_section(with_section(page, WSGI_HEADING, theirs), BROKERS_HEADING, ours)
    assert both.startswith(page)
    assert (section(both, BROKERS_HEADING), section(both, WSGI_HEADING)) == (ours, theirs)
    assert with_section(both, WSGI_HEADING, theirs) == both


def test_the_table_of_blocking_servers_compares_each_with_its_own_kind() -> None:
    measured = Measured()
    for number, contestant in enumerate((*wsgi.THREADS, *wsgi.GEVENT), 1):
        measured.add(("fanout", contestant.name), 1, float(number), 1.0)
    workloads = tuple(each for each in chosen(wsgi.WORKLOADS) if each.name == "fanout")
    text = wsgi.render(workloads, measured, Namespace(rounds=1, seconds=3), 0.5)
    assert text.startswith(f"{WSGI_HEADING}\n")
    assert text.count("×2.00") == 1
    assert text.count("×1.33") == 1


def test_every_broker_that_is_measured_is_one_of_the_contract_suite() -> None:
    assert set(brokers.BROKERS) <= {row.name for row in SERVICES}
