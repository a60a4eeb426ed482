"""A market as it would be if some pools paid something else today: what a question of "what if" is solved on."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any

from tools.errors import SourceError
from tools.market.quality import MAX_APY
from tools.market.snapshot import Progress, RawRow, Source
from tools.market.sources.answers import Table
from tools.units import safe_label

_DECIMALS = 10  # of a percentage: two fewer than a fraction is read with


class AlteredSource:
    """Answer as ``source`` does, with the APY of the day of some pools set.

    ``apys`` maps a pool's id to its APY, a fraction in [0, 10]. Base and reward go in proportion and null stays null;
    of a pool that paid nothing all is base, or reward where no base is reported. Charts, and so every figure of the
    past, are untouched.

    Raises
    ------
    SourceError
        When a rate is out of bounds; and once rows are asked for, when the snapshot lacks a pool or its rate.
    """

    def __init__(self, source: Source, apys: Mapping[str, float]) -> None:
        for pool_id, apy in apys.items():
            if not (math.isfinite(apy) and 0.0 <= apy <= MAX_APY):
                raise SourceError(
                    f"{safe_label(pool_id)}: an assumed APY lies between 0 and {MAX_APY:g}, not at {apy:g}"
                )
        self.source, self.apys = source, dict(apys)
        self.label = f"{source.label}, with assumed rates" if apys else source.label
        self.synthetic = source.synthetic

    def day(self, as_of: dt.date | None) -> dt.date:
        """Return the day that the source decides on."""
        return self.source.day(as_of)

    def pools(self, as_of: dt.date) -> list[RawRow]:
        """Return the source's rows, those of the given pools with the rates that are assumed."""
        rows = self.source.pools(as_of)
        named = {row.get("pool"): row for row in rows if isinstance(row, dict) and isinstance(row.get("pool"), str)}
        for pool_id in self.apys:
            if pool_id not in named:
                raise SourceError(
                    f"{safe_label(pool_id)}: not in the market of {as_of}, so no rate can be assumed for it"
                )
        return [self._altered(row) if isinstance(row, dict) else row for row in rows]

    def charts(
        self, pool_ids: Sequence[str], as_of: dt.date, progress: Progress | None = None
    ) -> dict[str, list[RawRow] | None]:
        """Return the source's histories: what was paid before today is not assumed."""
        return self.source.charts(pool_ids, as_of, progress)

    def hacks(self, as_of: dt.date) -> list[RawRow]:
        """Return the source's exploits."""
        return self.source.hacks(as_of)

    def table(self, kind: str, name: str, as_of: dt.date) -> Table | None:
        """Return the source's table."""
        return self.source.table(kind, name, as_of)

    def _altered(self, row: RawRow) -> RawRow:
        pool_id = row.get("pool")
        if not isinstance(pool_id, str) or pool_id not in self.apys:
            return row
        percent = _percent(self.apys[pool_id])
        own = _number(row.get("apy"))
        if own is None:
            raise SourceError(f"{safe_label(pool_id)}: the market has no rate for it that another could stand for")
        return row | {"apy": percent} | _parts(row, own, percent)


def _percent(apy: float) -> float:
    """Write a fraction as the feed does; ``units.from_percent`` reads the same fraction from it, to 12 decimals."""
    return round(100.0 * apy, _DECIMALS)


def _parts(row: RawRow, own: float, percent: float) -> dict[str, Any]:
    """Return base and reward in percent, as far as they are reported."""
    parts = {name: part for name in ("apyBase", "apyReward") if (part := _number(row.get(name))) is not None}
    if own > 0.0:
        return {name: round(part * percent / own, _DECIMALS) for name, part in parts.items()}
    return {name: percent if place == 0 else 0.0 for place, name in enumerate(parts)}


def _number(value: object) -> float | None:
    """Return a finite number; None for anything else, which the checks of the quality see as it came."""
    sound = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if sound else None  # type: ignore[arg-type]
