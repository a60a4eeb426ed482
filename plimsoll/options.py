"""What the values of options mean: a day, a source of market data."""

from __future__ import annotations

import datetime as dt
import enum
from typing import TYPE_CHECKING

from tools.errors import UsageError

if TYPE_CHECKING:
    from tools.market.snapshot import Source


class AssetName(enum.StrEnum):
    """The assets that Plimsoll knows."""

    ETH = "ETH"
    BTC = "BTC"
    USD = "USD"


def day_of(text: str | None, option: str = "--as-of") -> dt.date | None:
    """Read the value of an option that is a day; raises UsageError for what is no date."""
    if text is None:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} must be a date such as 2025-02-28, not {text!r}") from None


def open_market(name: str, seed: int = 0, refresh: bool = False) -> Source:
    """Open the value of --source; raises as ``tools.market.sources.open_source``."""
    from tools.market.sources import open_source
    from tools.market.store import Store

    store = Store() if name == "live" or "://" in name else None
    return open_source(name, store=store, now=lambda: dt.datetime.now(dt.UTC), refresh=refresh, seed=seed)
