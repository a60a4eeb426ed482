"""The simulated tail of the all-in view, against itself: the figures come from the same paths as the histogram.

A bin of the histogram holds its lower edge, losses are positive. Every figure of the paths can be bounded by the bins,
and most of them to within one width.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from tools.verify.book import JsonObject
from tools.verify.report import Findings

EXCEEDED_WITH = (0.5, 0.2, 0.1, 0.05, 0.025, 0.01, 0.005, 0.001)
MOST_BINS = 65
DIGITS = 2e-6  # simulated figures are kept to six digits
EDGES = 1e-9  # edges are rounded too
TAIL = 0.05
CONFIDENCES = (("95", 0.95), ("99", 0.99))
ORDER = (
    ("var_95", "var_99"),
    ("var_95", "cvar_95"),
    ("var_99", "cvar_99"),
    ("cvar_95", "cvar_99"),
    ("cvar_95", "evar_95"),
)


class Bins(NamedTuple):
    """A sound histogram: losses between its edges (n + 1), counts (n), and how many paths there are."""

    edges: Sequence[float]
    counts: Sequence[int]
    paths: int

    @property
    def width(self) -> float:
        """Return the widest bin."""
        return max(high - low for low, high in itertools.pairwise(self.edges))


def check_tails(record: JsonObject, findings: Findings) -> None:
    """Check the tail of every candidate against its histogram and its own order."""
    for index, candidate in enumerate(record["candidates"]):
        pointer, all_in = f"/candidates/{index}/risk/all_in", candidate["risk"]["all_in"]
        for low, high in ORDER:
            _check_at_most(all_in, low, high, pointer, findings)
        for name in ("var_99", "cvar_99", "evar_95"):
            if all_in[name] > 1.0 + EDGES:
                findings.at(
                    f"{pointer}/{name}", f"is {all_in[name]}, more than all of the money", "at most 1", all_in[name]
                )
        _check_drawdowns(all_in, pointer, findings)
        bins = _bins(all_in, pointer, findings)
        if bins is not None:
            _check_losers(candidate, bins, pointer, findings)
            _check_ranks(all_in, bins, pointer, findings)
            _check_moments(all_in, bins, pointer, findings)


def _check_at_most(all_in: JsonObject, low: str, high: str, pointer: str, findings: Findings) -> None:
    findings.recomputed += 1
    if all_in[low] > all_in[high] + DIGITS * abs(all_in[high]) + EDGES:
        what = f"is {all_in[low]}, more than {high}, which is {all_in[high]}"
        findings.at(f"{pointer}/{low}", what, f"at most {all_in[high]}", all_in[low])


def _between(pointer: str, found: float, low: float, high: float, meaning: str, findings: Findings) -> None:
    findings.recomputed += 1
    slack = EDGES + DIGITS * max(abs(low), abs(high), abs(found))
    if not low - slack <= found <= high + slack:
        findings.at(pointer, f"is {found}, but {meaning} gives {low} to {high}", f"{low} to {high}", found)


def _check_drawdowns(all_in: JsonObject, pointer: str, findings: Findings) -> None:
    curve = all_in["drawdown_curve"]
    place = f"{pointer}/drawdown_curve"
    findings.same(place, [point["probability"] for point in curve], list(EXCEEDED_WITH), "the list of probabilities")
    losses = [point["loss"] for point in curve]
    findings.same(place, losses, sorted(losses), "a curve that rises as the probability falls")
    _check_struck(all_in, place, findings)
    own = next((point["loss"] for point in curve if point["probability"] == TAIL), None)
    findings.same(f"{pointer}/drawdown_95", all_in["drawdown_95"], own, f"its curve at {TAIL}")


def _check_struck(all_in: JsonObject, pointer: str, findings: Findings) -> None:
    """See that events take something with as much of probability as they have, within six standard errors."""
    chance = all_in["event_probability"]
    slack = 6.0 * math.sqrt(chance * (1.0 - chance) / max(1, all_in["paths"])) + 1e-4
    for place, point in enumerate(all_in["drawdown_curve"]):
        findings.recomputed += 1
        takes = point["loss"] > 0.0
        if (takes and point["probability"] > chance + slack) or (not takes and point["probability"] < chance - slack):
            what = f"is {point['loss']}, but the probability of an event is {chance}"
            findings.at(f"{pointer}/{place}/loss", what, "", point["loss"])


def _bins(all_in: JsonObject, pointer: str, findings: Findings) -> Bins | None:
    """Return the histogram where it is one: even edges, as many counts as bins, all paths in it, no empty end."""
    edges, counts = all_in["histogram"]["edges"], all_in["histogram"]["counts"]
    place = f"{pointer}/histogram"
    findings.recomputed += 1
    if len(edges) != len(counts) + 1 or not 1 <= len(counts) <= MOST_BINS:
        findings.at(place, f"has {len(edges)} edges for {len(counts)} counts", "one edge more than counts")
        return None
    widths = [high - low for low, high in itertools.pairwise(edges)]
    if min(widths) <= 0.0 or max(widths) - min(widths) > 1e-6 * max(widths) + 1e-12 or not (counts[0] and counts[-1]):
        findings.at(place, "has bins that are not even, or begins or ends with an empty one", "even bins")
        return None
    findings.same(f"{place}/counts", sum(counts), all_in["paths"], "the number of paths")
    return Bins(edges, counts, sum(counts))


def _check_losers(candidate: JsonObject, bins: Bins, pointer: str, findings: Findings) -> None:
    """Check how many paths lose: those from the edge 0 on."""
    share = candidate["risk"]["all_in"]["loss_probability"]
    zero = bisect.bisect_left(bins.edges, -bins.width / 4.0)
    least, most = sum(bins.counts[zero + 1 :]), sum(bins.counts[zero:])
    # A path that ends exactly where it began lies there and loses nothing; with a yield on every day there is none.
    least = most if candidate["apy_low"] > 0.0 else least
    place = f"{pointer}/loss_probability"
    _between(place, share, least / bins.paths, most / bins.paths, "its histogram", findings)
    whole = round(share * bins.paths) / bins.paths
    findings.number(place, share, whole, "the share of a whole number of paths", 0.0, DIGITS * whole + 1e-12)


def _check_ranks(all_in: JsonObject, bins: Bins, pointer: str, findings: Findings) -> None:
    """Check the loss of the path at each rank, and the mean of those beyond it."""
    losers = round(all_in["loss_probability"] * bins.paths)
    for name, confidence in CONFIDENCES:
        tail = round((1.0 - confidence) * bins.paths, 9)
        rank = min(math.floor(tail) + 1, bins.paths)
        place, seen = len(bins.counts), 0
        while seen < rank:
            place -= 1
            seen += bins.counts[place]
        pointed = f"{pointer}/var_{name}"
        low, high = bins.edges[place], bins.edges[place + 1]
        _between(pointed, all_in[f"var_{name}"], low, high, f"the path of rank {rank} in its histogram", findings)
        loses = all_in[f"var_{name}"] > 0.0
        findings.same(pointed, loses, rank <= losers, "whether the path at its rank loses, by loss_probability,")
        low, high = (_tail_mean(bins, tail, side) for side in (0, 1))
        _between(f"{pointer}/cvar_{name}", all_in[f"cvar_{name}"], low, high, "the tail of its histogram", findings)


def _tail_mean(bins: Bins, tail: float, side: int) -> float:
    """Return the mean of the worst ``tail`` paths, each taken at the lower (0) or the upper (1) edge of its bin."""
    left, total = tail, 0.0
    for place in range(len(bins.counts) - 1, -1, -1):
        taken = min(left, float(bins.counts[place]))
        total += taken * bins.edges[place + side]
        left -= taken
    return total / tail if tail > 0.0 else bins.edges[-2 + side]


def _check_moments(all_in: JsonObject, bins: Bins, pointer: str, findings: Findings) -> None:
    """Check mean, standard error and entropic value at risk, to within a bin's width."""
    low = math.fsum(count * edge for count, edge in zip(bins.counts, bins.edges, strict=False)) / bins.paths
    high = low + bins.width
    _between(f"{pointer}/mean_return", all_in["mean_return"], -high, -low, "its histogram", findings)
    spread = math.sqrt(
        math.fsum(count * (edge - low) ** 2 for count, edge in zip(bins.counts, bins.edges, strict=False)) / bins.paths
    )
    # Two samples that nowhere differ by more than a width have deviations that differ by no more than half of one.
    least, most = max(0.0, spread - bins.width / 2.0), spread + bins.width / 2.0
    root = math.sqrt(bins.paths)
    place = f"{pointer}/standard_error"
    _between(place, all_in["standard_error"], least / root, 1.0001 * most / root, "its histogram", findings)
    bound = entropic_value_at_risk(bins.edges[:-1], bins.counts, 0.95)
    _between(f"{pointer}/evar_95", all_in["evar_95"], bound, bound + bins.width, "its histogram", findings)


