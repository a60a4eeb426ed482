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
    """A sentence, the passage it belongs to, and when it is true; None: of every candidate."""

    passage: Passage
    sentence: str
    condition: Condition | None


def _why(sentence: str, left: str, order: Order, times: float, right: str | None = None) -> Statement:
    return Statement("why", sentence, Condition(left, order, times, right))


def _caution(sentence: str, left: str, order: Order, times: float, right: str | None = None) -> Statement:
    return Statement("caution", sentence, Condition(left, order, times, right))


def _always(sentence: str) -> Statement:
    return Statement("caution", sentence, None)


_APY, _KEPT, _MONTH = "/metrics/portfolio_apy", "/risk/all_in/net_apy", "/apy_mean_30d"
_LOW, _HIGH = "/apy_low", "/apy_high"
_PROTOCOL, _ISSUER = "/risk/largest_protocol/share", "/risk/largest_issuer/share"
_POSITION, _REWARDS = "/risk/largest_position_share", "/risk/reward_share"
_RISKS, _WEAKEST = "/risk/exposure/effective_risks", "/risk/protocol_risk_max"
_CHANCE, _BAD_YEARS = "/risk/all_in/loss_probability", "/risk/all_in/cvar_95"
_DAYS, _SMALLEST = "/window/days", "/risk/smallest_tvl_usd"

# What "small", "narrow" and the like mean here: the thresholds are judgements, and each claim shows its own.
STATEMENTS: Mapping[str, Statement] = {
    "no_rewards": _why("The yield is interest and fees; reward tokens have no part in it.", _REWARDS, "<=", 0.0),
    "few_rewards": _why("Reward tokens are a small part of the yield.", _REWARDS, "<=", 0.1),
    "spread_over_protocols": _why(
        "The money is spread over protocols, so that all of it does not hang on any of them.", _PROTOCOL, "<=", 0.34
    ),
    "separate_risks": _why("What can break its pools differs from pool to pool.", _RISKS, ">=", 2.0),
    "spread_over_issuers": _why("It does not hang on the coins of a single issuer.", _ISSUER, "<=", 0.34),
    "easy_to_leave": _why(
        "The position is small beside what can be withdrawn, so it can be left when something breaks.",
        _POSITION, "<=", 0.01,
    ),
    "sound_protocols": _why("Every protocol in it has a good score for risk.", _WEAKEST, "<=", 0.35),
    "large_pools": _why("Its pools are large.", _SMALLEST, ">=", 50e6),
    "long_record": _why("The record behind these figures covers about a year.", _DAYS, ">=", 330.0),
    "narrow_range": _why("The yield has kept to a narrow range.", _HIGH, "<=", 1.5, _LOW),
    "no_spike": _why("The yield of the day is no spike: the past month was much like it.", _APY, "<=", 1.1, _MONTH),
    "keeps_yield": _why(
        "What failures and costs are expected to take leaves a good part of the yield.", _KEPT, ">=", 0.6, _APY
    ),
    "losses_rare": _why("A year that ends with a loss is not expected often.", _CHANCE, "<=", 0.1),
    "mild_bad_years": _why("Bad years are expected to take a small part of the money.", _BAD_YEARS, "<=", 0.1),
    "rewards_can_stop": _caution(
        "A good part of the yield is paid in reward tokens, which can stop at any time.", _REWARDS, ">=", 0.2
    ),
    "hangs_on_a_protocol": _caution(
        "A large part of the money hangs on a single protocol: keep an eye on it.", _PROTOCOL, ">", 0.34
    ),
    "shared_risks": _caution("Its pools share what can break them, so they can fail together.", _RISKS, "<", 2.0),
    "hangs_on_an_issuer": _caution("A large part of the money hangs on a single issuer's coins.", _ISSUER, ">", 0.5),
    "hard_to_leave": _caution(
        "The position is large beside what can be withdrawn, so leaving it can take time.", _POSITION, ">=", 0.03
    ),
    "weak_protocol": _caution("The weakest protocol in it has a poor score for risk.", _WEAKEST, ">", 0.5),
    "small_pools": _caution("A pool in it is small, and small pools change quickly.", _SMALLEST, "<", 10e6),
    "short_record": _caution("The record is short, so treat what it shows with care.", _DAYS, "<", 180.0),
    "wide_range": _caution("The yield has swung widely: do not plan with the rate of the day.", _HIGH, ">", 2.0, _LOW),
    "spike": _caution(
        "The yield of the day is far from what the past month was like, and may go back there.",
        _APY, ">", 1.25, _MONTH,
    ),
    "failures_cost": _caution(
        "Failures and costs are expected to take a good part of the yield.", _KEPT, "<", 0.6, _APY
    ),
    "losses_happen": _caution("A year that ends with a loss is well possible.", _CHANCE, ">", 0.1),
    "bad_years": _caution("Bad years can take a good part of the money.", _BAD_YEARS, ">", 0.1),
    "contracts_can_fail": _always("Contracts can fail, and a failure can take all that is in them."),
    "rates_move": _always("Rates move with demand, and the yield falls when borrowers leave."),
    "past_is_past": _always("What was earned in the past need not be earned again."),
    "slow_exit": _always("Withdrawals can be slow when everyone wants out."),
    "pegs_break": _always("A token can lose its peg, and then it is late to leave."),
    "rules_change": _always("Those who govern a protocol can change its rules overnight."),
    "needed_money": _always("Do not put in what you may need soon."),
    "estimates": _always("The figures are estimates and can be wrong."),
}  # fmt: skip


def holds(statement: Statement, candidate: Candidate) -> bool:
    """Tell whether a sentence is true of a candidate; where a figure is not known, it is not."""
    condition = statement.condition
    if condition is None:
        return True
    left = figure_at(candidate, condition.left)
    right = 1.0 if condition.right is None else figure_at(candidate, condition.right)
    return left is not None and right is not None and _ORDERS[condition.order](left, right * condition.times)


def true_of(candidate: Candidate) -> list[str]:
    """Return the names of the sentences with a condition that are true of a candidate, in the order of the list."""
    return [name for name, one in STATEMENTS.items() if one.condition is not None and holds(one, candidate)]
