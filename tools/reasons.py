"""Reasons for a choice: references to the figures of candidates that decide between them, never words.

A closed list names the figures, each with its place in a candidate and the direction in which it is better. A reason
that compares with another candidate must hold in that direction, strictly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

from tools.records import Candidate, Reason, ReasonFigure, RiskView

MOST_REASONS = 4
OWN_REASONS = 3  # that the score gives itself


class ReasonKind(NamedTuple):
    """Where a candidate has a figure, whether more of it is better (``>``) or less (``<``), and what it is in words."""

    path: str
    better: Literal["<", ">"]
    words: str


REASONS: Mapping[ReasonFigure, ReasonKind] = {
    "score": ReasonKind("/score/total", ">", "the weighted score"),
    "net_apy": ReasonKind("/risk/all_in/net_apy", ">", "the yield a year that is expected to be kept"),
    "apy": ReasonKind("/metrics/portfolio_apy", ">", "the yield of the day, before events and costs"),
    "apy_mean_30d": ReasonKind("/apy_mean_30d", ">", "the mean yield of the last month"),
    "apy_low": ReasonKind("/apy_low", ">", "the low end of what these weights yielded"),
    "sharpe": ReasonKind("/risk/all_in/sharpe", ">", "the Sharpe ratio, with events"),
    "alpha": ReasonKind("/risk/all_in/alpha", ">", "the yield beyond what the market explains, with events"),
    "volatility": ReasonKind("/risk/all_in/volatility", "<", "the volatility of a year, with events"),
    "expected_loss": ReasonKind("/risk/all_in/expected_loss", "<", "what events take a year on average"),
    "cvar_95": ReasonKind("/risk/all_in/cvar_95", "<", "the mean loss of the worst years"),
    "loss_probability": ReasonKind("/risk/all_in/loss_probability", "<", "the chance to lose money in a year"),
    "protocol_risk": ReasonKind("/risk/protocol_risk_max", "<", "the risk of the weakest protocol"),
    "largest_protocol": ReasonKind("/risk/largest_protocol/share", "<", "the share on one protocol"),
    "reward_share": ReasonKind("/risk/reward_share", "<", "the share of reward tokens in the yield"),
    "position_share": ReasonKind("/risk/largest_position_share", "<", "the largest share of a pool, hard to leave"),
    "independent_risks": ReasonKind("/risk/exposure/effective_risks", ">", "how many independent risks it comes to"),
}
# The figure behind each part of the score, by the view that it is taken in; beta is best near a level, so neither more
# nor less of it is a reason.
_BEHIND_PART: Mapping[RiskView, Mapping[str, ReasonFigure]] = {
    "all_in": {"apy": "net_apy", "sharpe": "sharpe", "alpha": "alpha", "volatility": "volatility"},
    "carry_only": {"apy": "apy"},
}
assert set(REASONS) == set(get_args(ReasonFigure))


def figure_of(candidate: Candidate, name: ReasonFigure) -> float | None:
    """Return a candidate's figure; None where it has none."""
    return figure_at(candidate, REASONS[name].path)


def figure_at(candidate: Candidate, path: str) -> float | None:
    """Return the number at a path into a candidate; None where it has none."""
    node: Any = candidate
    for key in path.strip("/").split("/"):
        node = node[key] if isinstance(node, dict) else getattr(node, key)
    return None if node is None else float(node)


def leads(chosen: Candidate, other: Candidate, name: ReasonFigure) -> bool:
    """Tell whether the figure of one candidate is strictly better than the other's; unknown is never better."""
    mine, theirs = figure_of(chosen, name), figure_of(other, name)
    if mine is None or theirs is None:
        return False
    return mine > theirs if REASONS[name].better == ">" else mine < theirs


def reason(name: ReasonFigure, chosen: str, over: str | None, candidates: Sequence[Candidate]) -> Reason:
    """Write a reason down as pointers into the record, whose candidates these are, in their order."""
    place = {candidate.id: f"/candidates/{index}" for index, candidate in enumerate(candidates)}
    kind = REASONS[name]
    return Reason(
        figure=name,
        pointer=place[chosen] + kind.path,
        over=over,
        op=None if over is None else kind.better,
        against=None if over is None else place[over] + kind.path,
    )


def own_reasons(chosen: Candidate, others: Sequence[Candidate], candidates: Sequence[Candidate]) -> list[Reason]:
    """Return the score's own reasons for a candidate: where it leads the next one, the weightiest parts first.

    ``others`` are the rivals, best first; the first of them that is led in anything is compared with. Where none is,
    the yield that is kept stands alone.
    """
    for other in others:
        found = _parts_led(chosen, other)
        if found:
            return [reason(name, chosen.id, other.id, candidates) for name in found[:OWN_REASONS]]
    return [reason("net_apy", chosen.id, None, candidates)]


def _parts_led(chosen: Candidate, other: Candidate) -> list[ReasonFigure]:
    """Return the score where it leads, and the figures behind its parts that do, by how much they add to it."""
    ahead = {
        name: chosen.score.parts[part] - other.score.parts[part]
        for part, name in _BEHIND_PART[chosen.score.view].items()
        if leads(chosen, other, name)
    }
    by_weight = sorted((name for name in ahead if ahead[name] > 0.0), key=lambda name: (-ahead[name], name))
    by_score: list[ReasonFigure] = ["score"] if leads(chosen, other, "score") else []
    return [*by_score, *by_weight]


def rounded(value: float | None, digits: int = 4) -> float | None:
    """Round to significant digits, for a reader who need not see more."""
    if value is None or value == 0.0 or not math.isfinite(value):
        return value
    return float(f"{value:.{digits}g}")
