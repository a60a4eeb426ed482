"""What each stated limit costs, found by solving again without it."""

from __future__ import annotations

import math

from tools.counterfactual.limits import stated_limits
from tools.counterfactual.records import Decided, Price, StatedLimit
from tools.counterfactual.solving import Decide
from tools.records import Mandate
from tools.units import BASIS_POINTS, significant

NOTHING_CHOSEN = "nothing was chosen with the limits as they are, so there is nothing to compare with"
NO_CHOICE = "without this limit nothing is chosen"


def prices(decide: Decide, mandate: Mandate, base: Decided) -> tuple[Price, ...]:
    """Price every stated limit in basis points of the APY expected to be kept; one problem is solved for each.

    Parameters
    ----------
    base
        What was decided with all limits. Where that is no choice nothing is solved and every price is None.

    Notes
    -----
    A price is the difference of two solved problems and holds for lifting that limit alone: prices do not add up. The
    choice is made by the score (mostly a rank of the net APY among the candidates of its own problem), so a price can
    be negative and is reported as found.
    """
    return tuple(_price(decide, mandate, base, limit) for limit in stated_limits(mandate))


def _price(decide: Decide, mandate: Mandate, base: Decided, limit: StatedLimit) -> Price:
    if base.net_apy is None:
        return _without(limit, base, None, NOTHING_CHOSEN)
    after = decide(limit.without(mandate), {})
    if after.net_apy is None:
        return _without(limit, base, after, NO_CHOICE)
    return Price(
        limit=limit,
        net_apy_before=base.net_apy,
        net_apy_after=after.net_apy,
        price_bps=(after.net_apy - base.net_apy) * BASIS_POINTS,
        after=after,
        entered=sorted(after.weights.keys() - base.weights.keys()),
        left=sorted(base.weights.keys() - after.weights.keys()),
        moved=_moved(base, after),
        reason=None,
    )


def _moved(before: Decided, after: Decided) -> float:
    """Return the share of the money that lies elsewhere, in [0, 1]."""
    pools = before.weights.keys() | after.weights.keys()
    shifts = [abs(after.weights.get(pool, 0.0) - before.weights.get(pool, 0.0)) for pool in pools]
    return min(1.0, significant(math.fsum(shifts) / 2.0))


def _without(limit: StatedLimit, base: Decided, after: Decided | None, reason: str) -> Price:
    return Price(
        limit=limit,
        net_apy_before=base.net_apy,
        net_apy_after=None,
        price_bps=None,
        after=after,
        entered=[],
        left=[],
        moved=None,
        reason=reason,
    )
