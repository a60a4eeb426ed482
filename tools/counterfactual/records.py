"""What re-solving finds, as frozen records: flip points, conflicts and ways out, why-nots.

Rates, weights and losses are fractions; ``_bps`` are basis points. A figure that does not exist is None with a
``reason`` beside it, a sentence without figures.
"""

from __future__ import annotations

from typing import Literal

from tools.records import (
    Count,
    Emptied,
    Fraction,
    Mandate,
    OutcomeKind,
    ProfileId,
    Record,
    Unsolved,
)
from tools.strategies.profiles import RISK_ORDER

LimitField = Literal[
    "chains_include",
    "chains_exclude",
    "protocols_include",
    "protocols_exclude",
    "tokens_include",
    "tokens_exclude",
    "min_tvl_usd",
    "min_apy",
    "max_weight",
    "min_pools",
    "max_pools",
    "allow_il",
    "max_drawdown",
    "max_var_95",
    "profile",
    "risk",
]
Blame = Literal["limits", "risk", "amount", "risk_or_amount", "risk_and_amount", "market"]
RelaxationKind = Literal["loosened", "removed", "bolder", "smaller"]
Stage = Literal["not_in_market", "excluded", "ruled_out", "not_selected", "failed", "lost", "held"]
ProfileStage = Literal["rule", "emptied", "sent_back", "rank", "unweighted", "candidates"]
Value = float | int | str | bool | None


class Decided(Record):
    """The outcome of one solved problem, as little of it as a search needs.

    ``weights`` by pool id, of the chosen candidate; empty without a choice, with the figures None. ``score`` is
    relative to the other candidates of its own problem, so scores of two problems do not compare.
    """

    outcome: OutcomeKind
    candidate_id: str | None
    weights: dict[str, Fraction]
    net_apy: float | None
    score: float | None


class StatedLimit(Record):
    """A limit that the user's mandate states.

    ``id`` is the field's name, for an entry of a list of exclusions ``field:entry``. ``value`` is as in the mandate:
    the entry of an exclusion, the whole list of an inclusion.
    """

    id: str
    field: LimitField
    value: float | int | bool | str | list[str]

    def without(self, mandate: Mandate) -> Mandate:
        """Return the mandate with this limit lifted, as if it had not been said; of risk, one level bolder.

        What the level of risk says takes the place of a limit that is lifted, and may be the tighter of the two.
        """
        if self.field == "risk":
            level = min(RISK_ORDER.index(mandate.risk) + 1, len(RISK_ORDER) - 1)
            return mandate.model_copy(update={"risk": RISK_ORDER[level]})
        if self.field.endswith("_exclude"):
            others = [entry for entry in getattr(mandate, self.field) if entry != self.value]
            return mandate.model_copy(update={self.field: others})
        return mandate.model_copy(update={self.field: [] if self.field.endswith("_include") else None})


class Probe(Record):
    """Whether a pool is held when its APY of the day is taken to be ``apy``."""

    apy: float
    held: bool


class Flip(Record):
    """The APY of the day at which a pool changes sides, all else equal.

    ``apy`` is the one that it has, ``held`` says on which side it is with it. It is held at ``kept_at`` and not held at
    ``gone_at``, which lie at most one basis point apart unless the evaluations ran out; both were solved. ``again_at``
    is a rate farther away at which the pool was seen on its first side again: the flip point is then only the nearest
    that was found. ``probes`` are all rates that were solved, ascending.
    """

    pool_id: str
    apy: float
    held: bool
    kept_at: float | None
    gone_at: float | None
    again_at: float | None
    evaluations: Count
    probes: list[Probe]
    reason: str | None


class ConflictSet(Record):
    """A set of stated limits that together leave no candidate that passes, and none of which can be left out.

    ``smallest`` says that all smaller sets were solved and none of them is in conflict. Where no stated limit is to
    blame, ``limits`` is empty and ``blame`` says what a way out would have to change.
    """

    limits: list[StatedLimit]
    blame: Blame
    smallest: bool
    evaluations: Count


class Relaxation(Record):
    """A change of one limit with which a candidate passes, all others kept; ``mandate`` is the one that was solved.

    ``relative_change`` is |after − before| / before of a figure, None of anything else. ``after`` None: lifted.
    """

    limit_id: str
    kind: RelaxationKind
    before: float | int | bool | str | list[str]
    after: float | int | str | None
    relative_change: float | None
    mandate: Mandate


class Relaxations(Record):
    """The ways out of a conflict, cheapest first: figures by their relative change, removals, bolder, smaller amount.

    ``unhelpful`` are the ids of what was tried and does not help by itself. ``reason`` says why there is no way out.
    """

    found: list[Relaxation]
    unhelpful: list[str]
    evaluations: Count
    reason: str | None

    @property
    def cheapest(self) -> Relaxation | None:
        """Return the first in the documented order."""
        return self.found[0] if self.found else None


class Failure(Record):
    """A rule that was not kept: what was found and what the rule asks; None where it is not a single value."""

    rule: str
    value: Value
    limit: Value


class WhyNotCandidate(Record):
    """Why a candidate is not the choice: the gates it failed, or the points by which its score is behind.

    ``score_behind`` = the choice's total − its own; ``parts_behind`` the same by part of the score (they add up to it).
    Both None without a choice to compare with. 0 behind: a tie, which the documented order breaks. ``unsolved`` and
    ``emptied`` say why there is no such candidate.
    """

    candidate_id: str
    chosen: bool
    failed: list[Failure]
    score: float | None
    score_behind: float | None
    parts_behind: dict[str, float] | None
    unsolved: Unsolved | None
    emptied: Emptied | None


class PoolInProfile(Record):
    """How far a pool came in one permitted profile.

    ``rule``: it breaks ``failure``, one of the profile's own rules. ``sent_back``: risk took it out for breaking
    ``failure`` by itself. ``emptied``: the profile has no candidate, for want of other pools under the rule in
    ``failure``, which has no value of this pool.
    ``rank``: it stands behind the pools that are looked at. ``unweighted``: it is looked at, and no weight method gave
    it a part. ``candidates``: it is in those of ``candidates``.

    ``rank`` is its place among the ``ranked`` pools that the profile accepts, before risk sends any back; ``places`` is
    how many of them the simple rule takes, ``looked_at`` how many the optimising methods choose among. None in a
    profile that does not accept it.
    """

    profile: ProfileId
    stage: ProfileStage
    failure: Failure | None
    rank: Count | None
    ranked: Count | None
    places: Count | None
    looked_at: Count | None
    candidates: list[str]


class WhyNotPool(Record):
    """Where on the way from the market to the choice a pool dropped out.

    ``not_in_market``, ``excluded`` (tokens or quality of the data: ``failure``), ``ruled_out`` (by ``limits``, each of
    which does so alone), ``not_selected`` (``profiles`` say why each has it in no candidate), ``failed`` (only in
    candidates that fail a gate), ``lost`` (in candidates that passed and lost by score), ``held`` (with ``weight``).
    ``candidates`` are those that hold it, those that passed first, then by score. ``breaks`` are the limits of the
    level of risk, and the smallest APY asked for, that money in this pool alone would break. ``profiles`` is empty
    before ``not_selected``, of a pool that is held, and where no candidates were built for want of data.
    """

    pool_id: str
    stage: Stage
    failure: Failure | None
    limits: list[StatedLimit]
    breaks: list[Failure]
    profiles: list[PoolInProfile]
    candidates: list[WhyNotCandidate]
    weight: Fraction | None
