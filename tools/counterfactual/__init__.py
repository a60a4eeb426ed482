"""Answers found by solving again: limits one by one, flip points, conflicts with the cheapest way out, why-nots.

Everything here gets a function that solves (``Decide``) and knows nothing of how it does.
"""

from tools.counterfactual.conflicts import smallest_conflict
from tools.counterfactual.flips import flip_point
from tools.counterfactual.limits import stated_limits, with_only
from tools.counterfactual.records import (
    ConflictSet,
    Decided,
    Failure,
    Flip,
    PoolInProfile,
    Probe,
    Relaxation,
    Relaxations,
    StatedLimit,
    WhyNotCandidate,
    WhyNotPool,
)
from tools.counterfactual.relaxations import cheapest_relaxation
from tools.counterfactual.solving import Decide, Feasible, decided, feasible_by, remembered
from tools.counterfactual.why_not import why_not_candidate, why_not_pool

__all__ = [
    "ConflictSet",
    "Decide",
    "Decided",
    "Failure",
    "Feasible",
    "Flip",
    "PoolInProfile",
    "Probe",
    "Relaxation",
    "Relaxations",
    "StatedLimit",
    "WhyNotCandidate",
    "WhyNotPool",
    "cheapest_relaxation",
    "decided",
    "feasible_by",
    "flip_point",
    "remembered",
    "smallest_conflict",
    "stated_limits",
    "why_not_candidate",
    "why_not_pool",
    "with_only",
]
