"""The tail of the all-in view against the model itself: the mean in closed form, the rest by a simulation of our own.

A year is twelve blocks of 30 days and one of five, each from a random day of the history on and round its end; events
come to each node as a Poisson process and take share · severity of what is left; costs are paid once. The random
numbers are others than the writer's, so figures agree within the sampling errors of both: six standard errors.
"""

from __future__ import annotations

import bisect
import functools
import heapq
import itertools
import math
import operator
import random
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from tools.verify.all_in import BLOCK_DAYS, HORIZON_DAYS, expected_loss, paid_once, rate_of, striking
from tools.verify.book import JsonObject
from tools.verify.report import Findings
from tools.verify.tail import DIGITS, EDGES, entropic

SEED = 20_260_101
STRUCK, CALM = 20_000, 10_000  # paths with events, and draws of carry
COARSER = 4  # times fewer for a candidate that was not chosen
MOST_BINS = 1_000  # as good as the paths, and few
EVENTS = 200_000  # at about so many events in all there are fewer paths instead
MOST_EVENTS = 700.0  # a year; more are not simulated
ERRORS = 6.0
UNSEEN = 3.0  # paths with events: what these stand for may be in none of ours
BLOCKS = (BLOCK_DAYS,) * (HORIZON_DAYS // BLOCK_DAYS) + (HORIZON_DAYS % BLOCK_DAYS,)

Returns = Sequence[float]


class Sample:
    """Losses of simulated paths in two strata: without an event, and with one or more, which have this probability."""

    def __init__(self, calm: Sequence[float], struck: Sequence[float], probability: float) -> None:
        self.calm, self.struck = sorted(calm), sorted(struck)
        self.probability = probability if struck else 0.0

    @property
    def strata(self) -> tuple[tuple[float, list[float]], ...]:
        """Return the probability of each stratum that has paths, with their losses, ascending."""
        both = ((1.0 - self.probability, self.calm), (self.probability, self.struck))
        return tuple((share, losses) for share, losses in both if losses)

    def above(self, limit: float) -> tuple[float, float]:
        """Return the probability of a larger loss, and its standard error; none of no path is without one."""
        shares = [(share, 1.0 - bisect.bisect_right(part, limit) / len(part), len(part)) for share, part in self.strata]
        variance = math.fsum(share * share * p * (1.0 - p) / count for share, p, count in shares)
        return math.fsum(share * p for share, p, _ in shares), max(math.sqrt(variance), self._smallest)

    def moments(self, of: Callable[[float], float], least: float = -math.inf) -> Moments:
        """Return the mean over all paths of a function of their loss that is 0 up to ``least``."""
        parts = []
        for share, losses in self.strata:
            values = [of(loss) for loss in losses[bisect.bisect_right(losses, least) :]]
            squares = math.fsum(value * value for value in values) / len(losses)
            parts.append((share, math.fsum(values) / len(losses), squares, len(losses)))
        mean = math.fsum(share * own for share, own, _, _ in parts)
        within = math.fsum(share * share * max(0.0, square - own * own) / n for share, own, square, n in parts)
        over_all = math.fsum(share * square for share, _, square, _ in parts) - mean * mean
        return Moments(mean, math.sqrt(within), max(0.0, over_all))

    def quantile(self, confidence: float) -> float:
        """Return the smallest loss that is exceeded with a probability of at most 1 − α."""
        weighted = [zip(reversed(part), itertools.repeat(share / len(part))) for share, part in self.strata]
        seen, found = 0.0, -math.inf
        for loss, weight in heapq.merge(*weighted, reverse=True):
            seen, found = seen + weight, loss
            if seen >= 1.0 - confidence:
                break
        return found

    @property
    def _smallest(self) -> float:
        return max(share / len(losses) for share, losses in self.strata)


class Moments(NamedTuple):
    """A mean over both strata, its standard error, and the variance of one path drawn without strata."""

    mean: float
    error: float
    variance: float

    def against(self, paths: int) -> float:
        """Return the standard error of the difference to the mean of so many plain paths."""
        return math.hypot(self.error, math.sqrt(self.variance / max(1, paths)))


def check_simulations(record: JsonObject, returns: Mapping[int, Returns], findings: Findings) -> None:
    """Hold the mean of every candidate against its closed form and its tail against a simulation, finer of the choice.

    ``returns``: daily returns of each candidate by its place.
    """
    chosen = record["choice"]["candidate_id"] if record["choice"] is not None else None
    for index, candidate in enumerate(record["candidates"]):
        if index in returns and all(value >= -1.0 for value in returns[index]):
            pointer, all_in = f"/candidates/{index}/risk/all_in", candidate["risk"]["all_in"]
            apy = candidate["metrics"]["portfolio_apy"] - (all_in["dilution"] or 0.0)
            around = _around_the_day(returns[index], apy)
            growths = [block_growth(around, days) for days in BLOCKS]
            _check_mean(candidate, growths, pointer, findings)
            fineness = 1 if candidate["id"] == chosen else COARSER
            _check_tail(candidate, growths, fineness, pointer, findings)


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


def _check_tail(
    candidate: JsonObject, growths: Sequence[Sequence[float]], coarser: int, pointer: str, findings: Findings
) -> None:
    """Hold every tail figure of a candidate against paths of our own, of which there are fewer where it is coarser."""
    all_in = candidate["risk"]["all_in"]
    nodes = [(rate_of(node, all_in["hazard_level"]), node) for node in striking(candidate)]
    if math.fsum(rate for rate, _ in nodes) > MOST_EVENTS:
        findings.at(pointer, "has more events a year than can be simulated", f"at most {MOST_EVENTS}")
        return
    sample, falls = simulate(growths, nodes, paid_once(all_in), coarser)
    paths = max(1, all_in["paths"])
    share, error = sample.above(0.0)
    error = math.hypot(error, math.sqrt(max(share * (1.0 - share), 1.0 / paths) / paths))
    _check(f"{pointer}/loss_probability", all_in["loss_probability"], share, error, findings)
    for place, point in enumerate(all_in["drawdown_curve"]):
        at = f"{pointer}/drawdown_curve/{place}/loss"
        _check_quantile(point["loss"], 1.0 - point["probability"], falls, paths, at, findings)
    for name, confidence in (("95", 0.95), ("99", 0.99)):
        _check_quantile(all_in[f"var_{name}"], confidence, sample, paths, f"{pointer}/var_{name}", findings)
        mean, error = tail_mean(sample, confidence, paths)
        _check(f"{pointer}/cvar_{name}", all_in[f"cvar_{name}"], mean, error, findings)
    _check_entropic(all_in["evar_95"], sample, paths, MOST_BINS // coarser, f"{pointer}/evar_95", findings)
    _check_deviation(all_in, sample, pointer, findings)
    _check_histogram(all_in["histogram"], sample, paths, f"{pointer}/histogram", findings)


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
        more, error = sample.above(limit)
        shares.append((more, ERRORS * math.hypot(error, own)))
    (more, above), (as_much, below) = shares
    if more - above > wanted or as_much + below < wanted:
        what = f"is {found}, but of our own paths {as_much:.4f} lose so much and {more:.4f} more"
        findings.at(pointer, what, f"{wanted:.2f}", found)


def _check_histogram(histogram: JsonObject, sample: Sample, paths: int, pointer: str, findings: Findings) -> None:
    """See that beyond every edge lie as many paths as of our own."""
    beyond = paths
    for place, (edge, count) in enumerate(zip(histogram["edges"], histogram["counts"], strict=False)):
        more, error = sample.above(edge + EDGES)
        as_much = sample.above(edge - EDGES)[0]
        share = beyond / paths
        slack = ERRORS * math.hypot(error, math.sqrt(max(share * (1.0 - share), 1.0 / paths) / paths))
        if not more - slack <= share <= as_much + slack:
            what = f"leaves {share:.4f} of the paths beyond {edge}, but of our own lie there {as_much:.4f}"
            findings.at(f"{pointer}/counts/{place}", what, f"{as_much:.4f}", f"{share:.4f}")
            return
        beyond -= count
    findings.recomputed += 1


class Simulated(NamedTuple):
    """Losses of the money with carry and costs, and what events alone take."""

    losses: Sample
    falls: Sample


def simulate(
    growths: Sequence[Sequence[float]],
    nodes: Sequence[tuple[float, JsonObject]],
    cost: float,
    coarser: int = 1,
    seed: int = SEED,
) -> Simulated:
    """Return simulated years: ``growths`` by block, events a year with their nodes, a cost paid once.

    Years with events are drawn as such, however rare they are; their share of all years is known. ``coarser`` divides
    the number of paths.
    """
    chance = random.Random(seed)  # noqa: S311 (a simulation, nothing secret)
    calm, struck = CALM // coarser, STRUCK // coarser
    carries = [1.0] * calm
    for growth, starts in zip(growths, _starts(seed, len(growths[0]), len(growths), calm), strict=True):
        carries = list(map(operator.mul, carries, map(growth.__getitem__, starts)))
    total = math.fsum(rate for rate, _ in nodes)
    kept = _survivals(chance, nodes, total, min(struck, int(EVENTS / total) + 1)) if total > 0.0 else []
    probability = -math.expm1(-total)
    losses = Sample(
        [1.0 - max(0.0, carry - cost) for carry in carries],
        [1.0 - max(0.0, carry * share - cost) for carry, share in zip(itertools.cycle(carries), kept, strict=False)],
        probability,
    )
    return Simulated(losses, Sample([0.0] * calm, [1.0 - share for share in kept], probability))


@functools.lru_cache(maxsize=4)  # the candidates share one window
def _starts(seed: int, days: int, blocks: int, paths: int) -> list[list[int]]:
    """Return for every block the day on which it begins in each path."""
    chance = random.Random(seed).random  # noqa: S311 (a simulation, nothing secret)
    return [[int(chance() * days) for _ in range(paths)] for _ in range(blocks)]


def _survivals(
    chance: random.Random, nodes: Sequence[tuple[float, JsonObject]], total: float, paths: int
) -> list[float]:
    """Return the share that events leave in years that have one; ``total`` events are expected a year."""
    table = _counts(total)
    counts = [1 + bisect.bisect_right(table, chance.random()) for _ in range(paths)]
    parts = [
        (n["lost_if_fails"], n["hazard"]["severity_low"], n["hazard"]["severity_high"] - n["hazard"]["severity_low"])
        for _, n in nodes
    ]
    struck = chance.choices(parts, [rate for rate, _ in nodes], k=sum(counts))
    left = iter([1.0 - share * (low + more * chance.random()) for share, low, more in struck])
    return [next(left) if count == 1 else math.prod(itertools.islice(left, count)) for count in counts]


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


def tail_mean(sample: Sample, confidence: float, paths: int) -> tuple[float, float]:
    """Return the mean loss of the worst 1 − α, and the error of its difference to one of so many plain paths.

    ζ + E[(L − ζ)⁺]/(1 − α) at the quantile ζ, where a small error in ζ does not matter (Rockafellar & Uryasev 2000).
    """
    zeta = sample.quantile(confidence)
    beyond = sample.moments(lambda loss: loss - zeta, zeta)
    return zeta + beyond.mean / (1.0 - confidence), beyond.against(paths) / (1.0 - confidence)


def _check_entropic(found: float, sample: Sample, paths: int, most: int, pointer: str, findings: Findings) -> None:
    """Hold the entropic value at risk against that of our paths, and of what they may have missed.

    It hangs on the rarest paths, and a sample without them underrates its own error: of what three paths in ours stand
    for it may have seen none (the rule of three), so the record may be as high as with so much at a loss of everything.
    """
    low, high, error = _entropic(sample, paths, most)
    findings.recomputed += 1
    slack = ERRORS * error + DIGITS * abs(low) + 1e-9
    if not low - slack <= found <= high + slack:
        what = f"is {found}, but a simulation of our own gives {low:.6g} to {high:.6g} within {slack:.1e}"
        findings.at(pointer, what, f"{low:.6g}", found)


def _entropic(sample: Sample, paths: int, most: int) -> tuple[float, float, float]:
    """Return the entropic value at risk of our paths, with what they may have missed, and the error of the first.

    By the delta method: t · error of the mean of e^(L/t), over that mean, at the t that attains it; of the difference
    to the record's. ``most`` bins of the range of losses stand for the paths.
    """
    low, high = (pick(losses[end] for _, losses in sample.strata) for pick, end in ((min, 0), (max, -1)))
    width = max((high - low) / most, 1e-12)
    binned: dict[int, float] = {}
    for share, losses in sample.strata:
        for loss in losses:
            place = int((loss - low) / width + 0.5)
            binned[place] = binned.get(place, 0.0) + share / len(losses)
    losses, shares = [low + place * width for place in binned], list(binned.values())
    bound, t = entropic(losses, shares, 0.95)
    missed, _ = entropic([*losses, 1.0], [*shares, UNSEEN * sample.probability / max(1, len(sample.struck))], 0.95)
    powers = sample.moments(lambda loss: math.exp((loss - high) / t))
    # A bin's loss may lie half a width from its middle.
    return bound, max(bound, missed), t * powers.against(paths) / powers.mean + width / ERRORS


def _check_deviation(all_in: JsonObject, sample: Sample, pointer: str, findings: Findings) -> None:
    """Hold the standard error of the mean against the deviation of our own paths."""
    paths = max(2, all_in["paths"])
    mean = sample.moments(lambda loss: loss).mean
    squares = sample.moments(lambda loss: (loss - mean) ** 2)
    variance, error = squares.mean, squares.against(paths)
    found = all_in["standard_error"] ** 2 * paths
    findings.recomputed += 1
    if abs(found - variance) > ERRORS * error + 4.0 * DIGITS * variance + 1e-15:
        what = f"is {all_in['standard_error']}, but paths of our own give {math.sqrt(variance / paths):.6g}"
        findings.at(f"{pointer}/standard_error", what, f"{math.sqrt(variance / paths):.6g}", all_in["standard_error"])
