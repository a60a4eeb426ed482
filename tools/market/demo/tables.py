"""What surrounds the pools of the demo market: prices, the Treasury bill, exploits. All of it is invented."""

from __future__ import annotations

import datetime as dt

import numpy as np

from tools.market.demo.catalogue import DAYS, FIRST_DAY, LAST_DAY, generator
from tools.market.snapshot import RawRow
from tools.units import DAYS_PER_YEAR, FloatArray, end_of_day

ETH_CLOSE_USD, ETH_VOLATILITY = 3_000.0, 0.65
BTC_CLOSE_USD, BTC_VOLATILITY = 90_000.0, 0.45
ETH_BTC_CORRELATION = 0.8
LAST_CLOSE_SPREAD = 0.01

BILL_MONTHS = 36
BILL_FIRST_PERCENT, BILL_LAST_PERCENT, BILL_NOISE = 5.2, 3.6, 0.03
BILL_SOURCE = "synthetic: invented by the demo market"

HACK_LOSS_DAY = LAST_DAY - dt.timedelta(days=75)
HACKED_PROJECT = "bilge-farm"
# day, name, classification, technique, dollars, chain, dollars returned
_HACKS = (
    (dt.date(2024, 9, 17), "Driftwood Bridge", "Infrastructure", "Private Key Compromised", 14_200_000, "BSC", None),
    (dt.date(2025, 3, 4), "Saltmarsh Lending", "Protocol Logic", "Oracle Manipulation", 6_750_000, "Base", 5_900_000),
    (dt.date(2025, 10, 21), "Gunwale DEX", "Protocol Logic", "Reentrancy", 2_310_000, "Arbitrum", None),
    (HACK_LOSS_DAY, "Bilge Farm", "Protocol Logic", "Flashloan Share Price Manipulation", 38_400_000, "Ethereum", None),
    (dt.date(2026, 6, 12), "Capstan Vaults", "Rugpull", "Admin Withdrawal", 950_000, "Sonic", None),
)


def price_table(seed: int, name: str, as_of: dt.date) -> list[dict[str, str]] | None:
    """Return the closes of ``eth_usd_daily.csv`` or ``btc_usd_daily.csv`` up to ``as_of``; None for any other name."""
    closes = _closes(seed).get(name)
    if closes is None:
        return None
    days = (as_of - FIRST_DAY).days + 1
    return [
        {"date": (FIRST_DAY + dt.timedelta(days=n)).isoformat(), "close": f"{close:.2f}"}
        for n, close in enumerate(closes[:days].tolist())
    ]


def _closes(seed: int) -> dict[str, FloatArray]:
    """Draw two correlated geometric Brownian motions, placed so that they end where they should."""
    rng = generator(seed, "prices")
    shared, own = rng.standard_normal((2, DAYS))
    both = ETH_BTC_CORRELATION * shared + np.sqrt(1.0 - ETH_BTC_CORRELATION**2) * own
    offsets = LAST_CLOSE_SPREAD * rng.standard_normal(2)
    return {
        "eth_usd_daily.csv": _path(both, ETH_VOLATILITY, ETH_CLOSE_USD * np.exp(offsets[0])),
        "btc_usd_daily.csv": _path(shared, BTC_VOLATILITY, BTC_CLOSE_USD * np.exp(offsets[1])),
    }


def _path(shocks: FloatArray, volatility: float, last: float) -> FloatArray:
    logs = np.cumsum(shocks * volatility / np.sqrt(DAYS_PER_YEAR))
    path: FloatArray = last * np.exp(logs - logs[-1])
    return path


def bill_table(seed: int, as_of: dt.date) -> list[dict[str, str]]:
    """Return the invented 3-month bill (percent a year) of each month completed before the month of ``as_of``."""
    trend = np.linspace(BILL_FIRST_PERCENT, BILL_LAST_PERCENT, BILL_MONTHS)
    rates = trend + BILL_NOISE * generator(seed, "bill").standard_normal(BILL_MONTHS)
    last = LAST_DAY.year * 12 + LAST_DAY.month - 1
    months = [f"{n // 12}-{n % 12 + 1:02}" for n in range(last - BILL_MONTHS, last)]
    return [
        {"month": month, "rate_percent": f"{rate:.2f}", "source": BILL_SOURCE}
        for month, rate in zip(months, rates.tolist(), strict=True)
        if month < as_of.isoformat()[:7]
    ]


def list_hacks(as_of: dt.date) -> list[RawRow]:
    """Return the invented exploits up to the end of ``as_of``, oldest first, in the shape of DefiLlama's ``/hacks``."""
    return [_hack(*hack) for hack in _HACKS if hack[0] <= as_of]


def _hack(
    day: dt.date, name: str, classification: str, technique: str, amount: int, chain: str, returned: int | None
) -> RawRow:
    return {
        "date": int(end_of_day(day).timestamp()) + 1 - 86_400,
        "name": name,
        "classification": classification,
        "technique": technique,
        "amount": amount,
        "chain": [chain],
        "bridgeHack": "Bridge" in name,
        "targetType": "DeFi Protocol",
        "source": "",
        "returnedFunds": returned,
        "defillamaId": None,
        "language": "Solidity",
    }
