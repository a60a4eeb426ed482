"""``plimsoll allocate``: what is held, kept and given up at each size of the money."""

from __future__ import annotations

import enum
import math
import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from plimsoll.options import AssetName, day_of, open_market
from plimsoll.terminal import echo, progress_bar
from tools.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evals.allocation import AtSize, MarketDay
    from tools.records import AllIn

WIDTH = 80
MOST_AMOUNTS = 20
LARGEST_USD = 1e12


class RiskName(enum.StrEnum):
    """How much risk is wanted."""

    low = "low"
    medium = "medium"
    high = "high"


class MethodName(enum.StrEnum):
    """The weight methods."""

    equal = "equal"
    inverse_volatility = "inverse_volatility"
    risk_adjusted = "risk_adjusted"
    min_cvar = "min_cvar"
    risk_parity = "risk_parity"
    max_sharpe = "max_sharpe"
    min_loss = "min_loss"
    yield_less_loss = "yield_less_loss"
    net_yield = "net_yield"


class OutputName(enum.StrEnum):
    """How the table is printed."""

    text = "text"
    json = "json"


def allocate(
    source: Annotated[
        str, typer.Option("--source", envvar="PLIMSOLL_SOURCE", help="live, demo, a folder or a base URL")
    ] = "live",
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", envvar="PLIMSOLL_AS_OF", metavar="DATE", help="as of the end of this UTC day"),
    ] = None,
    asset: Annotated[AssetName, typer.Option("--asset", help="what is held")] = AssetName.USD,
    risk: Annotated[RiskName, typer.Option("--risk", help="how much risk is wanted")] = RiskName.medium,
    amounts: Annotated[
        str, typer.Option("--amounts", metavar="LIST", help="dollars' worth of the asset, separated by commas")
    ] = "10000,1000000,10000000,50000000",
    method: Annotated[
        MethodName | None, typer.Option("--method", help="this weight method alone; else those planned for the risk")
    ] = None,
    horizon: Annotated[
        int, typer.Option("--horizon", metavar="DAYS", min=1, max=36_500, help="what is paid once is spread over this")
    ] = 365,
    volatility: Annotated[
        float | None,
        typer.Option("--volatility", metavar="FRACTION", min=0.0, help="of a year, to be kept by a stable part beside"),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", envvar="PLIMSOLL_SEED", help="seed of the simulation")] = 0,
    output: Annotated[OutputName, typer.Option("--format", help="how to print the table")] = OutputName.text,
) -> None:
    """Show what is held at each size of the money: weights, what is kept, what it costs, which limits bind."""
    from evals.allocation import read_day, sizes

    wanted = _amounts(amounts)
    with progress_bar("Reading the market") as progress:
        day = read_day(open_market(source, seed), asset.value, day_of(as_of), seed=seed, progress=progress)
    rows = sizes(day, risk.value, wanted, None if method is None else (method.value,), horizon)
    if output is OutputName.json:
        echo(_as_json(day, rows, volatility))
    else:
        for line in _lines(day, rows, volatility):
            echo(line)
    raise typer.Exit(0 if any(row.candidate for row in rows) else 3)


def _amounts(text: str) -> list[float]:
    """Read the value of --amounts: dollars, above 0, the smallest first, each once; raises UsageError."""
    try:
        found = sorted({float(part) for part in text.replace("_", "").split(",")})
    except ValueError:
        found = []
    if not found or len(found) > MOST_AMOUNTS or not all(0.0 < amount <= LARGEST_USD for amount in found):
        raise UsageError(
            f"--amounts must be one to {MOST_AMOUNTS} numbers of dollars above 0 and up to {LARGEST_USD:g}, such as "
            f"10000,1000000, not {text!r}"
        )
    return found


def _as_json(day: MarketDay, rows: Sequence[AtSize], volatility: float | None) -> str:
    import json

    market = day.state["market"]
    assert market is not None
    told = {
        "asset": day.asset,
        "as_of": day.day,
        "source": market.source,
        "snapshot_sha256": market.snapshot_sha256,
        "synthetic": market.synthetic,
        "target_volatility": volatility,
        "sizes": [row.model_dump(mode="json") | {"stable_share": _stable(row, volatility)} for row in rows],
    }
    return json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False)


def _lines(day: MarketDay, rows: Sequence[AtSize], volatility: float | None) -> Iterator[str]:
    from tools.strategies.objectives import load_objectives

    market = day.state["market"]
    assert market is not None
    if market.synthetic:
        yield "synthetic market: every figure is invented by the program"
    yield f"{day.asset}, {rows[0].risk} risk, {day.day}"
    yield from _wrapped(f"Objective: {load_objectives()[rows[0].risk].words}", "")
    yield ""
    yield f"{'amount':>15}  {'kept':>7}  {'APY':>7}  {'dilution':>8}  {'once':>7}  {'earned back':>11}  pools"
    for row in rows:
        yield _summary(row)
    for row in rows:
        yield ""
        yield from _block(row)
        if row.all_in is not None and volatility is not None:
            yield from _wrapped(_beside(row, row.all_in, volatility, day.asset, market.risk_free.rate))


