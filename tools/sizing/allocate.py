"""Where a given amount earns most after its own dilution and costs, with a proof of how good that is.

Maximise Σ x_i·rate_i(x_i) − Σ loss_i·x_i − (fixed_i·[x_i > 0] + leaving_i(x_i)) · 365/horizon over Σ x_i = amount:
the income of a year, with what is paid once spread over the horizon. Neither the fixed cost nor a lender's kink is
concave, so the optimum is searched by branch and bound and comes with a bound that no allocation can beat (``search``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tools.optimize import Infeasible
from tools.records import BindingLimit
from tools.sizing.dilution import RateCurve, flat
from tools.sizing.envelope import Leaving, NetIncome
from tools.sizing.search import Book, Branch, Found, Prices, Search, conflict
from tools.units import BASIS_POINTS, DAYS_PER_YEAR, FloatArray

POINT = 0.01  # a percentage point
LEAST_PRICE_BPS = 1e-4
AT_ITS_LIMIT = 1e-9  # a weight so near to its bound lies at it

GroupCap = tuple[npt.ArrayLike, float, str]


@dataclass(frozen=True, slots=True)
class SizedAllocation:
    """Weights (n,) of the pools and the share left ``idle``, what they earn, and how much better any could be.

    ``rates`` (n,) are the pools' annual rates at their positions, before losses and costs. ``value`` is the expected
    net income in dollars a year, ``net_apy`` the same as a fraction; ``bound`` is proven: no allocation within the
    limits earns more; ``gap`` is the distance (≥ 0). ``binding`` says by how many basis points of ``net_apy`` a limit
    would give way per percentage point, with the same pools open; ``notes`` what else shaped the weights.
    """

    weights: FloatArray
    idle: float
    rates: FloatArray
    value: float
    net_apy: float
    bound: float
    gap: float
    binding: tuple[BindingLimit, ...]
    notes: tuple[str, ...]


def allocate(
    curves: Sequence[RateCurve],
    amount_usd: float,
    horizon_days: float,
    *,
    fixed_cost_usd: npt.ArrayLike = 0.0,
    exit_cost: Sequence[Leaving | None] | None = None,
    expected_loss: npt.ArrayLike = 0.0,
    upper: npt.ArrayLike = 1.0,
    upper_names: Sequence[str] | None = None,
    group_caps: Sequence[GroupCap] = (),
    min_weight: float = 0.0,
    max_pools: int | None = None,
    idle_rate: float | None = None,
    names: Sequence[str] | None = None,
) -> SizedAllocation:
    """Allocate ``amount_usd`` over pools with ``curves`` (n,) for ``horizon_days``.

    Parameters
    ----------
    fixed_cost_usd
        Paid once for a position of any size (gas in and out, a bridge), shape (n,) or a scalar.
    exit_cost
        What leaving costs, per pool; None for nothing. A position larger than such a pool's TVL is not considered.
    expected_loss
        Fraction of a position lost per year, shape (n,) or a scalar.
    upper, upper_names
        Largest weight of each pool, and what that limit is called (else "weight of" and the pool's name).
    group_caps
        (row (n,), cap, name): row @ weights ≤ cap.
    min_weight
        Of every pool that is held at all.
    max_pools
        How many may be held; None for any number.
    idle_rate
        What money outside the pools earns; None where all of it must be placed.
    names
        Of the pools. Where they are given and distinct, the answer does not depend on the order of the pools.

    Raises ValueError for figures that are not finite, negative or of the wrong shape, ``Infeasible`` where no weights
    keep the limits, and ``SolverFailed`` where none were found.
    """
    _check_inputs(curves, amount_usd, horizon_days, min_weight, max_pools)
    pools = len(curves)
    leaving = [None] * pools if exit_cost is None else list(exit_cost)
    _check_length(leaving, pools, "exit_cost")
    per_year = DAYS_PER_YEAR / horizon_days
    losses = _array(expected_loss, pools, "expected_loss")
    book = Book(
        incomes=[
            NetIncome(curve, float(loss), way_out, per_year)
            for curve, loss, way_out in zip(curves, losses, leaving, strict=True)
        ],
        amount_usd=amount_usd,
        fixed=_array(fixed_cost_usd, pools, "fixed_cost_usd") * per_year / amount_usd,
        low=np.full(pools, min_weight),
        up=_caps(_array(upper, pools, "upper"), leaving, amount_usd),
        shares=np.array([_array(row, pools, name) for row, _, name in group_caps]).reshape(-1, pools),
        caps=_array([cap for _, cap, _ in group_caps], len(group_caps), "group_caps"),
        counted=np.ones(pools, dtype=bool),
        most=pools if max_pools is None else max_pools,
    )
    if idle_rate is not None:
        book = _with_idle(book, idle_rate, per_year)
    called = [f"pool {number}" for number in range(pools)] if names is None else list(names)
    _check_length(called, pools, "names")
    capped = [f"weight of {name}" for name in called] if upper_names is None else list(upper_names)
    _check_length(capped, pools, "upper_names")
    group_names = [name for _, _, name in group_caps]
    order = sorted(range(len(book.incomes)), key=lambda i: (called[i] if names and i < pools else "", i))
    found = Search(book.reordered(order)).run()
    if found is None:
        raise _infeasible(book, group_names)
    weights = np.empty(len(order))
    weights[order] = found.weights
    return SizedAllocation(
        weights=weights[:pools],
        idle=float(weights[pools:].sum()),
        rates=np.array([c.rate(float(w) * amount_usd) for c, w in zip(curves, weights, strict=False)]),
        value=found.value * amount_usd,
        net_apy=found.value,
        bound=found.bound * amount_usd,
        gap=found.bound * amount_usd - found.value * amount_usd,
        binding=tuple(_binding(book, weights, found.prices, capped, called, group_names)),
        notes=tuple(_notes(book, found, weights, max_pools)),
    )


def _check_inputs(
    curves: Sequence[RateCurve], amount_usd: float, horizon_days: float, min_weight: float, max_pools: int | None
) -> None:
    if not curves:
        raise ValueError("curves: there is no pool to allocate to")
    for name, value in (("amount_usd", amount_usd), ("horizon_days", horizon_days)):
        if not 0.0 < value < math.inf:
            raise ValueError(f"{name} must be finite and above 0, not {value}")
    if not 0.0 <= min_weight <= 1.0:
        raise ValueError(f"min_weight must lie between 0 and 1, not {min_weight}")
    if max_pools is not None and max_pools < 1:
        raise ValueError(f"max_pools must be at least 1, not {max_pools}")


def _check_length(values: Sequence[object], size: int, name: str) -> None:
    if len(values) != size:
        raise ValueError(f"{name}: {len(values)} of them for {size} pools")


def _array(values: npt.ArrayLike, size: int, name: str) -> FloatArray:
    array = np.broadcast_to(np.asarray(values, dtype=np.float64), (size,))
    if not (np.isfinite(array).all() and (array >= 0.0).all()):
        raise ValueError(f"{name} must be finite and not negative, not {values!r}")
    return np.array(array)


def _caps(upper: FloatArray, leaving: Sequence[Leaving | None], amount_usd: float) -> FloatArray:
    """Return the largest weights: at most what a pool holds where leaving it means to swap through it."""
    holds = [math.inf if way_out is None else way_out.tvl_usd / amount_usd for way_out in leaving]
    return np.asarray(np.minimum(np.minimum(upper, holds), 1.0))


def _with_idle(book: Book, rate: float, per_year: float) -> Book:
    """Add money that lies outside the pools: any share of it, at no cost, no pool to count."""
    if not math.isfinite(rate):
        raise ValueError(f"idle_rate must be finite, not {rate}")
    return replace(
        book,
        incomes=[*book.incomes, NetIncome(flat(rate), 0.0, None, per_year)],
        fixed=np.append(book.fixed, 0.0),
        low=np.append(book.low, 0.0),
        up=np.append(book.up, 1.0),
        shares=np.hstack([book.shares, np.zeros((book.caps.size, 1))]),
        counted=np.append(book.counted, False),
    )


def _infeasible(book: Book, group_names: Sequence[str]) -> Infeasible:
    assets = len(book.incomes)
    none = np.zeros(assets, dtype=bool)
    found = conflict(book, Branch(none, book.up < book.low, book.low, book.up)) or ["low", "most", "up"]
    words = {f"groups[{number}]": name for number, name in enumerate(group_names)}
    words |= {"most": "max_pools", "up": "upper", "low": "min_weight"}
    limits = [words[limit] for limit in found]
    return Infeasible(f"no weights that add up to 1 keep {', '.join(limits)}", limits)


def _binding(
    book: Book,
    weights: FloatArray,
    prices: Prices,
    capped: Sequence[str],
    called: Sequence[str],
    group_names: Sequence[str],
) -> list[BindingLimit]:
    """Return what limits cost, the dearest first: bps of the annual rate per percentage point."""
    cost = {name: float(price) for name, price in zip(group_names, prices.groups, strict=True)}
    per_weight = prices.money + (prices.groups[:, None] * book.shares).sum(axis=0)
    for asset, (cap_name, name) in enumerate(zip(capped, called, strict=True)):
        weight = float(weights[asset])
        if weight <= 0.0:
            continue
        worth = book.incomes[asset].marginal(weight * book.amount_usd) - float(per_weight[asset])
        if weight >= book.up[asset] - AT_ITS_LIMIT and book.up[asset] < 1.0:
            cost[cap_name] = worth
        elif weight <= book.low[asset] + AT_ITS_LIMIT:
            cost[f"least weight of {name}"] = -worth
    ordered = sorted(cost.items(), key=lambda item: (-item[1], item[0]))
    in_bps = [BindingLimit(limit=name, price_bps=price * POINT * BASIS_POINTS) for name, price in ordered]
    return [limit for limit in in_bps if limit.price_bps > LEAST_PRICE_BPS]


def _notes(book: Book, found: Found, weights: FloatArray, max_pools: int | None) -> list[str]:
    held = (weights > 0.0) & book.counted
    notes = []
    if max_pools is not None and int(held.sum()) == max_pools:
        notes.append(f"as many pools are held as may be: {max_pools}")
    if not found.exhausted and found.bound > found.value:
        notes.append("the search was cut short: the gap is proven, the optimum is not")
    return notes
