"""``plimsoll risk``: what a saved recommendation depends on and may lose, scenarios, backtests, liquidation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plimsoll.options import day_of, open_market
from plimsoll.terminal import echo
from tools.errors import UsageError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

app = typer.Typer(
    help="Risk: exposures, hazards, stress, backtests of value at risk, liquidation.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Run = Annotated[Path, typer.Argument(help="a run folder that ask wrote")]


@app.command("show")
def show(folder: Run) -> None:
    """Print what a saved choice depends on, how often that fails, and what it may lose."""
    record, chosen = _chosen(folder)
    report = chosen["risk"]
    names = {f"pool:{pool['pool_id']}": pool["name"] for pool in chosen["pools"]}
    _table(
        f"{chosen['id']}: {report['exposure']['effective_risks']:.1f} independent risks in {len(names)} pools",
        ("depends on", "look-through", "lost if it fails", "events a year (range)", "severity", "expected loss a year"),
        (_node_row(node) for node in report["exposure"]["nodes"]),
    )
    _table("One year", ("figure", "value"), _all_in_rows(report["all_in"]))
    _table(
        "Loss exceeded in",
        ("simulated years", "loss by events"),
        ((f"1 in {1.0 / p['probability']:,.0f}", f"{p['loss']:.1%}") for p in report["all_in"]["drawdown_curve"]),
    )
    _table("Replays", ("event", "date", "loss", "later"), (_stress_row(entry) for entry in report["stress"]))
    _table(
        "Protocol scores (0 safest, 1)",
        ("project", "risk", "TVL", "audits", "community", "technical", "at least, because"),
        (_protocol_row(entry) for entry in _held(record, chosen)),
    )
    _table("Thresholds", ("measure", "now", "reduce at", "leave at", "state"), map(_wire_row, _wires(record)))
    _table(
        "Limits that fired",
        ("limit", "on", "before", "after", "action"),
        (_event_row(event, names) for event in record["limit_events"]),
    )


@app.command("stress")
def stress(
    folder: Run,
    scenarios: Annotated[
        Path | None, typer.Option("--scenarios", metavar="FILE", help="events of your own, in the form of events.toml")
    ] = None,
) -> None:
    """Replay dated events, or scenarios of your own, on a saved choice."""
    from tools.stress import load_events, load_scenarios, replay

    record, chosen = _chosen(folder)
    weights = {pool["pool_id"]: pool["weight"] for pool in chosen["pools"]}
    lost = _lost(folder, list(weights))
    events = load_scenarios(scenarios) if scenarios is not None else load_events()
    results = [replay(event, weights, lost).model_dump() for event in events]
    for entry in results:
        if scenarios is None and entry["date"] > record["as_of"][:10]:
            entry["title"] += " (after the decision)"
    _table("Replays", ("event", "date", "loss", "later"), (_stress_row(entry) for entry in results))
    for entry in results:
        if not entry["hit"]:
            echo(f"{entry['event']} strikes nothing that these pools depend on")


@app.command("backtest")
def backtest(
    pool: Annotated[str, typer.Argument(help="a pool's id, or a table of prices such as usdc_usd_daily.csv")],
    source: Annotated[str, typer.Option("--source", envvar="PLIMSOLL_SOURCE", help="a folder or a base URL")],
    as_of: Annotated[
        str | None, typer.Option("--as-of", envvar="PLIMSOLL_AS_OF", metavar="DATE", help="up to this UTC day")
    ] = None,
    confidence: Annotated[float, typer.Option("--confidence", help="between 0 and 1")] = 0.95,
    window: Annotated[int, typer.Option("--window", metavar="DAYS", help="days that each forecast sees")] = 250,
) -> None:
    """Backtest value at risk on a recorded series: breaches, Kupiec's and Christoffersen's tests, and their power."""
    from plimsoll.series import daily_returns
    from tools.risk.backtests import backtest_var
    from tools.risk.measures import VAR_METHODS

    market = open_market(source)
    returns = daily_returns(market, pool, market.day(day_of(as_of)))
    if not 0.0 < confidence < 1.0:
        raise UsageError(f"--confidence must lie between 0 and 1, not {confidence:g}")
    if not 2 <= window < returns.size:
        raise UsageError(f"--window must be at least 2 and below the {returns.size} days of the series, not {window}")
    rows = []
    readings = []
    for method in VAR_METHODS:
        try:
            found = backtest_var(returns, method, confidence, window_days=window)
        except ValueError as error:
            rows.append((method, *["-"] * 7))
            readings.append(f"{method}: {error}")
            continue
        chances = (f"{chance:.2g}" for chance in (found.p_count, found.p_independence, found.p_coverage))
        counts = (str(found.days), str(found.breaches), f"{found.expected:.1f}")
        rows.append((method, *counts, *chances, f"{found.power:.0%}"))
        readings.append(f"{method}: {found.reading}")
    columns = ("method", "days", "breaches", "expected", "p Kupiec", "p independence", "p coverage", "power at 2 x")
    _table(f"One-day value at risk at {confidence:.0%}, {returns.size} days", columns, rows)
    for reading in readings:
        echo(reading)


@app.command("liquidation")
def liquidation(
    collateral: Annotated[float, typer.Option("--collateral", help="how much is posted, in its own units")],
    price: Annotated[float, typer.Option("--price", help="its price in the unit of the debt")],
    debt: Annotated[float, typer.Option("--debt", help="what is owed")],
    threshold: Annotated[float, typer.Option("--threshold", help="liquidation threshold, a fraction")],
    same_asset: Annotated[
        bool, typer.Option("--same-asset", help="both follow one price, as staked ether and ether")
    ] = False,
    borrow_apy: Annotated[
        float | None, typer.Option("--borrow-apy", help="what the debt costs a year, a fraction")
    ] = None,
    growth_apy: Annotated[float, typer.Option("--growth-apy", help="what the collateral earns a year")] = 0.0,
) -> None:
    """Say how far a leveraged position is from liquidation, and what to do."""
    from pydantic import ValidationError

    from tools.risk.liquidation import Collateral, days_to_liquidation
    from tools.risk.liquidation import liquidation as distance_of
    from tools.risk.thresholds import load_thresholds

    try:
        posted = Collateral(amount=collateral, price=price, threshold=threshold)
        found = distance_of([posted], debt, same_asset)
        drift = None
        if borrow_apy is not None and found.health:
            drift = days_to_liquidation(found.health, borrow_apy, growth_apy)
    except ValidationError as error:
        first = error.errors()[0]
        option = {"amount": "collateral"}.get(str(first["loc"][0]), first["loc"][0])
        raise UsageError(f"--{option}: {first['msg']}") from error
    except ValueError as error:
        raise UsageError(str(error)) from error
    if found.health is None or found.distance is None or found.prices is None:
        echo(found.reason or "nothing is owed, so nothing can be liquidated")
        return
    fall = f"liquidated when the price falls by {found.distance:.1%}, to {found.prices[0]:,.6g}"
    now = f"to be liquidated now: the price would have to be above {found.prices[0]:,.6g}"
    echo(f"health factor {found.health:.3f}; {fall if found.health > 1.0 else now}")
    if drift is not None:
        echo(f"by interest alone: {drift.reason if drift.days is None else f'in {drift.days:,.0f} days'}")
    limits = load_thresholds().liquidation["same_asset" if same_asset else "other_asset"]
    said = {"normal": "normal", "reduce": "reduce the debt", "emergency": "close it"}[found.state]
    echo(f"state: {said} (reduce at {limits.reduce:.0%} from liquidation, close at {limits.emergency:.0%})")


def _chosen(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a saved record and its chosen candidate; raises UsageError where there is none."""
    from tools.records import Recommendation

    if not folder.is_dir():
        raise UsageError(f"{folder} {'is not a run folder' if folder.exists() else 'does not exist'}")
    if not (folder / "recommendation.json").is_file():
        raise UsageError(f"{folder} is not a run folder: it holds no recommendation.json")
    try:
        text = (folder / "recommendation.json").read_text(encoding="utf-8")
        record = Recommendation.model_validate_json(text).model_dump(mode="json")
    except OSError as error:
        raise VerificationError(f"cannot read {folder / 'recommendation.json'}: {error}") from error
    except ValueError as error:
        raise VerificationError(f"{folder / 'recommendation.json'} is not a record of this version") from error
    if record["outcome"] != "choice":
        raise UsageError(f"{folder} holds no choice but {record['outcome']!r}: there is nothing at risk")
    chosen = next(c for c in record["candidates"] if c["id"] == record["choice"]["candidate_id"])
    return record, chosen


