"""From eligible pools to candidates.

Pools and weights per profile and method, their figures, their risk, the gates they pass or fail.
"""

from tools.candidates.construct import CandidateSet, Draft, build_candidates
from tools.candidates.gates import Assessed, assess_candidates, conflicts, vetoes
from tools.candidates.measure import Measured, measure

__all__ = [
    "Assessed",
    "CandidateSet",
    "Draft",
    "Measured",
    "assess_candidates",
    "build_candidates",
    "conflicts",
    "measure",
    "vetoes",
]
