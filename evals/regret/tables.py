"""The regret suite's part of the report: who loses how much at which size, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from evals.intervals import Interval, Statistic, bootstrap, mean, median, p95
from evals.records import CaseResult
from evals.suite import Bar, Cells, Plot, Section, Table
from tools.units import FloatArray

SIZES = {10_000.0: "$10 k", 1_000_000.0: "$1 M", 10_000_000.0: "$10 M", 50_000_000.0: "$50 M"}
COLUMNS = ("adviser", "cases", "mean", "median", "p95", "worst", "limits broken in", "no answer in")
STATISTICS: tuple[Statistic, ...] = (mean, median, p95)


class Group(NamedTuple):
    """Some of the results, and what they are called."""

    name: str
    results: Sequence[CaseResult]


def sections(
    results: Sequence[CaseResult], baselines: Sequence[str], ours: Sequence[str], others: Sequence[str]
) -> tuple[Section, ...]:
    """Return the tables and plots: by size, by asset and size, our margin over the simple rules, the certificates."""
    scored = [result for result in results if result.error is None]
    if not scored:
        return ()
    names = (*ours, *baselines, *others)
    served = [result for result in scored if result.details["servable"]]
    everywhere = _by_size(scored)
    return (
        *(_plot(group, "all markets", names) for group in everywhere),
        *(_table(group, "all markets", names) for group in everywhere),
        *(_table(group, "markets that our whole program was asked about", names) for group in _by_size(served)),
        _margins("all markets", everywhere, baselines, ours),
        _margins("markets that our whole program was asked about", _by_size(served), baselines, ours),
        *(_table(group, asset, names, in_documents=False) for asset in ("USD", "ETH", "BTC")
          for group in _by_size([result for result in scored if result.details["asset"] == asset])),
        _certificates(scored),
    )  # fmt: skip


def _by_size(results: Sequence[CaseResult]) -> list[Group]:
    sizes = sorted({result.details["amount_usd"] for result in results})
    return [
        Group(SIZES.get(size, f"${size:,.0f}"), [r for r in results if r.details["amount_usd"] == size])
        for size in sizes
    ]


def _regrets(results: Sequence[CaseResult], name: str) -> FloatArray:
    scores = (result.scores.get(f"regret.{name}") for result in results)
    return np.array([score.value for score in scores if score is not None and score.value is not None])


def _table(group: Group, of: str, names: Sequence[str], *, in_documents: bool = True) -> Table:
    """Return the advisers that were asked about all of a group's cases: figures over different cases do not compare."""
    rows = tuple(row for name in names if (row := _row(group.results, name)) is not None)
    title = f"Regret at {group.name}, {of}: basis points a year (95% of resamples)"
    return Table(title, COLUMNS, rows, in_documents=in_documents)


def _row(results: Sequence[CaseResult], name: str) -> Cells | None:
    regrets = _regrets(results, name)
    if regrets.size < len(results):
        return None
    asked = [result for result in results if f"regret.{name}" in result.scores]
    broken = sum(bool(result.scores[f"limits.{name}"].value) for result in asked)
    silent = sum(name in result.details["idle"] for result in asked)
    figures = (shown(bootstrap(regrets, statistic)) for statistic in STATISTICS)
    return (name, str(regrets.size), *figures, bps(float(regrets.max())), str(broken), str(silent))


def _plot(group: Group, of: str, names: Sequence[str]) -> Plot:
    bars = []
    for name in names:
        regrets = _regrets(group.results, name)
        if regrets.size == len(group.results):
            found = bootstrap(regrets)
            bars.append(Bar(name, *found))
    return Plot(f"Mean regret at {group.name}, {of}", "bp a year", tuple(bars))


def _margins(of: str, groups: Sequence[Group], baselines: Sequence[str], ours: Sequence[str]) -> Table:
    """Put each of ours beside the simple rule with the least mean at that size: the difference over the same cases."""
    return Table(
        f"Ours less the best simple rule, {of}: mean difference in basis points a year (95% of resamples)",
        ("size", "adviser", "best simple rule", "its mean", "difference", "worse by more than 0.1 in"),
        tuple(_margin_rows(groups, baselines, ours)),
        "Below 0: ours loses less. The rule is chosen after the fact, at each size the one that did best there.",
    )


def _margin_rows(groups: Sequence[Group], baselines: Sequence[str], ours: Sequence[str]) -> Iterator[Cells]:
    for group in groups:
        for name in ours:
            asked = [result for result in group.results if f"regret.{name}" in result.scores]
            if len(asked) < len(group.results) or not asked:
                continue
            best = min(baselines, key=lambda rule: float(_regrets(asked, rule).mean()))
            rule, own = _regrets(asked, best), _regrets(asked, name)
            worse = int((own > rule + 0.1).sum())
            yield (
                group.name,
                name,
                best,
                bps(float(rule.mean())),
                shown(bootstrap(own - rule)),
                f"{worse} of {own.size}",
            )


def _certificates(results: Sequence[CaseResult]) -> Table:
    rows: list[Cells] = []
    for method in ("kkt", "branch_and_bound"):
        found: list[Any] = [r.details["optimum"] for r in results if r.details["optimum"]["method"] == method]
        if not found:
            continue
        gaps = [one["gap_bps"] for one in found]
        residuals = [one["kkt_bps"] for one in found if one["kkt_bps"] is not None]
        branches = [one["branches"] for one in found]
        rows.append(
            (
                method,
                str(len(found)),
                f"{float(np.median(gaps)):.1e}",
                f"{max(gaps):.1e}",
                f"{max(residuals):.1e}" if residuals else "-",
                f"{float(np.median(branches)):.0f}",
                str(max(branches)),
            )
        )
    columns = ("certificate", "cases", "gap, median (bp)", "gap, largest (bp)", "KKT missed by, at most (bp)",
               "branches, median", "branches, most")  # fmt: skip
    return Table("Certificates of the optimum", columns, tuple(rows))


def shown(found: Interval) -> str:
    """Write a figure with its interval."""
    return f"{bps(found.value)} ({bps(found.low)} to {bps(found.high)})"


def bps(value: float) -> str:
    """Write basis points with as many digits as they bear."""
    text = f"{value:.2f}" if abs(value) < 10.0 else f"{value:,.0f}"
    return text.replace("-0.00", "0.00")
