"""An event replayed on a portfolio as it is today, through the nodes that its pools depend on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from tools.records import NodeShock, StressResult
from tools.stress.events import Channel, Event, Shock

STORED_DECIMALS = 12  # the last bits of a product are nobody's finding
_SLACK = 1e-6

Lost = Mapping[str, Mapping[str, float]]


def replay(event: Event, weights: Mapping[str, float], lost: Lost) -> StressResult:
    """Return what the event takes from pools of these weights (pool id → fraction of the money, sum at most 1).

    ``lost[pool][node]`` is the fraction of the pool that is gone when the node fails for good (``lost_if_fails``); a
    node that is not there costs the pool nothing. A shock of loss l takes lost_if_fails · l. Within a channel the
    largest counts: a token and its issuer are one loss told twice, and a pool of several tokens is left with the one
    that fell most. The two channels compound, 1 − (1 − price)(1 − custody): what the protocol did not lose is worth
    less. The portfolio loses Σ weight · loss of the pool, so no diversification is assumed.

    ``shocks`` holds what struck these pools, so that the losses can be computed again from the result and the shares.
    ``loss_after`` is None when it is not known for a shock that strikes the portfolio. Raises ValueError for a weight
    or share that is not a fraction, weights above 1 in sum, or a pool without an entry in ``lost``.
    """
    _check(weights, lost)
    held = [pool for pool in sorted(weights) if weights[pool] > 0.0]
    strikes = {pool: _strikes(event.shocks, lost[pool]) for pool in held}
    struck = {shock.node: shock for own in strikes.values() for shock, _ in own}
    hit = sorted(struck)
    worst = math.fsum(weights[pool] * _pool_loss((s, share * s.loss) for s, share in strikes[pool]) for pool in held)
    return StressResult(
        event=event.id,
        title=event.title,
        date=event.date.isoformat(),
        loss=_stored(worst),
        loss_after=_loss_after(weights, strikes),
        days_after=event.days_after,
        hit=hit,
        shocks={node: _recorded(struck[node]) for node in hit},
        sources=list(dict.fromkeys([*(s.source for s in event.shocks if s.node in hit and s.source), *event.sources])),
    )


def _recorded(shock: Shock) -> NodeShock:
    return NodeShock(loss=shock.loss, loss_after=shock.loss_after, channel=shock.reaches_by)


def _strikes(shocks: Iterable[Shock], shares: Mapping[str, float]) -> list[tuple[Shock, float]]:
    """Return the shocks that cost the pool something, each with the share of the pool that hangs on its node."""
    return [(shock, shares[shock.node]) for shock in shocks if shock.loss > 0.0 and shares.get(shock.node, 0.0) > 0.0]


def _pool_loss(losses: Iterable[tuple[Shock, float]]) -> float:
    worst: dict[Channel, float] = {"price": 0.0, "custody": 0.0}
    for shock, loss in losses:
        worst[shock.reaches_by] = max(worst[shock.reaches_by], loss)
    return 1.0 - (1.0 - worst["price"]) * (1.0 - worst["custody"])


def _loss_after(weights: Mapping[str, float], strikes: Mapping[str, list[tuple[Shock, float]]]) -> float | None:
    parts = []
    for pool, struck in strikes.items():
        losses = [(shock, share * shock.loss_after) for shock, share in struck if shock.loss_after is not None]
        if len(losses) < len(struck):
            return None
        parts.append(weights[pool] * _pool_loss(losses))
    return _stored(math.fsum(parts))


def _stored(loss: float) -> float:
    return min(1.0, round(loss, STORED_DECIMALS))


def _check(weights: Mapping[str, float], lost: Lost) -> None:
    for pool, weight in weights.items():
        _fraction(weight, f"the weight of {pool}")
        if pool not in lost:
            raise ValueError(f"nothing is said of what {pool} depends on; an empty mapping says nothing does")
        for node, share in lost[pool].items():
            _fraction(share, f"the share of {pool} lost with {node}")
    if math.fsum(weights.values()) > 1.0 + _SLACK:
        raise ValueError(f"the weights sum to {math.fsum(weights.values())}, more than 1")


def _fraction(value: float, name: str) -> None:
    if not 0.0 <= value <= 1.0 + _SLACK:  # NaN fails too
        raise ValueError(f"{name} is {value}, not a fraction")
