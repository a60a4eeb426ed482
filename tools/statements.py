"""What can be said of a candidate without a figure: finished sentences, each true under a condition on its figures.

A closed list, as with ``tools.reasons``. Whoever explains a choice, a model or a program, picks names from it and
writes no word of its own; a sentence is offered, and written, only where its condition holds, and the text carries the
condition as a claim that the checker holds against the record.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from tools.reasons import figure_at
from tools.records import Candidate

Passage = Literal["why", "caution"]
Order = Literal["<", "<=", ">", ">="]

_ORDERS: Mapping[Order, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Condition(NamedTuple):
    """The figure at ``left`` in a candidate, ``order``, and ``times`` the figure at ``right``, or ``times`` itself."""

    left: str
    order: Order
    times: float
    right: str | None = None

    @property
    def formula(self) -> str:
        """The right side as a formula of the ledger, over a, the figure at ``right``."""
        return f"{self.times!r}" if self.right is None else f"a * {self.times!r}"


class Statement(NamedTuple):
    """A sentence, the passage it belongs to, and when it is true: under all of its conditions, of none always."""

    passage: Passage
    sentence: str
    conditions: tuple[Condition, ...]


def _why(sentence: str, *conditions: Condition) -> Statement:
    return Statement("why", sentence, conditions)


def _caution(sentence: str, *conditions: Condition) -> Statement:
    return Statement("caution", sentence, conditions)


_APY, _KEPT, _MONTH = "/metrics/portfolio_apy", "/risk/all_in/net_apy", "/apy_mean_30d"
_LOW, _HIGH = "/apy_low", "/apy_high"  # of the averages over thirty days that the window saw
_PROTOCOL, _ISSUER = "/risk/largest_protocol/share", "/risk/largest_issuer/share"
_POSITION, _REWARDS, _SPLIT = "/risk/largest_position_share", "/risk/reward_share", "/risk/reward_share_known_weight"
_RISKS, _WEAKEST = "/risk/exposure/effective_risks", "/risk/protocol_risk_max"
_CHANCE, _BAD_YEARS = "/risk/all_in/loss_probability", "/risk/all_in/cvar_95"
_DAYS, _SMALLEST = "/window/days", "/risk/smallest_tvl_usd"

# What "small", "narrow" and the like mean here: the thresholds are judgements, and each claim shows its own. A sentence
# says no more than its condition: a share of a protocol's own pools says nothing of those that lean on it.
STATEMENTS: Mapping[str, Statement] = {
    "few_rewards": _why(
        "Reward tokens have a small part in the yield, or none.",
        Condition(_REWARDS, "<=", 0.1), Condition(_SPLIT, ">=", 1.0),
    ),
    "several_risks": _why("Its pools amount to several independent risks.", Condition(_RISKS, ">=", 2.0)),
    "spread_over_issuers": _why(
        "It does not hang on the coins of a single issuer.", Condition(_ISSUER, "<=", 0.34)
    ),
    "small_position": _why(
        "On the day the position was small beside what could be withdrawn.", Condition(_POSITION, "<=", 0.01)
    ),
    "sound_protocols": _why(
        "Every protocol whose pools it holds has a good score for risk.", Condition(_WEAKEST, "<=", 0.35)
    ),
    "large_pools": _why("Its pools are large.", Condition(_SMALLEST, ">=", 50e6)),
    "long_record": _why("The record behind these figures covers about a year.", Condition(_DAYS, ">=", 330.0)),
    "narrow_range": _why(
        "From month to month the yield has kept to a narrow range.", Condition(_HIGH, "<=", 1.5, _LOW)
    ),
    "no_spike": _why(
        "The yield of the day does not stand out: it is no spike.",
        Condition(_APY, "<=", 1.1, _MONTH),
    ),
    "keeps_yield": _why(
        "What failures and costs are expected to take leaves a good part of the yield.",
        Condition(_KEPT, ">=", 0.6, _APY),
    ),
    "losses_rare": _why("Few years are expected to end with a loss.", Condition(_CHANCE, "<=", 0.05)),
    "mild_bad_years": _why(
        "Bad years are expected to take a small part of the money.", Condition(_BAD_YEARS, "<=", 0.1)
    ),
    "rewards_can_stop": _caution(
        "A good part of the yield is paid in reward tokens, which can stop at any time.", Condition(_REWARDS, ">=", 0.2)
    ),
    "hangs_on_a_protocol": _caution(
        "A large part of the money lies in the pools of a single protocol: keep an eye on it.",
        Condition(_PROTOCOL, ">", 0.34),
    ),
    "shared_risks": _caution(
        "Its pools share what can break them, so they can fail together.", Condition(_RISKS, "<", 2.0)
    ),
    "hangs_on_an_issuer": _caution(
        "A large part of the money hangs on a single issuer's coins.", Condition(_ISSUER, ">", 0.5)
    ),
    "large_position": _caution(
        "The position is large beside what can be withdrawn, so leaving it can take time.",
        Condition(_POSITION, ">=", 0.03),
    ),
    "weak_protocol": _caution("A protocol in it has a poor score for risk.", Condition(_WEAKEST, ">", 0.5)),
    "small_pools": _caution("A pool in it is small, and small pools change quickly.", Condition(_SMALLEST, "<", 10e6)),
    "short_record": _caution(
        "The record is short, so treat what it shows with care.", Condition(_DAYS, "<", 180.0)
    ),
    "wide_range": _caution(
        "Even from month to month the yield has swung widely: do not plan with the rate of the day.",
        Condition(_HIGH, ">", 2.0, _LOW),
    ),
    "spike": _caution(
        "The yield of the day is far above what the past month was like, and may go back there.",
        Condition(_APY, ">", 1.25, _MONTH),
    ),
    "failures_cost": _caution(
        "Failures and costs are expected to take a good part of the yield.", Condition(_KEPT, "<", 0.6, _APY)
    ),
    "losses_happen": _caution("A year that ends with a loss is well possible.", Condition(_CHANCE, ">", 0.1)),
    "bad_years": _caution("Bad years can take a good part of the money.", Condition(_BAD_YEARS, ">", 0.1)),
    "contracts_can_fail": _caution("Contracts can fail, and a failure can take all that is in them."),
    "rates_move": _caution("Rates move, and the yield moves with them."),
    "past_is_past": _caution("What was earned in the past need not be earned again."),
    "slow_exit": _caution("Withdrawals can be slow when everyone wants out."),
    "pegs_break": _caution("A token can lose its peg, and then it is late to leave."),
    "rules_change": _caution("Those who govern a protocol may change its rules."),
    "needed_money": _caution("Do not put in what you may need soon."),
    "estimates": _caution("The figures are estimates and can be wrong."),
}  # fmt: skip


def holds(statement: Statement, candidate: Candidate) -> bool:
    """Tell whether a sentence is true of a candidate; where a figure is not known, it is not."""
    return all(_met(condition, candidate) for condition in statement.conditions)


def _met(condition: Condition, candidate: Candidate) -> bool:
    left = figure_at(candidate, condition.left)
    right = 1.0 if condition.right is None else figure_at(candidate, condition.right)
    return left is not None and right is not None and _ORDERS[condition.order](left, right * condition.times)


def true_of(candidate: Candidate) -> list[str]:
    """Return the names of the sentences with a condition that are true of a candidate, in the order of the list."""
    return [name for name, one in STATEMENTS.items() if one.conditions and holds(one, candidate)]