def entropic_value_at_risk(losses: Sequence[float], weights: Sequence[float], confidence: float) -> float:
    """Return min over t > 0 of t·(ln Σ p e^(L/t) − ln(1 − α)), Ahmadi-Javid (2012), for losses of unequal weight.

    The function of 1/t has one minimum; it is looked for by golden sections of ln t.
    """
    return entropic(losses, weights, confidence)[0]


def entropic(losses: Sequence[float], weights: Sequence[float], confidence: float) -> tuple[float, float]:
    """Return the entropic value at risk and the t at which it is reached."""
    held = [(loss, weight) for loss, weight in zip(losses, weights, strict=True) if weight > 0.0]
    worst, total = max(loss for loss, _ in held), math.fsum(weight for _, weight in held)
    spread = worst - min(loss for loss, _ in held)
    if spread <= 0.0:
        return worst, 1.0
    gaps = [(loss - worst, weight / total) for loss, weight in held]

    def bound(log_t: float) -> float:
        t = math.exp(log_t)
        mean = math.fsum(weight * math.exp(gap / t) for gap, weight in gaps)
        return worst + t * (math.log(mean) - math.log(1.0 - confidence))

    section = (math.sqrt(5.0) - 1.0) / 2.0
    low, high = math.log(spread) - 12.0, math.log(spread) + 12.0
    left, right = high - section * (high - low), low + section * (high - low)
    at_left, at_right = bound(left), bound(right)
    for _ in range(36):  # leaves a millionth of the range of ln t
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - section * (high - low)
            at_left = bound(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + section * (high - low)
            at_right = bound(right)
    # In the limit t → 0 the bound is the worst loss.
    return min(at_left, at_right, worst), math.exp((low + high) / 2.0)
