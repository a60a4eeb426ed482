"""What a mandate comes to on a market: its limits, its money, its horizon."""

from __future__ import annotations

from tools.records import Mandate, MarketSummary
from tools.strategies.profiles import Limits, load_limits
from tools.strategies.selection import effective_limits

DEFAULT_HORIZON_DAYS = 365


def limits_for(mandate: Mandate) -> Limits:
    """Return the limits of the mandate's risk with the user's own in their place."""
    assert mandate.asset is not None
    return effective_limits(mandate, load_limits()[mandate.risk][mandate.asset])


def amount_usd(mandate: Mandate, market: MarketSummary) -> float | None:
    """Return the money in dollars: as given, or the amount at the day's price; None when either is unknown."""
    if mandate.asset == "USD":
        return mandate.amount or mandate.amount_usd
    if mandate.amount_usd is not None:
        return mandate.amount_usd
    if mandate.amount is None or market.price_usd is None:
        return None
    return mandate.amount * market.price_usd


def amount_in_asset(mandate: Mandate, market: MarketSummary) -> float | None:
    """Return the money in the asset (dollars for USD); None when it, or the price it needs, is unknown."""
    if mandate.amount is not None or mandate.asset == "USD":
        return mandate.amount or mandate.amount_usd
    if mandate.amount_usd is None or market.price_usd is None:
        return None
    return mandate.amount_usd / market.price_usd
