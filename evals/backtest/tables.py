"""A backtest as rows (all strategies, what was held when, the curves) and as sentences: who lost to whom."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterable, Iterator, Sequence

from evals.backtest.decisions import by_strategy
from evals.backtest.records import Backtest, Comparison, Figures, Overfitting, StrategyResult
from tools.units import BASIS_POINTS, DAYS_PER_YEAR, safe_label

Cells = tuple[str, ...]

TABLE = (
    "strategy", "risk", "total_return_net", "annual_return_gross", "annual_return_net", "annual_return_priced",
    "annual_volatility_net", "annual_volatility_priced", "sharpe_net", "sharpe_net_low", "sharpe_net_high",
    "sharpe_net_missing", "sharpe_priced", "sharpe_priced_low", "sharpe_priced_high", "sharpe_priced_missing",
    "deflated_sharpe_net", "deflated_sharpe_priced", "deflated_sharpe_effective_priced", "max_drawdown_net",
    "max_drawdown_priced", "cost", "turnover_per_year", "rebalancings", "idle_days", "unpaid_days", "events",
    "unpriced",
)  # fmt: skip
SHORT: Cells = (
    "strategy", "gross", "net", "net, with prices", "vol, with prices", "Sharpe, with prices", "deflated",
    "drawdown, with prices", "cost, bp", "turnover a year", "days idle",
)  # fmt: skip
HOLDINGS = ("strategy", "day", "candidate", "reason", "pool_id", "name", "chain", "tokens", "weight", "apy", "kept")
WINDOWS = ("adviser", "equal", "greedy", "largest", "held", "patient", "risk_free")
EARNED: Cells = ("pool", "days held", "mean weight", "earned, dollars")
_SAME = 5e-5  # a year: what two decimals of a percent would show as nothing
WORDS = {
    "adviser": "the adviser",
    "equal": "equal weights of all eligible pools",
    "greedy": "the highest APYs up to their caps",
    "largest": "the largest pool, bought once and kept",
    "held": "its own first choice, never changed",
    "patient": "itself, had it moved only for what pays back",
    "risk_free": "the risk-free rate",
}


def table_csv(result: Backtest) -> str:
    """Return a line for each strategy, all figures as fractions; empty where there is none."""
    return _csv(TABLE, (_table_row(one) for one in result.strategies))


def equity_csv(result: Backtest) -> str:
    """Return the value of each strategy's book at the end of each day, in parts of the money put in."""
    first = first_day(result)
    lines = (
        ((first + dt.timedelta(days=n)).isoformat(), one.strategy, net, priced)
        for one in result.strategies
        for n, (net, priced) in enumerate(zip(one.curve_net, one.curve_priced, strict=True))
    )
    return _csv(("day", "strategy", "net", "priced"), lines)


def holdings_csv(result: Backtest) -> str:
    """Return what each strategy held from each decision on; a line without a pool says why nothing."""
    lines: list[tuple[object, ...]] = []
    for strategy, own in by_strategy(result.days).items():
        for day, one in own.items():
            said = strategy, day, one.candidate, one.reason
            lines += [
                (*said, h.pool_id, h.name, h.chain, " ".join(h.tokens), h.weight, h.apy, h.kept) for h in one.holdings
            ] or [(*said, *[None] * 7)]
    return _csv(HOLDINGS, lines)


def first_day(result: Backtest) -> dt.date:
    """Return the day of the first decision, with which all curves begin."""
    return dt.date.fromisoformat(min(one.day for one in result.days if one.decisions))


def short_rows(result: Backtest, *, brief: bool = False) -> list[Cells]:
    """Return the rows of ``SHORT``: one for each strategy; ``brief`` leaves out single profiles and methods."""
    return [_short(one) for one in result.strategies if not (brief and one.kind in ("profile", "method"))]


def _short(one: StrategyResult) -> Cells:
    return (
        one.strategy,
        percent(one.gross.annual_return),
        percent(one.net.annual_return),
        percent(one.priced.annual_return),
        percent(one.priced.annual_volatility),
        _sharpe(one.priced),
        _probability(one.priced.deflated_sharpe),
        percent(one.priced.max_drawdown),
        f"{one.cost * BASIS_POINTS:.1f}",
        f"{one.turnover_per_year:.1f}",
        str(one.idle_days),
    )


def _sharpe(found: Figures) -> str:
    """Write a Sharpe ratio with its range; a dash where there is none."""
    if found.sharpe is None:
        return "-"
    if found.sharpe_low is None or found.sharpe_high is None:
        return _decimal(found.sharpe)
    return f"{_decimal(found.sharpe)} ({_decimal(found.sharpe_low)} to {_decimal(found.sharpe_high)})"


def _decimal(value: float) -> str:
    return f"{round(value, 1) + 0.0:.1f}"


