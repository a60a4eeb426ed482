"""The market's summary: what it says of the saved rows, counted again."""

from __future__ import annotations

from tools.verify.book import Book
from tools.verify.evidence import Evidence, as_number
from tools.verify.report import Findings, printable
from tools.verify.series import LARGEST_WINDOW, LONGEST_GAP, longest_run

STAKED_ETH = (
    "lido",
    "STETH",
    "Ethereum",
)  # the pool whose 30-day mean is the risk-free rate of ETH, where it is eligible
STAKED_ETH_DAYS = 30
PRICE_ROWS = 4  # a close that is missing lets the day before stand in, up to three days back


def check_market(book: Book, findings: Findings) -> None:
    """Compare the market's summary with the saved rows."""
    record, evidence, market = book.record, book.evidence, book.record["market"]
    day = record["as_of"][:10]
    accounted = market["pools_eligible"] + sum(market["excluded"].values())
    for name, expected, meaning in (
        ("snapshot_sha256", evidence.sha256, "the SHA-256 of the saved rows"),
        ("snapshot_date", day, "the day decided on"),
        ("synthetic", evidence.synthetic, "what the saved rows say"),
        ("pools_total", evidence.pools_total, "the number of saved pools"),
        ("pools_total", accounted, "pools_eligible and all of excluded together"),
        ("pools_screened", evidence.screened, "the number of pools whose charts were read"),
        ("pools_eligible", len(book.eligible), "the number of pools of the benchmark"),
    ):
        findings.same(f"/market/{name}", market[name], expected, meaning)
    _check_assumptions(book, findings)
    _check_repairs(book, findings)
    _check_price(book, findings)
    _check_risk_free(book, findings)


def _check_assumptions(book: Book, findings: Findings) -> None:
    """See that the saved rows pay what the run was told to assume."""
    for place, entry in enumerate(book.record["assumptions"]):
        rows = book.evidence.rows.get(entry["pool_id"], [])
        paid = as_number(rows[0].get("apy")) if len(rows) == 1 else None
        findings.number(
            f"/assumptions/{place}/apy",
            entry["apy"],
            None if paid is None else paid / 100.0,
            "the rate of its saved row",
        )


def _check_repairs(book: Book, findings: Findings) -> None:
    """Count the filled days, the spikes and the missing splits of the eligible pools again."""
    market = book.record["market"]
    filled = spikes = unsplit = 0
    first = book.last - LARGEST_WINDOW + 1
    for pool_id in book.eligible:
        series = book.series(pool_id)
        rows = book.evidence.rows.get(pool_id, [])
        if series is None or len(rows) != 1:
            findings.at("/market/benchmark_pools", f"names {printable(pool_id)}, which has no saved row and chart")
            continue
        missing = series.missing(first, book.last)
        filled += len(missing)
        spikes += sum(first <= day for day in series.spikes)
        unsplit += rows[0].get("apyBase") is None and rows[0].get("apyReward") is None
        if longest_run(missing) > LONGEST_GAP and "data" not in book.record["off"]:
            what = f"names {printable(pool_id)}, which has {longest_run(missing)} days in a row without a usable value"
            findings.at("/market/benchmark_pools", what, f"at most {LONGEST_GAP}", longest_run(missing))
    findings.same("/market/gaps_filled", market["gaps_filled"], filled, "the number of missing days")
    findings.same("/market/spikes_dropped", market["spikes_dropped"], spikes, "the number of spikes")
    unsplit_meaning = "the number of eligible pools without a split"
    findings.same("/market/without_reward_split", market["without_reward_split"], unsplit, unsplit_meaning)


def _check_price(book: Book, findings: Findings) -> None:
    """See that the price stands in the last rows of a saved price table of the asset, where there is one."""
    asset, price = book.record["mandate"]["asset"], book.record["market"]["price_usd"]
    known = _last_prices(book.evidence, asset) if asset in ("ETH", "BTC") and price is not None else []
    if known:
        findings.recomputed += 1
        if price not in known:
            what = f"is {printable(price)}, which the last rows of the saved prices do not say"
            findings.at("/market/price_usd", what, "a saved price", price)


def _last_prices(evidence: Evidence, asset: str) -> list[float | None]:
    tables = [
        rows for name, rows in evidence.tables.items() if f"{asset.lower()}_usd" in name and isinstance(rows, list)
    ]
    recent = [row for rows in tables for row in rows[-PRICE_ROWS:] if isinstance(row, dict)]
    return [as_number(text) for row in recent for text in row.values()]


def _check_risk_free(book: Book, findings: Findings) -> None:
    """Recompute the risk-free rate where the saved rows give it: staked ETH's mean; nothing for BTC."""
    asset, market = book.record["mandate"]["asset"], book.record["market"]
    if asset == "BTC":
        findings.number("/market/risk_free/rate", market["risk_free"]["rate"], 0.0, "what holding BTC earns")
    staked = [pool_id for pool_id in book.eligible if asset == "ETH" and _is_staked_eth(pool_id, book.evidence)]
    recent = book.apys(sorted(staked)[0], book.last - STAKED_ETH_DAYS + 1, book.last) if staked else None
    if recent:
        mean = sum(recent) / STAKED_ETH_DAYS
        findings.number("/market/risk_free/rate", market["risk_free"]["rate"], mean, "the 30-day mean of staked ETH")


def _is_staked_eth(pool_id: str, evidence: Evidence) -> bool:
    rows = evidence.rows.get(pool_id, [])
    symbol = str(rows[0].get("symbol")).upper() if rows else ""
    return bool(rows) and (rows[0].get("project"), symbol, rows[0].get("chain")) == STAKED_ETH
