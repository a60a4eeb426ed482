"""What changes with the amount: one allocation per size, with what it earns and what stands in its way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tools.optimize import Infeasible
from tools.sizing.allocate import SizedAllocation, allocate
from tools.sizing.dilution import RateCurve

AMOUNTS_USD = (1e4, 1e6, 1e7, 5e7)


class SizeRow(NamedTuple):
    """An amount and its allocation, or the limits in ``conflict`` that leave it none."""

    amount_usd: float
    allocation: SizedAllocation | None
    conflict: tuple[str, ...]


def size_table(
    curves: Sequence[RateCurve],
    tvl_usd: npt.ArrayLike,
    names: Sequence[str],
    *,
    horizon_days: float,
    max_weight: float,
    position_share: float,
    amounts_usd: Sequence[float] = AMOUNTS_USD,
    **others: Any,
) -> list[SizeRow]:
    """Allocate each amount over the same pools.

    No weight is above ``max_weight``, no position above ``position_share`` of what can be withdrawn, ``tvl_usd`` (n,).
    ``others`` go to ``allocate`` as they are. Raises ValueError as ``allocate`` does; limits that leave no weights are
    a row with their names.
    """
    rows = []
    for amount in amounts_usd:
        room = position_share * np.asarray(tvl_usd, dtype=np.float64) / amount
        named = [
            f"weight of {name}, by what can be withdrawn" if small < max_weight else f"weight of {name}"
            for name, small in zip(names, room, strict=True)
        ]
        upper = np.minimum(room, max_weight)
        try:
            found = allocate(curves, amount, horizon_days, upper=upper, upper_names=named, names=names, **others)
        except Infeasible as error:
            rows.append(SizeRow(amount, None, error.limits))
        else:
            rows.append(SizeRow(amount, found, ()))
    return rows