def _lost(folder: Path, pool_ids: Sequence[str]) -> dict[str, dict[str, float]]:
    """Work out from the rows saved beside the run what each pool loses with each node that it depends on."""
    from plimsoll.market import look
    from tools.exposure import exposures
    from tools.market.sources import SavedSource

    record, _ = _chosen(folder)
    market, universe = look(SavedSource(folder), record["mandate"]["asset"], None, None)
    hits = exposures([pool for pool in universe.pools if pool.id in pool_ids], market.as_of)
    return {pool_id: {node: hit.lost_if_fails for node, hit in own.items()} for pool_id, own in hits.items()}


def _node_row(node: dict[str, Any]) -> tuple[str, ...]:
    hazard = node["hazard"]
    rate = f"{hazard['rate']:.2%} ({hazard['rate_low']:.2%} to {hazard['rate_high']:.2%})" if hazard else "none"
    severity = f"{hazard['severity_low']:.0%} to {hazard['severity_high']:.0%}" if hazard else ""
    shares = (f"{node['look_through']:.1%}", f"{node['lost_if_fails']:.1%}")
    return (f"{node['kind']} {node['name']}", *shares, rate, severity, f"{node['expected_loss']:.3%}")


def _all_in_rows(all_in: dict[str, Any]) -> Iterable[tuple[str, str]]:
    shown = (
        "expected_loss", "event_probability", "gas_cost", "exit_cost", "impermanent_loss", "net_apy", "net_apy_low",
        "net_apy_high", "volatility", "loss_probability", "var_95", "cvar_95", "evar_95", "var_99", "cvar_99",
        "drawdown_95",
    )  # fmt: skip
    for key in shown:
        value = all_in[key]
        yield key, f"{value:.2%}" if value is not None else f"unknown: {all_in['missing'].get(key, '')}"


