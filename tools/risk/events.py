"""What events may take beside carry: exploits, depegs and failures as a seeded compound-Poisson simulation.

    wealth = Π over blocks of history Π(1 + carry) · Π over events (1 − share · L) − cost          return = wealth − 1

Carry is resampled from the history in circular blocks (Politis & Romano, "A circular block-resampling procedure for
stationary data", 1992), which keeps the persistence of rates within a block. Events come to a node (a protocol, a
token, a chain …) as a Poisson process; each has one severity, which strikes every candidate with the share of its money
that depends on the node: candidates lose together because they share nodes, and for no other reason. What is not in the
model: rates that react to events, nodes that fail one after another, and a carry other than that of the history.

Every figure can be made again from the seed. Each node draws from a stream of its own, which hangs on the seed and on
the node's key: another node, or another order of nodes or candidates, changes nothing for the rest.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tools.metrics.inputs import checked
from tools.metrics.losses import tail_days, tail_losses, worst_returns
from tools.records import Histogram
from tools.risk.measures import entropic_value_at_risk
from tools.units import DAYS_PER_YEAR, FloatArray

PATHS = 100_000
BLOCK_DAYS = 30
BINS = 64  # at most one more

_Indices = npt.NDArray[np.intp]


class Simulated(NamedTuple):
    """Paths of all candidates, both (n_paths, n_candidates), each column contiguous in memory.

    ``returns``: over the horizon, carry, events and costs together, at least −1. ``event_losses``: the share of the
    money that the events alone took, 0 to 1.
    """

    returns: FloatArray
    event_losses: FloatArray


class Expected(NamedTuple):
    """Closed forms of the simulation over the horizon, each (n_candidates,).

    ``carry``: expected growth of carry, about 1.1 for 10 %. ``survival``: expected share that events leave.
    ``wealth``: carry · survival − cost. ``event_deviation``: standard deviation of what the events take.
    ``event_probability``: that at least one event strikes.
    """

    carry: FloatArray
    survival: FloatArray
    wealth: FloatArray
    event_deviation: FloatArray
    event_probability: FloatArray


class Summary(NamedTuple):
    """What the paths of one candidate say; losses are positive fractions of the money over the horizon.

    ``var`` is an order statistic, ``cvar`` the mean of the tail, ``evar`` the entropic bound on both (see
    ``tools.risk.measures``), all of the return with carry and costs; ``drawdown_95`` is the order statistic of what
    events alone took, at or above the drawdown that they caused. A path loses if its return is below 0.
    """

    mean_return: float
    standard_error: float
    loss_probability: float
    var_95: float
    var_99: float
    cvar_95: float
    cvar_99: float
    evar_95: float
    drawdown_95: float
    histogram: Histogram


class _Model(NamedTuple):
    """Checked inputs, the nodes in the order of their keys."""

    carry: FloatArray
    shares: FloatArray
    intensities: FloatArray
    severities: FloatArray
    costs: FloatArray
    keys: tuple[str, ...]
    blocks: tuple[int, ...]


def simulate(
    carry: npt.ArrayLike,
    shares: npt.ArrayLike,
    rates: npt.ArrayLike,
    severities: npt.ArrayLike,
    *,
    costs: npt.ArrayLike,
    keys: Sequence[str] | None = None,
    horizon_days: int = DAYS_PER_YEAR,
    paths: int = PATHS,
    block_days: int = BLOCK_DAYS,
    seed: int = 0,
) -> Simulated:
    """Simulate what the candidates return over the horizon, carry and events together.

    ``carry`` (n_days, n_candidates): simple daily returns, at least −1. ``shares`` (n_nodes, n_candidates): share of
    the money that is lost if the node fails for good, 0 to 1. ``rates`` (n_nodes,): events per year. ``severities``
    (n_nodes, 2): the loss given an event is uniform between these two fractions, of what depends on the node.
    ``costs`` (n_candidates,): fraction of the money paid once. ``keys``: a name per node, all different, from which its
    stream of random numbers is derived; without them a node goes by its position.

    A year of 30-day blocks is twelve and one of five days; a block starts on any day of the history with the same
    probability and goes on at the first day after the last. All candidates see the same blocks and the same events, so
    differences between candidates are not noise. The number of events on a path is Poisson(rate · horizon / 365).

    Raises ValueError for NaN or infinity (naming the place), for shapes that do not fit, and for values outside the
    ranges above. Missing values have no meaning here: a node without a rate is for the caller to leave out, with a
    reason.
    """
    model = _checked_model(carry, shares, rates, severities, costs, keys, horizon_days, block_days)
    if paths < 1:
        raise ValueError(f"paths must be at least 1, not {paths}")
    wealth = _carried(model, paths, seed)
    survival = _survived(model, paths, seed)
    wealth *= survival
    wealth -= model.costs[:, None]
    wealth -= 1.0
    np.maximum(wealth, -1.0, out=wealth)
    np.subtract(1.0, survival, out=survival)
    return Simulated(wealth.T, survival.T)


def expected_growth(
    carry: npt.ArrayLike,
    shares: npt.ArrayLike,
    rates: npt.ArrayLike,
    severities: npt.ArrayLike,
    *,
    costs: npt.ArrayLike,
    horizon_days: int = DAYS_PER_YEAR,
    block_days: int = BLOCK_DAYS,
) -> Expected:
    """Return in closed form what ``simulate`` estimates; the arguments are its own.

    With λ events over the horizon and severity L at each node, the product over a compound Poisson number of events has
    E[Π(1 − share·L)] = exp(−Σ λ·share·E[L]) and E[Π(1 − share·L)²] = exp(Σ λ(−2·share·E[L] + share²·E[L²])) (Cont &
    Tankov, Financial Modelling with Jump Processes, 2004, prop. 3.4); for small λ the variance is Σ λ·share²·E[L²].
    Blocks are drawn independently, so the expected growth of carry is the product of the mean growths of a block. That
    a return stops at −1 is left out: it matters only where costs exceed what is left.
    """
    model = _checked_model(carry, shares, rates, severities, costs, None, horizon_days, block_days)
    low, high = model.severities.T
    mean, square = (low + high) / 2.0, (low * low + low * high + high * high) / 3.0
    first = _exact_sums(model.intensities * mean, model.shares)
    second = _exact_sums(model.intensities * square, model.shares**2)
    struck = _exact_sums(model.intensities, (model.shares > 0.0).astype(np.float64))
    growth = np.ones(model.carry.shape[1])
    for days in model.blocks:
        growth *= np.array([math.fsum(column) for column in _block_growth(model.carry, days)]) / model.carry.shape[0]
    _refuse_beyond_floats(growth)
    survival = np.exp(-first)
    deviation = survival * np.sqrt(np.expm1(second))
    return Expected(growth, survival, growth * survival - model.costs, deviation, -np.expm1(-struck))


def summarise(simulated: Simulated) -> tuple[Summary, ...]:
    """Return what the paths say, one summary for each candidate.

    Raises ValueError for returns or losses that are not finite or not (n_paths, n_candidates).
    """
    returns, losses = (checked(np.asarray(part).T, "paths", 2) for part in simulated)
    return tuple(map(_summary, returns, losses, entropic_value_at_risk(returns, 0.95)))


def _summary(returns: FloatArray, losses: FloatArray, evar: np.float64) -> Summary:
    paths = returns.size
    size_95, count_95 = tail_days(paths, 0.95)
    size_99, count_99 = tail_days(paths, 0.99)
    worst = worst_returns(returns[None].copy(), count_95)
    (var_95,), (cvar_95,) = tail_losses(worst, size_95)
    (var_99,), (cvar_99,) = tail_losses(worst[:, :count_99], size_99)
    mean = np.add.reduce(returns) / paths
    deviations = returns - mean
    squares = np.einsum("j,j->", deviations, deviations)
    return Summary(
        mean_return=float(mean),
        standard_error=float(np.sqrt(squares / (paths - 1) / paths)) if paths > 1 else 0.0,
        loss_probability=int(np.count_nonzero(returns < 0.0)) / paths,
        var_95=float(var_95),
        var_99=float(var_99),
        cvar_95=float(cvar_95),
        cvar_99=float(cvar_99),
        evar_95=float(evar),
        drawdown_95=float(np.partition(losses, paths - count_95)[paths - count_95]),
        histogram=histogram(0.0 - returns),
    )


def histogram(losses: FloatArray) -> Histogram:
    """Count losses (n_paths,) in at most ``BINS`` + 1 bins of one round width, 0 being an edge if it is in reach.

    A bin holds its lower edge. Losses are positive, so the bad end is on the right.
    """
    low, high = float(losses.min()), float(losses.max())
    width, decimals = _round_width(max((high - low) / BINS, abs(high) * 1e-6, 1e-9))
    bins = np.floor(losses / width).astype(np.intp)
    first = int(bins.min())
    counts = np.bincount(bins - first)
    edges = [round((first + i) * width, decimals) for i in range(counts.size + 1)]
    return Histogram(edges=edges, counts=counts.tolist())


def _round_width(least: float) -> tuple[float, int]:
    """Return the smallest of 1, 2, 2.5 and 5 times a power of ten that is at least ``least``, and its decimals."""
    power = math.floor(math.log10(least))
    for digits in (10, 20, 25, 50, 100):
        width = round(digits * 10.0 ** (power - 1), max(0, 2 - power))
        if width >= least:
            break
    return width, max(0, 2 - power)


# --- the model -------------------------------------------------------------------------------------------------------


def _checked_model(
    carry: npt.ArrayLike,
    shares: npt.ArrayLike,
    rates: npt.ArrayLike,
    severities: npt.ArrayLike,
    costs: npt.ArrayLike,
    keys: Sequence[str] | None,
    horizon_days: int,
    block_days: int,
) -> _Model:
    history = checked(carry, "carry", 2)
    candidates = history.shape[1]
    rate = _finite(rates, "rates", (np.size(rates),))
    share = _finite(shares, "shares", (rate.size, candidates))
    severity = _finite(severities, "severities", (rate.size, 2))
    cost = _finite(costs, "costs", (candidates,))
    names = _checked_keys(keys, rate.size)
    _refuse(history < -1.0, "carry", "a day loses more than everything")
    _refuse((share < 0.0) | (share > 1.0), "shares", "a share lies between 0 and 1")
    _refuse(rate < 0.0, "rates", "events per year are at least 0")
    _refuse((severity < 0.0) | (severity > 1.0), "severities", "a severity lies between 0 and 1")
    _refuse(severity[:, :1] > severity[:, 1:], "severities", "the low severity is above the high one")
    _refuse(cost < 0.0, "costs", "a cost is at least 0")
    order = sorted(range(rate.size), key=names.__getitem__)
    intensities = rate[order] * (horizon_days / DAYS_PER_YEAR)
    blocks = _blocks(horizon_days, block_days)
    return _Model(history, share[order], intensities, severity[order], cost, tuple(names[i] for i in order), blocks)


def _finite(values: npt.ArrayLike, name: str, shape: tuple[int, ...]) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0 and 0 in shape:
        array = array.reshape(shape)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, not {array.shape}")
    _refuse(~np.isfinite(array), name, "every value must be a finite number")
    return array


def _refuse(wrong: npt.NDArray[np.bool_], name: str, reason: str) -> None:
    if wrong.any():
        place = ", ".join(str(int(index[0])) for index in np.nonzero(wrong))
        raise ValueError(f"{name}[{place}]: {reason}")


def _checked_keys(keys: Sequence[str] | None, nodes: int) -> list[str]:
    names = [f"{position:06d}" for position in range(nodes)] if keys is None else list(keys)
    if len(names) != nodes or len(set(names)) != nodes:
        raise ValueError(f"keys must be {nodes} different names, not {len(names)} with {len(set(names))} different")
    return names


def _blocks(horizon_days: int, block_days: int) -> tuple[int, ...]:
    """Return the lengths of the blocks that make up the horizon: equal ones, and a shorter last one if need be."""
    if horizon_days < 1 or block_days < 1:
        raise ValueError(f"horizon_days and block_days must be at least 1, not {horizon_days} and {block_days}")
    whole, rest = divmod(horizon_days, block_days)
    return (block_days,) * whole + ((rest,) if rest else ())


def _exact_sums(weights: FloatArray, values: FloatArray) -> FloatArray:
    """Return Σ weights · values over the nodes for each candidate, rounded once: no order of nodes matters."""
    return np.array([math.fsum(column) for column in (weights[:, None] * values).T])


# --- the draws -------------------------------------------------------------------------------------------------------


def _stream(seed: int, name: str) -> np.random.Generator:
    """Return the random numbers of one name. Only uniforms are taken from them, for their algorithm does not change."""
    key = hashlib.sha256(f"{seed}\n{name}".encode()).digest()[:16]
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))


def _carried(model: _Model, paths: int, seed: int) -> FloatArray:
    """Return the growth of carry (n_candidates, n_paths): products only, which are the same on every machine."""
    days, candidates = model.carry.shape
    random = _stream(seed, "history")
    growth = {length: _block_growth(model.carry, length) for length in set(model.blocks)}
    wealth = np.ones((candidates, paths))
    block = np.empty(paths)
    for length in model.blocks:
        starts = (random.random(paths) * days).astype(np.intp)
        for candidate in range(candidates):
            growth[length][candidate].take(starts, out=block, mode="clip")
            with np.errstate(over="ignore", invalid="ignore"):
                wealth[candidate] *= block
    _refuse_beyond_floats(wealth)
    return wealth


def _block_growth(carry: FloatArray, length: int) -> FloatArray:
    """Return the growth (n_candidates, n_days) over the block that starts on each day and goes round the end."""
    factors = np.ascontiguousarray(carry.T) + 1.0
    growth = np.ones_like(factors)
    with np.errstate(over="ignore", invalid="ignore"):
        for day in range(length):
            growth *= np.roll(factors, -day, axis=1)
    _refuse_beyond_floats(growth)
    return growth


def _refuse_beyond_floats(growth: FloatArray) -> None:
    if not np.isfinite(growth).all():
        raise ValueError("carry: the growth over the horizon leaves the range of floats")


def _survived(model: _Model, paths: int, seed: int) -> FloatArray:
    """Return the share of the money that events leave (n_candidates, n_paths)."""
    survival = np.ones((model.carry.shape[1], paths))
    for node, key in enumerate(model.keys):
        struck = np.flatnonzero(model.shares[node])
        if struck.size == 0 or model.intensities[node] == 0.0:
            continue
        random = _stream(seed, f"node {key}")
        where = _event_paths(random, float(model.intensities[node]), paths)
        low, high = model.severities[node]
        severity = low + (high - low) * random.random(where.size)
        for once in _each_path_once(where):
            for candidate in struck:
                survival[candidate, where[once]] *= 1.0 - model.shares[node, candidate] * severity[once]
    return survival


def _event_paths(random: np.random.Generator, intensity: float, paths: int) -> _Indices:
    """Return the path of each event, ascending: path i holds the events between i and i + 1 of one Poisson process.

    Waiting times are exponential, so counts are Poisson and independent from path to path, without a table of either.
    """
    mean = intensity * paths
    ahead = int(mean + 6.0 * math.sqrt(mean)) + 16
    times = np.zeros(1)
    while times[-1] < paths:
        waits = np.log1p(-random.random(ahead)) / -intensity
        waits[0] += times[-1]
        times = np.concatenate([times, np.cumsum(waits)])
    return times[1:][times[1:] < paths].astype(np.intp)


def _each_path_once(where: _Indices) -> Iterator[_Indices]:
    """Split events sorted by path into rounds that hold no path twice: the first ones, the second ones, and so on."""
    left = np.arange(where.size)
    while left.size:
        first = np.ones(left.size, dtype=bool)
        first[1:] = where[left[1:]] != where[left[:-1]]
        yield left[first]
        left = left[~first]
