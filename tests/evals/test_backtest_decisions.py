"""Decisions of a backtest know nothing of what comes after their day; the market of a day is made of what is known."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest
from recorded_market import LAST, absurd, altered, removed, spoil_future, write_market

from agents.solving import Solver
from agents.state import Settings
from evals.allocation import mandate_of
from evals.backtest import decisions as deciding
from evals.backtest import known
from evals.backtest.decisions import Task, decide_task
from evals.backtest.known import FIGURES, KnownMarket, fingerprint, is_recorded, open_known
from tools.errors import SnapshotMissing, UsageError
from tools.market.sources.folder import FolderSource
from tools.records import RiskLevel

DAY = dt.date(2024, 11, 15)
PATHS = 500


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_market(tmp_path_factory.mktemp("market"), numbers=(1, 3, 4, 5, 7, 12))


def decided(folder: Path, day: dt.date = DAY, risk: RiskLevel = "high") -> bytes:
    """The bytes of a day's decisions, with nothing kept from an earlier reading."""
    known.open_known.cache_clear()
    deciding._market_day.cache_clear()
    return decide_task(Task(str(folder), "USD", 1e6, day.isoformat(), risk, 0, PATHS)).model_dump_json().encode()


@pytest.fixture
def few_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planned methods alone: what is read of the market is the same, in half the time."""
    monkeypatch.setattr(deciding, "METHODS", ("equal", "inverse_volatility"))


@pytest.mark.usefixtures("few_methods")
def test_the_future_changes_no_byte_of_a_decision(market: Path, tmp_path: Path) -> None:
    before = decided(market)
    for spoil in (removed, altered, absurd):
        spoilt = Path(shutil.copytree(market, tmp_path / spoil.__name__))
        spoil_future(spoilt, DAY, spoil)
        assert fingerprint(str(spoilt)) != fingerprint(str(market))
        assert decided(spoilt) == before, spoil.__name__


@pytest.mark.usefixtures("few_methods")
def test_a_market_that_is_not_cut_would_be_noticed(
    market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail: a source that shows charts a day too long gives other bytes."""
    spoilt = shutil.copytree(market, tmp_path / "spoilt")
    spoil_future(spoilt, DAY, altered)
    row = KnownMarket._row
    monkeypatch.setattr(KnownMarket, "_row", lambda self, pool, day: row(self, pool, day + dt.timedelta(days=1)))
    assert decided(spoilt) != decided(market)


@pytest.mark.usefixtures("few_methods")
def test_the_future_of_the_recorded_market_changes_no_byte(market_folder: Path, tmp_path: Path) -> None:
    """On a day with a snapshot of its own; without one it is the test above."""
    day = dt.date(2024, 10, 1)
    spoilt = tmp_path / "spoilt"
    for part in ("pools", "charts", "prices", "rates"):
        shutil.copytree(market_folder / part, spoilt / part)
    shutil.copy(market_folder / "hacks.json", spoilt)
    for path in spoilt.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    spoil_future(spoilt, day, absurd)
    assert decided(spoilt, day) == decided(market_folder, day)


def test_every_strategy_of_a_level_decides_once_and_nothing_is_left_unsaid(market: Path) -> None:
    found = decide_task(Task(str(market), "USD", 1e6, DAY.isoformat(), "high", 0, PATHS))
    names = [one.strategy for one in found.decisions]
    assert len(names) == len(set(names))
    assert {"adviser.high", "profile.high.high_risk", "method.high.net_yield", "equal.high", "largest"} <= set(names)
    assert found.snapshot == "from charts"
    for one in found.decisions:
        assert (one.reason is None) == bool(one.holdings)
        assert sum(held.weight for held in one.holdings) == pytest.approx(1.0 if one.holdings else 0.0, abs=1e-9)
        assert all(0.0 < held.kept <= 1.0 for held in one.holdings)


@pytest.mark.usefixtures("few_methods")
def test_the_adviser_holds_what_the_whole_workflow_would(market: Path) -> None:
    source = open_known(str(market))
    asked = Solver(lambda asset, day: source, Settings(paths=PATHS)).decide(DAY)(mandate_of("USD", "medium", 1e6), {})
    found = decide_task(Task(str(market), "USD", 1e6, DAY.isoformat(), "medium", 0, PATHS))
    adviser = found.decisions[0]
    assert adviser.candidate == asked.candidate_id
    assert {held.pool_id: held.weight for held in adviser.holdings} == pytest.approx(asked.weights)


def test_a_market_that_cannot_be_used_is_a_result_with_its_reason(market: Path) -> None:
    found = decide_task(Task(str(market), "USD", 1e6, "2024-06-20", "low", 0, PATHS))
    assert found.decisions == []
    assert "usable history" in (found.reason or "")
    assert str(market) not in (found.reason or "")


def test_the_market_of_a_day_without_a_snapshot_is_that_of_its_charts(market: Path) -> None:
    source = KnownMarket(FolderSource(market))
    rows = {row["pool"]: row for row in source.pools(DAY)}
    charts = source.charts(sorted(rows), DAY)
    assert not is_recorded(source, DAY)
    for pool, chart in charts.items():
        assert chart is not None
        assert chart[-1]["timestamp"][:10] == DAY.isoformat()
        assert {name: rows[pool][name] for name in FIGURES} == {name: chart[-1].get(name) for name in FIGURES}
    with pytest.raises(SnapshotMissing, match="no pool with a chart"):
        source.pools(dt.date(2020, 1, 1))
    with pytest.raises(SnapshotMissing, match="a day is needed"):
        source.day(None)


def test_a_snapshot_that_was_recorded_is_preferred(market: Path) -> None:
    source = KnownMarket(FolderSource(market))
    assert is_recorded(source, LAST)
    assert source.pools(LAST) == FolderSource(market).pools(LAST)


def test_the_recorded_snapshots_come_out_of_the_charts_again(
    market_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The figures of every pool; of the names all but five, which have changed since and are the earlier ones here."""
    folder = FolderSource(market_folder)
    monkeypatch.setattr(KnownMarket, "recorded", lambda self, day: False)
    source, renamed = KnownMarket(folder), set()
    for day in (dt.date(2024, 10, 1), dt.date(2024, 12, 1), dt.date(2025, 1, 15), dt.date(2025, 2, 28)):
        recorded = {row["pool"]: row for row in folder.pools(day)}
        made = {row["pool"]: row for row in source.pools(day)}
        assert made.keys() == recorded.keys()
        for pool, row in made.items():
            assert {name: row[name] for name in FIGURES} == {name: recorded[pool][name] for name in FIGURES}
            if any(row[name] != recorded[pool][name] for name in ("project", "chain", "symbol")):
                renamed.add(pool)
    assert len(renamed) == 5


def test_a_market_without_a_past_is_refused() -> None:
    for name in ("live", "https://example.org", "/no/such/folder"):
        with pytest.raises(UsageError, match="a backtest needs the market of days past"):
            open_known(name)