def _stress_row(entry: dict[str, Any]) -> tuple[str, ...]:
    later = entry["loss_after"]
    after = "not known" if later is None else f"{later:.1%} after {entry['days_after']} days"
    return entry["title"], entry["date"], f"{entry['loss']:.1%}", after if entry["loss"] > 0.0 else ""


def _held(record: dict[str, Any], chosen: dict[str, Any]) -> list[dict[str, Any]]:
    projects = {pool["project"] for pool in chosen["pools"]}
    return [entry for entry in record["protocols"] if entry["project"] in projects]


def _protocol_row(entry: dict[str, Any]) -> tuple[str, ...]:
    parts = (f"{entry['components'][key]['score']:.2f}" for key in ("tvl", "audits", "community", "technical"))
    caps = "; ".join(f"{cap['risk_at_least']:.2f} {cap['reason']}" for cap in entry["caps"])
    return (entry["project"], f"{entry['risk']:.2f}", *parts, caps)


def _wires(record: dict[str, Any]) -> list[dict[str, Any]]:
    wires: list[dict[str, Any]] = record["choice"]["tripwires"]
    return wires


def _wire_row(wire: dict[str, Any]) -> tuple[str, ...]:
    return (wire["measure"], *(_number(wire[key]) for key in ("value", "reduce", "emergency")), wire["state"])


def _event_row(event: dict[str, Any], names: dict[str, str]) -> tuple[str, ...]:
    subject = names.get(f"pool:{event['subject']}", event["subject"])
    return event["rule"], subject, f"{event['before']:.2%}", f"{event['after']:.2%}", event["action"]


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"


def _table(title: str, columns: Sequence[str], rows: Iterable[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for position, name in enumerate(columns):
        table.add_column(name, justify="left" if position == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False).print(table)