def _beside(row: AtSize, found: AllIn, volatility: float, asset: str, bill: float) -> str:
    """Say what a stable part beside the pools comes to: bills for dollars, the plain coin at 0 % for ETH and BTC."""
    share = _stable(row, volatility) or 0.0
    where, rate = ("bills", bill) if asset == "USD" else (f"plain {asset}", 0.0)
    kept = share * rate + (1.0 - share) * found.net_apy
    return (
        f"stable share: {share:.1%} in {where} at {rate:.2%} and the rest in these pools keep the volatility of a "
        f"year, {found.volatility:.2%} in the pools alone, at {volatility:.2%} at most; together they keep {kept:.2%}"
    )


def _stable(row: AtSize, volatility: float | None) -> float | None:
    """Return the share that a stable part must have for all of it to keep a volatility; None where none was asked."""
    from tools.optimize.simple import stable_share

    return None if volatility is None or row.all_in is None else stable_share(row.all_in.volatility, volatility)


def _summary(row: AtSize) -> str:
    from evals.allocation_tables import break_even

    if row.all_in is None:
        return f"{_dollars(row.amount_usd):>15}  nothing that keeps every limit"
    once = _sum((row.all_in.gas_cost, row.all_in.exit_cost))
    shown = f"{_rate(row.all_in.net_apy):>7}  {_rate(row.apy):>7}  {_rate(row.all_in.dilution):>8}  {_rate(once):>7}"
    return f"{_dollars(row.amount_usd):>15}  {shown}  {break_even(row):>11}  {len(row.pools):>5}"


def _block(row: AtSize) -> Iterator[str]:
    from evals.allocation_tables import bound_by

    if row.all_in is None or row.optimisation is None:
        yield from _wrapped(f"{_dollars(row.amount_usd)}: {row.reason}", "")
        return
    yield f"{_dollars(row.amount_usd)}: {row.candidate}"
    yield f"{'weight':>8}  {'APY':>7}  {'with you':>8}  {'of pool':>7}  pool"
    for pool in row.pools:
        shares = f"{_rate(pool.apy_at_size):>8}  {_share(pool.share_of_pool):>7}"
        name = textwrap.shorten(pool.name, WIDTH - 38, placeholder="…")
        yield f"{pool.weight:>8.1%}  {_rate(pool.apy):>7}  {shares}  {name}"
    yield from _wrapped(_kept(row, row.all_in))
    yield from _wrapped(_once(row, row.all_in))
    if row.optimisation.gap is not None:
        yield from _wrapped(f"limits that bind (bps of the objective per point): {bound_by(row)}")
    yield from _wrapped(_proof(row))
    for change in row.changes:
        yield from _wrapped(f"changed: {change}")


_MISSING = {
    "dilution": "dilution",
    "events": "expected_loss",
    "costs": "cost_per_year",
    "drift of the tokens": "impermanent_loss",
}


def _kept(row: AtSize, found: AllIn) -> str:
    parts = (
        ("dilution", found.dilution), ("events", found.expected_loss), ("costs", found.cost_per_year),
        ("drift of the tokens", found.impermanent_loss),
    )  # fmt: skip
    less = "".join(f" - {name} {_rate(value)}" for name, value in parts if value)
    unknown = "; ".join(
        f"{name} unknown: {found.missing.get(_MISSING[name], '')}" for name, value in parts if value is None
    )
    return f"APY {_rate(row.apy)}{less} = {_rate(found.net_apy)} kept a year{f' ({unknown})' if unknown else ''}"


def _once(row: AtSize, found: AllIn) -> str:
    from evals.allocation_tables import break_even

    gas = "unknown" if found.gas_usd is None else f"${found.gas_usd:,.2f}"
    back = break_even(row)
    when = (
        f"earned back within {back}"
        if back not in {"never", "unknown"}
        else found.missing.get("break_even_days", "never earned back")
    )
    return f"paid once: gas {gas}, leaving {_rate(found.exit_cost)}; against the risk-free rate: {when}"


def _proof(row: AtSize) -> str:
    from evals.allocation_tables import gap_words

    found = row.optimisation
    assert found is not None
    if found.gap is None:
        return f"weights: {found.objective}; a rule without a bound"
    note, gap = f"; {found.note}" if found.note else "", gap_words(row)
    distance = gap if gap.startswith("under") else f"at most {gap}"
    return f"weights: {found.objective}; proven to be {distance} from the best there is{note}"


def _wrapped(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False)


def _sum(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return math.fsum(known) if len(known) == len(parts) else None


def _rate(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2%}".replace("-0.00%", "0.00%")


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1%}" if value >= 0.0005 else "under 0.1%"


def _dollars(value: float) -> str:
    return f"${value:,.0f}" if value >= 1.0 else f"${value:g}"
