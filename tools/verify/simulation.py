"""The tail of the all-in view against the model itself: the mean in closed form, the rest by a simulation of our own.

A year is twelve blocks of 30 days and one of five, each from a random day of the history on and round its end; events
come to each node as a Poisson process and take share · severity of what is left; costs are paid once. The random
numbers are others than the writer's, so figures agree within the sampling errors of both: six standard errors.
"""

from __future__ import annotations

import bisect
import itertools
import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from tools.verify.all_in import BLOCK_DAYS, HORIZON_DAYS, expected_loss, paid_once, rate_of, striking
from tools.verify.book import JsonObject
from tools.verify.report import Findings
from tools.verify.tail import DIGITS, entropic

SEED = 20_260_101
STRUCK, CALM = 20_000, 10_000  # paths with events, and draws of carry
EVENTS = 200_000  # at about so many events in all there are fewer paths instead
MOST_EVENTS = 700.0  # a year; more are not simulated
ERRORS = 6.0
BLOCKS = (BLOCK_DAYS,) * (HORIZON_DAYS // BLOCK_DAYS) + (HORIZON_DAYS % BLOCK_DAYS,)

Returns = Sequence[float]


class Sample(NamedTuple):
    """Losses of simulated paths in two strata: without an event, and with one or more, which have this probability."""

    calm: Sequence[float]
    struck: Sequence[float]
    probability: float

    def mean_and_error(self, values: tuple[Sequence[float], Sequence[float]]) -> tuple[float, float]:
        """Return the mean over both strata of one value a path, and its standard error."""
        mean = variance = 0.0
        for part, share in zip(values, (1.0 - self.probability, self.probability), strict=True):
            if part:
                own = math.fsum(part) / len(part)
                spread = math.fsum((value - own) ** 2 for value in part) / len(part)
                mean += share * own
                variance += share * share * spread / len(part)
        return mean, math.sqrt(variance)

    def weighted(self) -> tuple[list[float], list[float]]:
        """Return all losses, ascending, and the probability of each."""
        shares = [((1.0 - self.probability) / len(self.calm), loss) for loss in self.calm]
        shares += [(self.probability / len(self.struck), loss) for loss in self.struck]
        shares.sort(key=lambda pair: pair[1])
        return [loss for _, loss in shares], [share for share, _ in shares]


def check_simulations(record: JsonObject, returns: Mapping[int, Returns], findings: Findings) -> None:
    """Hold the mean of every candidate against its closed form, and the tail of the choice against a simulation.

    ``returns``: daily returns of each candidate by its place.
    """
    chosen = record["choice"]["candidate_id"] if record["choice"] is not None else None
    for index, candidate in enumerate(record["candidates"]):
        if index in returns and all(value >= -1.0 for value in returns[index]):
            pointer = f"/candidates/{index}/risk/all_in"
            around = _around_the_day(returns[index], candidate["metrics"]["portfolio_apy"])
            growths = [block_growth(around, days) for days in BLOCKS]
            _check_mean(candidate, growths, pointer, findings)
            if candidate["id"] == chosen:
                _check_tail(candidate, growths, pointer, findings)


def _around_the_day(returns: Returns, apy: float) -> list[float]:
    """Return the returns moved by one factor, so that a year of them grows by the portfolio's APY of the day."""
    if apy <= -1.0 or min(returns) <= -1.0:
        return list(returns)
    factor = math.exp(math.log1p(apy) / 365 - math.fsum(math.log1p(value) for value in returns) / len(returns))
    return [(1.0 + value) * factor - 1.0 for value in returns]


def block_growth(returns: Returns, days: int) -> list[float]:
    """Return the growth over the block of so many days from each day of the history on, going round its end."""
    wealth = [1.0]
    for value in itertools.islice(itertools.cycle(returns), len(returns) + days):
        wealth.append(wealth[-1] * (1.0 + value))
    if wealth[-1] <= 0.0:  # a day that lost everything: no ratios
        twice = list(itertools.islice(itertools.cycle(returns), len(returns) + days))
        return [math.prod(1.0 + value for value in twice[day : day + days]) for day in range(len(returns))]
    return [wealth[day + days] / wealth[day] for day in range(len(returns))]


def _check_mean(candidate: JsonObject, growths: Sequence[Sequence[float]], pointer: str, findings: Findings) -> None:
    """See that the simulated mean return lies within six standard errors of E[carry] · E[survival] − 1 − costs."""
    all_in = candidate["risk"]["all_in"]
    carry = math.prod(math.fsum(growth) / len(growth) for growth in growths)
    cost, edges = paid_once(all_in), all_in["histogram"]["edges"]
    expected = carry * math.exp(-expected_loss(candidate, all_in["hazard_level"])) - 1.0 - cost
    # A return stops at −1: the paths that end there would have ended lower, but not by more than the cost.
    floored = sum(n for n, edge in zip(all_in["histogram"]["counts"], edges[1:], strict=False) if edge >= 1.0 - 1e-9)
    slack = ERRORS * all_in["standard_error"] + DIGITS * abs(expected) + 1e-9
    most = expected + slack + cost * floored / max(1, all_in["paths"])
    found = all_in["mean_return"]
    findings.recomputed += 1
    if not expected - slack <= found <= most:
        what = f"is {found}, but carry, events and costs give {expected} within {slack:.1e}"
        findings.at(f"{pointer}/mean_return", what, expected, found)


def _check_tail(candidate: JsonObject, growths: Sequence[Sequence[float]], pointer: str, findings: Findings) -> None:
    """Hold every tail figure of a candidate against paths of our own."""
    all_in = candidate["risk"]["all_in"]
    nodes = [(rate_of(node, all_in["hazard_level"]), node) for node in striking(candidate)]
    if math.fsum(rate for rate, _ in nodes) > MOST_EVENTS:
        findings.at(pointer, "has more events a year than can be simulated", f"at most {MOST_EVENTS}")
        return
    sample, falls = simulate(growths, nodes, paid_once(all_in))
    paths = max(1, all_in["paths"])
    indicators = ([float(x > 0.0) for x in sample.calm], [float(x > 0.0) for x in sample.struck])
    share, error = sample.mean_and_error(indicators)
    error = math.hypot(error, math.sqrt(max(share * (1.0 - share), 1.0 / paths) / paths))
    _check(f"{pointer}/loss_probability", all_in["loss_probability"], share, error, findings)
    for place, point in enumerate(all_in["drawdown_curve"]):
        at = f"{pointer}/drawdown_curve/{place}/loss"
        _check_quantile(point["loss"], 1.0 - point["probability"], falls, paths, at, findings)
    losses, weights = sample.weighted()
    for name, confidence in (("95", 0.95), ("99", 0.99)):
        _check_quantile(all_in[f"var_{name}"], confidence, sample, paths, f"{pointer}/var_{name}", findings)
        mean, error = tail_mean(sample, losses, weights, confidence, paths)
        _check(f"{pointer}/cvar_{name}", all_in[f"cvar_{name}"], mean, error, findings)
    bound, error = _entropic(sample, losses, weights, paths)
    _check(f"{pointer}/evar_95", all_in["evar_95"], bound, error, findings)
    _check_deviation(all_in, sample, pointer, findings)


def _check(pointer: str, found: float, expected: float, error: float, findings: Findings) -> None:
    findings.recomputed += 1
    slack = ERRORS * error + DIGITS * abs(expected) + 1e-9
    if abs(found - expected) > slack:
        what = f"is {found}, but a simulation of our own gives {expected:.6g} within {slack:.1e}"
        findings.at(pointer, what, f"{expected:.6g}", found)


def _check_quantile(
    found: float, confidence: float, sample: Sample, paths: int, pointer: str, findings: Findings
) -> None:
    """See that a loss is the quantile: no more than 1 − α of our paths lose more, no fewer as much."""
    findings.recomputed += 1
    edge = 2.0 * DIGITS * abs(found) + 1e-9
    wanted = 1.0 - confidence
    own = math.sqrt(confidence * wanted / paths)
    shares = []
    for limit in (found + edge, found - edge):
        more, error = sample.mean_and_error(
            ([float(x > limit) for x in sample.calm], [float(x > limit) for x in sample.struck])
        )
        # A share of no path at all has an error too.
        error = max(error, 1.0 / len(sample.calm))
        shares.append((more, ERRORS * math.hypot(error, own)))
    (more, above), (as_much, below) = shares
    if more - above > wanted or as_much + below < wanted:
        what = f"is {found}, but of our own paths {as_much:.4f} lose so much and {more:.4f} more"
        findings.at(pointer, what, f"{wanted:.2f}", found)


class Simulated(NamedTuple):
    """Losses of the money with carry and costs, and what events alone take."""

    losses: Sample
    falls: Sample


def simulate(
    growths: Sequence[Sequence[float]], nodes: Sequence[tuple[float, JsonObject]], cost: float, seed: int = SEED
) -> Simulated:
    """Return simulated years: ``growths`` by block, events a year with their nodes, a cost paid once.

    Years with events are drawn as such, however rare they are; their share of all years is known.
    """
    chance = random.Random(seed).random  # noqa: S311 (a simulation, nothing secret)
    carries = [math.prod(growth[int(chance() * len(growth))] for growth in growths) for _ in range(CALM)]
    rates = list(itertools.accumulate(rate for rate, _ in nodes))
    total = rates[-1] if rates else 0.0
    kept = _survivals(chance, rates, nodes) if total > 0.0 else [1.0]
    probability = -math.expm1(-total)
    calm = [1.0 - max(0.0, carry - cost) for carry in carries]
    struck = [1.0 - max(0.0, carries[path % CALM] * share - cost) for path, share in enumerate(kept)]
    falls = Sample([0.0] * CALM, [1.0 - share for share in kept], probability)
    return Simulated(Sample(calm, struck, probability), falls)


def _survivals(
    chance: Callable[[], float], rates: Sequence[float], nodes: Sequence[tuple[float, JsonObject]]
) -> list[float]:
    """Return the share that events leave in years that have one; ``rates`` add up those of the nodes."""
    total = rates[-1]
    counts = _counts(total)
    parts = [
        (n["lost_if_fails"], n["hazard"]["severity_low"], n["hazard"]["severity_high"] - n["hazard"]["severity_low"])
        for _, n in nodes
    ]
    kept = []
    for _ in range(min(STRUCK, int(EVENTS / total) + 1)):
        left = 1.0
        for _ in range(1 + bisect.bisect_right(counts, chance())):
            share, low, more = parts[min(bisect.bisect_right(rates, chance() * total), len(parts) - 1)]
            left *= 1.0 - share * (low + more * chance())
        kept.append(left)
    return kept


def _counts(mean: float) -> list[float]:
    """Return P(at most n events | at least one) for n = 1, 2, … until it is as good as 1."""
    term = math.exp(-mean)
    least_one = -math.expm1(-mean)
    counts, seen, number = [], 0.0, 0
    while seen < least_one * (1.0 - 1e-12) and number < 1_000:
        number += 1
        term *= mean / number
        seen += term
        counts.append(seen / least_one)
    return counts[:-1]


def tail_mean(
    sample: Sample, losses: Sequence[float], weights: Sequence[float], confidence: float, paths: int
) -> tuple[float, float]:
    """Return the mean loss of the worst 1 − α, and the error of its difference to one of so many plain paths.

    ζ + E[(L − ζ)⁺]/(1 − α) at the quantile ζ, where a small error in ζ does not matter (Rockafellar & Uryasev 2000).
    """
    tail, left, zeta = 1.0 - confidence, 1.0 - confidence, losses[-1]
    for loss, weight in zip(reversed(losses), reversed(weights), strict=True):
        zeta = loss
        left -= weight
        if left <= 0.0:
            break
    beyond = ([max(x - zeta, 0.0) for x in sample.calm], [max(x - zeta, 0.0) for x in sample.struck])
    mean, error = sample.mean_and_error(beyond)
    return zeta + mean / tail, math.hypot(error, _plain_error(sample, beyond, mean, paths)) / tail


def _plain_error(sample: Sample, values: tuple[Sequence[float], Sequence[float]], mean: float, paths: int) -> float:
    """Return the standard error of the mean of one value a path over so many paths drawn without strata."""
    squares = tuple([(value - mean) ** 2 for value in part] for part in values)
    return math.sqrt(sample.mean_and_error((squares[0], squares[1]))[0] / paths)


def _entropic(sample: Sample, losses: Sequence[float], weights: Sequence[float], paths: int) -> tuple[float, float]:
    """Return the entropic value at risk of our paths and the error of its difference to that of the record.

    By the delta method: t · error of the mean of e^(L/t), over that mean, at the t that attains it.
    """
    # Bins of a thousandth of the range are as good as the paths, and few.
    low, width = losses[0], max((losses[-1] - losses[0]) / 1_000.0, 1e-12)
    binned: dict[int, float] = {}
    for loss, weight in zip(losses, weights, strict=True):
        place = int((loss - low) / width + 0.5)
        binned[place] = binned.get(place, 0.0) + weight
    bound, t = entropic([low + place * width for place in binned], list(binned.values()), 0.95)
    worst = losses[-1]
    powers = (
        [math.exp((loss - worst) / t) for loss in sample.calm],
        [math.exp((loss - worst) / t) for loss in sample.struck],
    )
    mean, error = sample.mean_and_error(powers)
    error = math.hypot(error, _plain_error(sample, powers, mean, paths))
    # A bin's loss may lie half a width from its middle.
    return bound, t * error / mean + width / ERRORS


def _check_deviation(all_in: JsonObject, sample: Sample, pointer: str, findings: Findings) -> None:
    """Hold the standard error of the mean against the deviation of our own paths."""
    paths = max(2, all_in["paths"])
    mean, _ = sample.mean_and_error((sample.calm, sample.struck))
    squares = ([(x - mean) ** 2 for x in sample.calm], [(x - mean) ** 2 for x in sample.struck])
    variance, error = sample.mean_and_error(squares)
    error = math.hypot(error, _plain_error(sample, squares, variance, paths))
    found = all_in["standard_error"] ** 2 * paths
    findings.recomputed += 1
    if abs(found - variance) > ERRORS * error + 4.0 * DIGITS * variance + 1e-15:
        what = f"is {all_in['standard_error']}, but paths of our own give {math.sqrt(variance / paths):.6g}"
        findings.at(f"{pointer}/standard_error", what, f"{math.sqrt(variance / paths):.6g}", all_in["standard_error"])