def _probability(value: float | None) -> str:
    """Write a probability with two decimals, the smallest as a bound; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:.2f}" if value >= 0.005 else "<0.01"


def earned_rows(one: StrategyResult) -> list[Cells]:
    """Return the rows of ``EARNED``: what each pool brought a strategy, the most first."""
    ordered = sorted(one.earned, key=lambda pool: (-pool.earned_usd, pool.pool_id))
    return [
        (safe_label(pool.name), str(pool.days), f"{pool.mean_weight:.1%}", f"{pool.earned_usd:,.0f}")
        for pool in ordered
    ]


def held_rows(result: Backtest, strategy: str) -> Iterator[Cells]:
    """Yield (day, candidate, what was held) of a strategy, decision by decision."""
    for day, one in by_strategy(result.days).get(strategy, {}).items():
        pools = ", ".join(
            f"{safe_label(held.name)} {held.weight:.1%}"
            for held in sorted(one.holdings, key=lambda held: (-held.weight, held.pool_id))
        )
        yield day, one.candidate or "-", pools or f"nothing: {safe_label(one.reason or '', 120)}"


def window_rows(result: Backtest) -> tuple[Cells, list[Cells]]:
    """Return columns and rows of what the adviser and each baseline earned net from one decision to the next.

    Annualised, (from, level, …); the cost of a decision falls into the window that it opens.
    """
    columns = ("from", "level", *WINDOWS)
    books = {one.strategy: one.curve_net for one in result.strategies}
    first = first_day(result)
    days = sorted({one.day for one in result.days if one.decisions})
    ends = [*days[1:], result.request.end]
    rows = []
    for day, end in zip(days, ends, strict=True):
        start, stop = ((dt.date.fromisoformat(one) - first).days for one in (day, end))
        for level in result.request.levels:
            names = (name if name in books else f"{name}.{level}" for name in WINDOWS)
            grown = (books[name][stop] / books[name][start] for name in names)
            rows.append((day, level, *(percent(growth ** (DAYS_PER_YEAR / (stop - start)) - 1.0) for growth in grown)))
    return columns, rows


def verdicts(result: Backtest) -> list[str]:
    """Say for each level whether the adviser earned more than each baseline, losses as plainly as gains."""
    return [_verdict(one) for one in result.comparisons if one.basis == "net"]


def _verdict(one: Comparison) -> str:
    level, other = one.strategy.partition(".")[2], WORDS[one.against.partition(".")[0]]
    word = "more" if one.difference >= 0.0 else "less"
    size = f"{abs(one.difference) * 100.0:.2f} percentage points a year {word}"
    if one.low is None or one.high is None:
        return f"At {level} risk the adviser earned {size} than {other}; too few days for a range."
    if max(-one.low, one.high) < _SAME:
        return f"At {level} risk the adviser earned the same as {other}."
    span = f"{one.low * 100.0:+.2f} to {one.high * 100.0:+.2f}"
    verdict = "won against" if one.low > 0.0 else "lost to" if one.high < 0.0 else "cannot be told from"
    return f"At {level} risk the adviser {verdict} {other}: {size} ({span})."


def overfitting_line(one: Overfitting) -> str:
    """Say what the cross-validation found for one group of strategies."""
    group = "all strategies" if one.among == "all" else f"those of {one.among} risk"
    if one.probability is None:
        return f"{one.basis}, {group}: {one.reason}"
    return (
        f"{one.basis}, {group} ({one.strategies}): {one.probability:.0%} of {one.splits} splits of {one.blocks} blocks;"
        f" mean relative rank {one.rank:.2f}, {100.0 * (one.degradation or 0.0):+.2f} points a year out of sample"
    )


def percent(value: float) -> str:
    """Write a fraction as percent with two decimals, none of them a minus zero."""
    return f"{round(value, 4) + 0.0:.2%}"


def _table_row(one: StrategyResult) -> tuple[object, ...]:
    net, priced = one.net, one.priced
    return (
        one.strategy, one.risk, net.total_return, one.gross.annual_return, net.annual_return, priced.annual_return,
        net.annual_volatility, priced.annual_volatility, net.sharpe, net.sharpe_low, net.sharpe_high,
        net.sharpe_missing, priced.sharpe, priced.sharpe_low, priced.sharpe_high, priced.sharpe_missing,
        net.deflated_sharpe, priced.deflated_sharpe, priced.deflated_sharpe_effective, net.max_drawdown,
        priced.max_drawdown, one.cost, one.turnover_per_year, len(one.rebalancings), one.idle_days, one.unpaid_days,
        len(one.events), len({what for move in one.rebalancings for what in move.unpriced}),
    )  # fmt: skip


def _csv(columns: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """Write rows; a text that a spreadsheet would take for a formula is quoted by an apostrophe."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in line] for line in lines)
    return file.getvalue()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value
