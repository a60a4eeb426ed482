"""What a backtest is made of and what it leaves: the request, decisions, books, figures. Fractions, dollars, UTC days.

A figure that cannot be given is None with a reason beside it. All curves begin with the day of the first decision.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tools.records import Asset, Count, Fraction, ProfileId, Record, RiskLevel, WeightMethod

SCHEMA_VERSION = "1.0"

StrategyKind = Literal["adviser", "profile", "method", "equal", "greedy", "largest", "held", "patient", "risk_free"]
Basis = Literal["gross", "net", "priced"]
Among = Literal["all", "low", "medium", "high"]


class Request(Record):
    """What is asked: decide on each of ``days`` about so many dollars' worth, and follow the books to ``end``.

    ``seed`` and ``paths`` are of the simulation that the adviser looks at. The request and the market fix the result.
    """

    asset: Asset
    amount_usd: Annotated[float, Field(gt=0.0, le=1e12)]
    days: Annotated[list[str], Field(min_length=1)]
    end: str
    levels: list[RiskLevel]
    seed: Count = 0
    paths: Annotated[int, Field(ge=1)] = 100_000


class Holding(Record):
    """A pool that is held from a decision on, with what the accounting needs of it.

    ``apy`` is that of the day, ``kept`` the share of a rate that is left once the own deposit is in (1: all of it).
    ``family`` is the protocol's, by which exploits are told.
    """

    pool_id: str
    name: str
    family: str
    chain: str
    tokens: list[str]
    weight: float
    apy: float
    kept: Fraction


class Decision(Record):
    """What a strategy holds from a day on; nothing, with the ``reason``, means that the money waits uninvested."""

    strategy: str
    kind: StrategyKind
    risk: RiskLevel | None
    profile: ProfileId | None
    method: WeightMethod | None
    candidate: str | None
    reason: str | None
    holdings: list[Holding]


class DayDecisions(Record):
    """Everything decided about one day at one level of risk: a line of the journal.

    ``task_sha256`` is over what was asked, ``market_sha256`` over every raw row that was read; None, with the
    ``reason``, where the day's market could not be used and nothing was decided. ``snapshot`` tells a recorded snapshot
    from one made out of the charts. ``risk_free`` is a rate a year.
    """

    task_sha256: str
    day: str
    risk: RiskLevel
    snapshot: Literal["recorded", "from charts"]
    market_sha256: str | None
    reason: str | None
    risk_free: float | None
    pools_eligible: Count
    decisions: list[Decision]


class Event(Record):
    """Something that befell a pool while it was held: it stopped reporting, or its protocol was exploited.

    ``loss`` is the share of the position that is booked as lost, None where the record cannot tell; ``held_usd`` the
    position on the day before.
    """

    kind: Literal["silent", "exploit"]
    strategy: str
    day: str
    pool_id: str
    name: str
    held_usd: float
    loss: Fraction | None
    note: str


class Rebalancing(Record):
    """What moving to a decision, or selling at the end, cost.

    ``turnover`` is ½ Σ |Δ weight|. ``unpriced`` names what was not charged because its price is not known.
    """

    day: str
    turnover: float
    legs: Count
    gas_usd: float
    slippage_usd: float
    bridge_usd: float
    unpriced: list[str]


class Earned(Record):
    """What a pool brought a strategy: days held, its mean share of the book on these, and dollars after dilution.

    Without prices, before what moving cost.
    """

    pool_id: str
    name: str
    days: Count
    mean_weight: float
    earned_usd: float


class Figures(Record):
    """What a series of daily returns comes to; fractions, a year has 365 days.

    ``sharpe`` is over the risk-free rate, with the range that holds nine of ten block resamples; ``sharpe_missing``
    says why there is none. ``deflated_sharpe`` is the probability that the true ratio beats what the best of all trials
    would show without skill, ``deflated_sharpe_effective`` the same for the effective number of trials.
    """

    total_return: float
    annual_return: float
    annual_volatility: float
    sharpe: float | None
    sharpe_low: float | None
    sharpe_high: float | None
    sharpe_missing: str | None
    deflated_sharpe: Fraction | None
    deflated_sharpe_effective: Fraction | None
    deflated_sharpe_missing: str | None
    max_drawdown: float


class StrategyResult(Record):
    """The book of one strategy.

    ``gross`` is before costs, ``net`` after costs and the own deposit's dilution, ``priced`` the same with the recorded
    prices of its tokens. ``cost`` is what was paid, as a share of the amount, ``turnover_per_year`` that of the
    rebalancings (not of going in and out). ``idle_days`` count the days without any position, ``unpaid_days`` pool-days
    without a report that earned nothing.
    """

    strategy: str
    kind: StrategyKind
    risk: RiskLevel | None
    gross: Figures
    net: Figures
    priced: Figures
    cost: float
    turnover_per_year: float
    idle_days: Count
    unpaid_days: Count
    at_par: list[str]
    rebalancings: list[Rebalancing]
    events: list[Event]
    earned: list[Earned]
    curve_net: list[float]
    curve_priced: list[float]


class Comparison(Record):
    """How much more a year one strategy earned than another, by paired daily differences; a range of block resamples.

    ``difference`` is in fractions a year, the sum of daily differences of log returns over the years;
    ``low`` and ``high`` hold nine of ten resamples, None where there are too few days.
    """

    strategy: str
    against: str
    basis: Basis
    difference: float
    low: float | None
    high: float | None


class Overfitting(Record):
    """The probability of backtest overfitting by CSCV, among all strategies or those of one level.

    None with the ``reason`` where there are too few days or strategies.
    ``probability`` is the share of the ``splits`` in which the strategy that was best in sample lands in the lower half
    out of sample; ``rank`` its mean relative rank there (1 best), ``degradation`` its mean annual return out of sample
    less that in sample.
    """

    basis: Basis
    among: Among
    strategies: Count
    probability: Fraction | None
    reason: str | None
    blocks: Count
    splits: Count
    purge_days: Count
    embargo_days: Count
    rank: float | None
    degradation: float | None


class Trials(Record):
    """How many strategies were tried: all, those with a series of their own, and the effective number."""

    all: Count
    distinct: Count
    effective: float


class Backtest(Record):
    """The record of a run: what was asked, what was decided, what came of it. ``notes`` are what a reader must know."""

    schema_version: str
    request: Request
    synthetic: bool
    program_sha256: str
    realised_sha256: str
    risk_free: float
    days: list[DayDecisions]
    strategies: list[StrategyResult]
    comparisons: list[Comparison]
    trials: Trials
    overfitting: list[Overfitting]
    block_days: Count
    notes: list[str]
