"""A whole backtest on a small market: the same wherever it is decided, resumed where it stopped, told in full."""

from __future__ import annotations

import csv
import datetime as dt
import io
from pathlib import Path

import pytest
from recorded_market import LAST, write_market

from evals.backtest import decisions as deciding
from evals.backtest import run as running
from evals.backtest.__main__ import GENERATED, main
from evals.backtest.notes import ALWAYS
from evals.backtest.records import Backtest, Request
from evals.backtest.report import FILES, page_lines, write_report
from evals.backtest.run import RECORD, calendar, load_backtest, request_of, run_backtest
from evals.backtest.tables import SHORT, verdicts, window_rows
from evals.executors import Cluster, Executor, Processes, Serial
from tools.errors import UsageError

DAYS = [dt.date(2024, 10, 1), dt.date(2024, 12, 1)]
DEAD_FROM = dt.date(2024, 12, 20)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half of the market of ``small_market``; the pool of the highest rate stops reporting before Christmas."""
    return write_market(tmp_path_factory.mktemp("market"), numbers=(1, 3, 4, 5, 7, 12), ends={12: DEAD_FROM})


@pytest.fixture(scope="module")
def request_() -> Request:
    asked = request_of("USD", 1e6, DAYS, LAST, levels=("high",))
    return asked.model_copy(update={"paths": 200})


@pytest.fixture(scope="module")
def serial(market: Path, request_: Request, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Backtest]:
    folder = tmp_path_factory.mktemp("serial")
    return folder, run_backtest(request_, str(market), folder, executor=Serial())


def test_processes_and_a_cluster_give_the_same_bytes_as_one_after_the_other(
    market: Path, request_: Request, serial: tuple[Path, Backtest], scheduler: str, tmp_path: Path
) -> None:
    executors: dict[str, Executor] = {"joblib": Processes(2), "dask": Cluster(scheduler)}
    for name, executor in executors.items():
        run_backtest(request_, str(market), tmp_path / name, executor=executor)
        assert (tmp_path / name / RECORD).read_bytes() == (serial[0] / RECORD).read_bytes()


def test_a_run_that_was_stopped_goes_on_where_it_stopped(
    market: Path, request_: Request, serial: tuple[Path, Backtest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (journal,) = serial[0].glob("decisions-*.jsonl")
    first, second = journal.read_bytes().splitlines(keepends=True)
    (tmp_path / journal.name).write_bytes(first + second[: len(second) // 2])  # what a kill leaves
    asked, seen = [], []
    real = deciding.decide_task
    monkeypatch.setattr(running, "decide_task", lambda task: (asked.append(task.day), real(task))[1])
    run_backtest(request_, str(market), tmp_path, progress=lambda done, of: seen.append((done, of)))
    assert asked == [str(DAYS[1])]
    assert seen == [(1, 2), (2, 2)]
    assert (tmp_path / RECORD).read_bytes() == (serial[0] / RECORD).read_bytes()
    assert (tmp_path / journal.name).read_bytes() == journal.read_bytes()


def test_every_strategy_has_a_book_and_a_pool_that_died_is_told(serial: tuple[Path, Backtest]) -> None:
    result = serial[1]
    kinds = {one.kind for one in result.strategies}
    assert kinds == {"adviser", "profile", "method", "equal", "greedy", "largest", "held", "patient", "risk_free"}
    days = (LAST - DAYS[0]).days
    for one in result.strategies:
        assert len(one.curve_net) == len(one.curve_priced) == days + 1
        assert one.curve_net[-1] == pytest.approx(1.0 + one.net.total_return, rel=1e-8)
        assert one.net.annual_return <= one.gross.annual_return + 1e-12
    greedy = next(one for one in result.strategies if one.strategy == "greedy.high")
    (died,) = greedy.events
    assert (died.kind, died.day) == ("silent", str(DEAD_FROM + dt.timedelta(days=4)))
    assert greedy.unpaid_days == (LAST - DEAD_FROM).days - 3
    assert result.trials.all == len(result.strategies) - 1
    assert set(ALWAYS) <= set(result.notes)
    assert any("from the charts" in note for note in result.notes)
    assert any("held at par" in note for note in result.notes)


def test_the_report_is_whole_says_who_lost_and_depends_on_the_record_alone(
    serial: tuple[Path, Backtest], tmp_path: Path
) -> None:
    folder, result = serial
    assert load_backtest(folder) == result
    write_report(result, folder)
    bodies = {name: (folder / name).read_bytes() for name in FILES}
    write_report(load_backtest(folder / RECORD), tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == bodies
    table = list(csv.DictReader(io.StringIO(bodies["table.csv"].decode())))
    assert [row["strategy"] for row in table] == [one.strategy for one in result.strategies]
    equity = list(csv.DictReader(io.StringIO(bodies["equity.csv"].decode())))
    assert len(equity) == len(table) * ((LAST - DAYS[0]).days + 1)
    assert equity[0]["day"] == str(DAYS[0])
    held = list(csv.DictReader(io.StringIO(bodies["holdings.csv"].decode())))
    for strategy in ("adviser.high", "equal.high"):
        weights = [float(row["weight"]) for row in held if (row["strategy"], row["day"]) == (strategy, str(DAYS[0]))]
        assert sum(weights) == pytest.approx(1.0)
    html = bodies["report.html"].decode()
    for line in verdicts(result):
        assert line.replace("'", "&#39;") in html
    assert "<script" not in html
    assert "http:" not in html.replace("http://www.w3.org/2000/svg", "")
    assert "https:" not in html
    for name in ("equity.png", "drawdown.png"):
        assert bodies[name].startswith(b"\x89PNG")
    lines = list(page_lines([result]))
    assert f"| {' | '.join(SHORT)} |" in lines


def test_the_windows_between_decisions_make_up_the_whole(serial: tuple[Path, Backtest]) -> None:
    columns, rows = window_rows(serial[1])
    assert [row[:2] for row in rows] == [(str(day), "high") for day in DAYS]
    days = [(end - start).days for start, end in zip(DAYS, [*DAYS[1:], LAST], strict=True)]
    books = {one.strategy: one for one in serial[1].strategies}
    for kind, name in (("adviser", "adviser.high"), ("largest", "largest"), ("risk_free", "risk_free")):
        column = columns.index(kind)
        grown = [(1.0 + float(row[column].rstrip("%")) / 100.0) ** (n / 365) for row, n in zip(rows, days, strict=True)]
        assert grown[0] * grown[1] == pytest.approx(books[name].curve_net[-1], abs=1e-4)


def test_what_is_never_changed_is_the_first_choice_that_holds_something(serial: tuple[Path, Backtest]) -> None:
    first, second = serial[1].days
    nothing = [one.model_copy(update={"holdings": [], "reason": "nothing passes"}) for one in first.decisions]
    later = second.model_copy(update={"day": "2025-01-15"})
    plans = running._strategies([first.model_copy(update={"decisions": nothing}), second, later])
    assert {day: bool(one.holdings) for day, one in plans["held.high"].items()} == {
        str(DAYS[0]): False,
        str(DAYS[1]): True,
    }
    assert len(plans["adviser.high"]) == 3


def test_the_page_takes_the_tables_between_its_marks(serial: tuple[Path, Backtest], tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{GENERATED[0]}\nwritten before\n{GENERATED[1]}\nafter\n")
    main([str(serial[0]), "--out", str(page)])
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "## USD, $1,000,000, 2024-10-01, 2024-12-01, to 2025-02-28" in text
    assert "written before" not in text


def test_verdicts_name_losses_as_plainly_as_gains(serial: tuple[Path, Backtest]) -> None:
    result = serial[1]
    one = result.comparisons[0]
    lost = one.model_copy(update={"difference": -0.02, "low": -0.03, "high": -0.01})
    unclear = one.model_copy(update={"difference": -0.02, "low": -0.03, "high": 0.01})
    same = one.model_copy(update={"difference": 0.0, "low": 0.0, "high": 0.0})
    said = verdicts(result.model_copy(update={"comparisons": [lost, unclear, same]}))
    assert said[0].startswith("At high risk the adviser lost to equal weights")
    assert "2.00 percentage points a year less (-3.00 to -1.00)" in said[0]
    assert "cannot be told from" in said[1]
    assert said[2] == "At high risk the adviser earned the same as equal weights of all eligible pools."


def test_a_calendar_ends_before_the_end() -> None:
    days = calendar(dt.date(2024, 10, 1), dt.date(2024, 11, 30), 30)
    assert days == [dt.date(2024, 10, 1), dt.date(2024, 10, 31)]
    with pytest.raises(UsageError, match="at least one"):
        request_of("USD", 1e6, [], LAST)
