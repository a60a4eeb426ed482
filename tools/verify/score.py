"""Scores: ranks across the candidates of the record, weighted by the preset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tools.verify.report import Findings
from tools.verify.shape import PARTS

JsonObject = dict[str, Any]

PRESETS: dict[str, tuple[float, ...]] = {  # in the order of PARTS
    "bull": (0.75, 0.10, 0.10, 0.05, -0.05),
    "neutral": (0.70, 0.15, 0.10, 0.05, -0.10),
    "uncertain": (0.50, 0.25, 0.10, 0.05, -0.25),
}
METRIC_OF_PART = {
    "apy": "portfolio_apy",
    "sharpe": "sharpe",
    "alpha": "alpha",
    "beta": "beta",
    "volatility": "annual_volatility",
}
# What the all-in view has in the place of a metric; events add nothing to beta.
ALL_IN_OF_PART = {"apy": "net_apy", "sharpe": "sharpe", "alpha": "alpha", "volatility": "volatility"}
TIE = 1e-12


def check_scores(record: JsonObject, findings: Findings) -> None:
    """Recompute the score of every candidate from the metrics of all."""
    candidates = record["candidates"]
    if not candidates:
        return
    for index, candidate in enumerate(candidates):
        _check_raw(candidate, f"/candidates/{index}/score", candidates[0]["score"], findings)
    preset = PRESETS.get(candidates[0]["score"]["preset"])
    if preset is None:
        findings.at("/candidates/0/score/preset", "is no preset", ", ".join(PRESETS), candidates[0]["score"]["preset"])
        return
    for part, weight in zip(PARTS, preset, strict=True):
        for index, value in enumerate(_part(part, weight, candidates)):
            found = candidates[index]["score"]["parts"][part]
            findings.number(
                f"/candidates/{index}/score/parts/{part}", found, value, "its weight times its normalised rank"
            )
    for index, candidate in enumerate(candidates):
        score = candidate["score"]
        findings.number(
            f"/candidates/{index}/score/total", score["total"], sum(score["parts"].values()), "the sum of its parts"
        )


def _check_raw(candidate: JsonObject, pointer: str, first: JsonObject, findings: Findings) -> None:
    score, metrics = candidate["score"], candidate["metrics"]
    all_in = candidate["risk"]["all_in"]
    for part, metric in METRIC_OF_PART.items():
        if score["view"] == "all_in" and part in ALL_IN_OF_PART:
            name = ALL_IN_OF_PART[part]
            findings.number(f"{pointer}/raw/{part}", score["raw"][part], all_in[name], f"the all-in {name}")
        else:
            findings.number(f"{pointer}/raw/{part}", score["raw"][part], metrics[metric], f"the metric {metric}")
    absent = sorted(part for part in PARTS if score["raw"][part] is None)
    findings.same(
        f"{pointer}/missing", ", ".join(sorted(score["missing"])), ", ".join(absent), "the parts without a value"
    )
    for name in ("preset", "normalisation"):
        findings.same(f"{pointer}/{name}", score[name], first[name], "that of the first candidate")


def _part(part: str, weight: float, candidates: Sequence[JsonObject]) -> list[float]:
    """Return one part of all scores: weight × rank; for volatility −|weight| × rank.

    What is null takes the worst rank.
    """
    raw = [candidate["score"]["raw"][part] for candidate in candidates]
    if part == "beta":
        raw = [None if value is None else -abs(value - 1.0) for value in raw]
    signed, worst = (-abs(weight), 1.0) if part == "volatility" else (weight, 0.0)
    ranks = normalised_ranks([value for value in raw if value is not None])
    known = iter(ranks)
    return [signed * (worst if value is None else next(known)) for value in raw]


def normalised_ranks(values: Sequence[float]) -> list[float]:
    """Return (rank − 1)/(n − 1) of each value, ties with their average rank.

    0.5 for a single value and where all tie.
    """
    if len(values) == 1:
        return [0.5]
    order = sorted(range(len(values)), key=lambda index: values[index])
    ranks = [0.0] * len(values)
    start = 0
    for end in range(1, len(order) + 1):
        if end < len(order) and _tied(values[order[end - 1]], values[order[end]]):
            continue
        for place in range(start, end):
            ranks[order[place]] = (start + end - 1) / 2.0 / (len(values) - 1)
        start = end
    return ranks


def _tied(left: float, right: float) -> bool:
    return abs(left - right) <= TIE + TIE * max(abs(left), abs(right))
