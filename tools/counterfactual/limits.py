"""The limits that a mandate states, one by one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from tools.counterfactual.records import LimitField, StatedLimit
from tools.records import Mandate
from tools.strategies.profiles import RISK_ORDER

RISK_ID = "risk"


def stated_limits(mandate: Mandate) -> tuple[StatedLimit, ...]:
    """List every limit that the mandate states, in the order of ``LimitField``; the level of risk last.

    Each exclusion is a limit of its own. A list of inclusions is one limit, for without one of its entries it would be
    tighter. ``allow_il`` is a limit only where it is False, a floor only above 0. The boldest level of risk is none, as
    nothing lifts it; the level is listed also where the user did not say it, since it decides all the same.
    """
    found: list[StatedLimit] = []
    for field in get_args(LimitField):
        value = getattr(mandate, field)
        if field == "allow_il":
            found += [StatedLimit(id=field, field=field, value=False)] if value is False else []
        elif field.endswith("_exclude"):
            found += [StatedLimit(id=f"{field}:{entry}", field=field, value=entry) for entry in dict.fromkeys(value)]
        elif value not in (None, [], 0.0, RISK_ORDER[-1]):
            found.append(StatedLimit(id=field, field=field, value=value))
    return tuple(found)


def with_only(mandate: Mandate, kept: Iterable[StatedLimit]) -> Mandate:
    """Return the mandate with no stated limit but ``kept``; asset, amount, horizon and level of risk stay."""
    ids = {limit.id for limit in kept}
    for limit in stated_limits(mandate):
        if limit.id not in ids and limit.id != RISK_ID:
            mandate = limit.without(mandate)
    return mandate
