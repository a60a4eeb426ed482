"""``plimsoll backtest``: what following the adviser would have come to, beside simpler rules."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plimsoll.options import AssetName, day_of
from plimsoll.terminal import echo, progress_bar
from tools.errors import UsageError, VerificationError

if TYPE_CHECKING:
    from evals.backtest.records import Backtest, Request

OUT = Path("out/backtest")
EVERY_DAYS = 30
MOST_DAYS = 400
LARGEST_USD = 1e12


def backtest(
    source: Annotated[
        str, typer.Option("--source", envvar="PLIMSOLL_SOURCE", help="a folder of recorded answers, or demo")
    ] = "demo",
    asset: Annotated[AssetName, typer.Option("--asset", help="what is held")] = AssetName.USD,
    amount: Annotated[float, typer.Option("--amount", metavar="DOLLARS", help="dollars' worth of it")] = 1_000_000.0,
    days: Annotated[
        str | None, typer.Option("--days", metavar="DATES", help="days to decide on, separated by commas")
    ] = None,
    start: Annotated[str | None, typer.Option("--start", metavar="DATE", help="the first day to decide on")] = None,
    every: Annotated[
        int, typer.Option("--every", metavar="DAYS", min=1, help="from --start on, so often")
    ] = EVERY_DAYS,
    end: Annotated[str | None, typer.Option("--end", metavar="DATE", help="the last day of the outcome")] = None,
    seed: Annotated[int, typer.Option("--seed", envvar="PLIMSOLL_SEED", help="seed of the simulation")] = 0,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="where everything is written")] = OUT,
    workers: Annotated[int, typer.Option("--workers", min=1, max=256, help="processes to decide in")] = 1,
    cluster: Annotated[
        str | None, typer.Option("--cluster", metavar="ADDRESS", help="a dask scheduler to decide on, tcp://HOST:PORT")
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option("--check", metavar="FOLDER", help="run again what a folder holds, and compare the bytes"),
    ] = None,
) -> None:
    """Decide on days of the past with what was known then, follow the books to the end, and compare.

    A run that was stopped goes on where it stopped. Strategies, columns and what they can prove: docs/backtest.md.
    """
    from evals.backtest.report import write_report
    from evals.backtest.run import load_backtest, run_backtest
    from evals.executors import executor_for

    executor = executor_for(workers, cluster)
    earlier = None if check is None else load_backtest(check)
    request = earlier.request if earlier else _request(asset, amount, _days(days, start, every, end), end, seed)
    with progress_bar("Deciding") as progress:
        result = run_backtest(request, source, out, executor=executor, progress=progress)
    paths = write_report(result, out)
    _show(result)
    echo(f"report: {next(path for path in paths if path.suffix == '.html')}")
    if earlier is not None:
        _compare(check, earlier, result, out)


def _compare(folder: Path | None, earlier: Backtest, result: Backtest, out: Path) -> None:
    """Say whether a run came out as before; raises VerificationError where it did not."""
    changed = earlier.program_sha256 != result.program_sha256
    said = " by another version of the program" if changed else ""
    if earlier.model_copy(update={"program_sha256": result.program_sha256}) != result:
        raise VerificationError(f"{folder}: run again{said}, it comes out otherwise; the new record is in {out}")
    echo(f"{folder}: the same, run again{said}")


def _days(days: str | None, start: str | None, every: int, end: str | None) -> list[dt.date]:
    """Return the days to decide on; raises UsageError unless they are given in exactly one way."""
    from evals.backtest.run import calendar

    if (days is None) == (start is None):
        raise UsageError("give either --days 2024-10-01,2024-12-01 or --start 2024-10-01 (with --every 30), and --end")
    if end is None:
        raise UsageError("--end says on which day the outcome is read off, such as 2025-02-28")
    last = _day(end, "--end")
    found = (
        [_day(text, "--days") for text in (days or "").split(",")]
        if start is None
        else calendar(_day(start, "--start"), last, every)
    )
    if len(found) > MOST_DAYS:
        raise UsageError(f"{len(found)} decisions are more than {MOST_DAYS}; take a longer --every")
    return found


def _day(text: str, option: str) -> dt.date:
    day = day_of(text.strip(), option)
    assert day is not None
    return day


def _request(asset: AssetName, amount: float, days: list[dt.date], end: str | None, seed: int) -> Request:
    from evals.backtest.run import request_of

    if not 0.0 < amount <= LARGEST_USD:
        raise UsageError(f"--amount must be dollars above 0 and up to {LARGEST_USD:g}, not {amount:g}")
    return request_of(asset.value, amount, days, _day(end or "", "--end"), seed=seed)


def _show(result: Backtest) -> None:
    """Print the table, who won against whom, and what must be known before it is believed."""
    from evals.backtest.tables import SHORT, overfitting_line, short_rows, verdicts

    rows = [SHORT, *short_rows(result)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(SHORT))]
    if result.synthetic:
        echo("SYNTHETIC MARKET: these are not real pools")
    for row in rows:
        echo(
            "  ".join(
                cell.ljust(w) if n == 0 else cell.rjust(w) for n, (cell, w) in enumerate(zip(row, widths, strict=True))
            )
        )
    echo()
    for line in verdicts(result):
        echo(line)
    echo()
    echo("Probability of overfitting:")
    for one in result.overfitting:
        if one.basis == "net":
            echo(f"  {overfitting_line(one)}")
    echo()
    for note in result.notes:
        echo(f"Note: {note}")
