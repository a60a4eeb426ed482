"""What is left of a backtest for people: one HTML file that holds everything, tables, and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup

from evals.backtest import curves, tables
from evals.backtest.records import Backtest
from evals.markdown import table
from tools.flowchart.png import to_png
from tools.market.store import write_atomically
from tools.units import safe_label

FILES = ("table.csv", "equity.csv", "holdings.csv", "report.html", "equity.png", "drawdown.png")


def write_report(result: Backtest, folder: Path) -> list[Path]:
    """Write every file of ``FILES``; equal records give equal bytes. Returns their paths."""
    equity, drawdown = curves.equity(result), curves.drawdown(result)
    bodies = (
        tables.table_csv(result).encode(),
        tables.equity_csv(result).encode(),
        tables.holdings_csv(result).encode(),
        page(result, equity, drawdown).encode(),
        to_png(equity),
        to_png(drawdown),
    )
    paths = [folder / name for name in FILES]
    for path, body in zip(paths, bodies, strict=True):
        write_atomically(path, body)
    return paths


def page(result: Backtest, equity: str, drawdown: str) -> str:
    """Return the report as one HTML document: no script, no request, every text escaped."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(
        (resources.files("evals") / "templates" / "backtest.html.j2").read_text(encoding="utf-8")
    )
    shown = [one for one in result.strategies if one.kind in ("adviser", "greedy", "equal", "largest")]
    return template.render(
        result=result,
        verdicts=tables.verdicts(result),
        columns=tables.SHORT,
        rows=tables.short_rows(result),
        windows=tables.window_rows(result),
        overfitting=[tables.overfitting_line(one) for one in result.overfitting if one.basis != "gross"],
        held=[(one.strategy, list(tables.held_rows(result, one.strategy))) for one in shown],
        earned_columns=tables.EARNED,
        earned=[(one.strategy, tables.earned_rows(one)) for one in shown],
        events=[
            (one, safe_label(one.name), safe_label(one.note, 120)) for own in result.strategies for one in own.events
        ],
        missing=sorted({one.net.sharpe_missing for one in result.strategies if one.net.sharpe_missing}),
        equity=Markup(equity),  # noqa: S704 - drawn by ``curves``, which escapes every text
        drawdown=Markup(drawdown),  # noqa: S704
    )


def page_lines(results: Sequence[Backtest]) -> Iterator[str]:
    """Yield the generated part of ``docs/backtest.md``: for each run its table, verdicts and what it cannot prove.

    The first with every strategy and what the adviser held, the others with the adviser and what it is held against.
    """
    for number, result in enumerate(results):
        asked = result.request
        yield f"## {asked.asset}, ${asked.amount_usd:,.0f}, {_days(asked.days)}, to {asked.end}"
        yield ""
        yield from table(tables.SHORT, tables.short_rows(result, brief=number > 0))
        yield from (f"- {line}" for line in tables.verdicts(result))
        yield ""
        yield "Net, a year, from one decision to the next:"
        yield ""
        yield from table(*tables.window_rows(result))
        trials = result.trials
        yield (
            f"{trials.all} strategies were tried, {trials.distinct} with a series of their own, as many as "
            f"{trials.effective:.1f} independent ones. Blocks of {result.block_days} days. Probability of overfitting:"
        )
        yield ""
        yield from (f"- {tables.overfitting_line(one)}" for one in result.overfitting if one.basis == "net")
        yield ""
        yield from () if number else _held(result)


def _held(result: Backtest) -> Iterator[str]:
    yield "What the adviser held:"
    yield ""
    for level in result.request.levels:
        for day, candidate, pools in tables.held_rows(result, f"adviser.{level}"):
            yield f"- {level}, {day}, `{candidate}`: {pools}"
    yield ""


def _days(days: Sequence[str]) -> str:
    """Name the days of a calendar: all of a few, else the first and how many."""
    return ", ".join(days) if len(days) <= 4 else f"{len(days)} decisions from {days[0]}"
