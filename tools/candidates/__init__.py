"""From eligible pools to candidates.

Pools and weights per profile and method, their figures, their risk, the gates they pass or fail.
"""

from tools.candidates.all_in import World, all_in_views, net_income, pool_mark, scored_figures
from tools.candidates.construct import CandidateSet, Draft, build_candidates
from tools.candidates.fired import capped, rejected, sent_back
from tools.candidates.gates import Assessed, assess_candidates, conflicts, vetoes
from tools.candidates.measure import Measured, measure
from tools.candidates.outlook import Outlook, build_outlook
from tools.candidates.posing import Weighing, least_weight

__all__ = [
    "Assessed",
    "CandidateSet",
    "Draft",
    "Measured",
    "Outlook",
    "Weighing",
    "World",
    "all_in_views",
    "assess_candidates",
    "build_candidates",
    "build_outlook",
    "capped",
    "conflicts",
    "least_weight",
    "measure",
    "net_income",
    "pool_mark",
    "rejected",
    "scored_figures",
    "sent_back",
    "vetoes",
]
