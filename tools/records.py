"""The frozen records that pass between the stages, and the one that leaves: ``Recommendation``.

question → Mandate → Market → Universe → Candidates → Metrics → Risk (gates) → Scores → Choice (an id) → Rationale →
Recommendation

Fractions everywhere, UTC everywhere. A number is finite or it is None with a reason beside it: NaN and infinity are
refused on the way in and cannot be written on the way out. Unknown keys are refused. ``docs/contract.md`` describes
every field for other programs.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = "1.0"

Asset = Literal["ETH", "BTC", "USD"]
RiskLevel = Literal["low", "medium", "high"]
Intent = Literal["recommend", "compare", "explain", "what_if", "out_of_scope"]
ProfileId = Literal[
    "ultra_safe",
    "conservative_growth",
    "balanced_score",
    "balanced_apy",
    "growth",
    "aggressive_growth",
    "blue_chip",
    "maximum_yield",
    "high_risk",
]
WeightMethod = Literal["equal", "inverse_volatility", "min_cvar"]
OutcomeKind = Literal["choice", "no_feasible_strategy", "not_enough_data", "out_of_scope"]
Trend = Literal["down", "not_down", "unknown"]
Unit = Literal["percent", "bps", "percentage_points", "usd", "eth", "btc", "ratio", "count", "days", "date", "name"]

METRIC_KEYS = (
    "annual_return", "annual_volatility", "sharpe", "sortino", "max_drawdown", "var_95", "cvar_95", "calmar",
    "alpha", "beta", "skewness", "kurtosis", "omega", "weighted_apy", "total_tvl_usd", "pool_count", "portfolio_apy",
)  # fmt: skip

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=0)]


class Record(BaseModel):
    """A frozen record: unknown keys, NaN, infinity and silent type changes are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Mandate(Record):
    """What the user wants, read from the question; the contract of ``plimsoll parse``.

    ``amount`` is in the asset (dollars for USD). Rates, weights and losses are fractions. None means that the user did
    not say.
    """

    intent: Intent = "recommend"
    asset: Asset | None = None
    amount: Positive | None = None
    amount_usd: Positive | None = None
    risk: RiskLevel = "medium"
    profile: ProfileId | None = None
    horizon_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    chains_include: list[str] = []
    chains_exclude: list[str] = []
    protocols_include: list[str] = []
    protocols_exclude: list[str] = []
    tokens_include: list[str] = []
    tokens_exclude: list[str] = []
    min_tvl_usd: Annotated[float, Field(ge=0.0)] | None = None
    min_apy: Annotated[float, Field(ge=0.0)] | None = None
    max_weight: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    min_pools: Annotated[int, Field(ge=1)] | None = None
    max_pools: Annotated[int, Field(ge=1)] | None = None
    allow_il: bool | None = None
    max_drawdown: Positive | None = None
    max_var_95: Positive | None = None
    notes: list[str] = []


class RiskFree(Record):
    """The rate that doing nothing risky earns (fraction per year), and where it comes from."""

    rate: float
    source: str


class MarketSummary(Record):
    """What market the decision saw. ``pools_total`` = ``pools_eligible`` + the sum of ``excluded``.

    ``excluded`` counts what the tokens and the quality of the data rule out; ``ruled_out`` counts, among the eligible,
    what the user's own limits do.
    """

    source: str
    synthetic: bool
    snapshot_date: str
    snapshot_sha256: str
    pools_total: Count
    pools_screened: Count
    pools_eligible: Count
    excluded: dict[str, int]
    ruled_out: dict[str, int]
    gaps_filled: Count
    spikes_dropped: Count
    without_reward_split: Count
    risk_free: RiskFree
    price_usd: Positive | None
    price_source: str | None
    benchmark: str
    benchmark_pools: list[str]
    warnings: list[str]


class CandidatePool(Record):
    """One pool of a candidate.

    ``protocol_risk`` is the worst among its protocol, the protocols that issue its tokens and the vault that it is a
    share of; ``weakest_party`` names which. ``share_of_pool`` is the position over what can be withdrawn, None when no
    amount is known.
    """

    pool_id: str
    project: str
    family: str
    name: str
    chain: str
    symbol: str
    url: str
    tokens: list[str]
    issuers: list[str]
    weight: Fraction
    apy: float
    apy_base: float | None
    apy_reward: float | None
    apy_mean_30d: float
    tvl_usd: float
    share_of_pool: float | None
    protocol_risk: Fraction
    weakest_party: str
    apy_multiple: float
    trend: Trend
    history_days: Count


class Window(Record):
    """The days that the metrics of all candidates are computed over, both ends included."""

    first: str
    last: str
    days: Count


class LargestShare(Record):
    """The largest share of the money behind one name (a protocol, an issuer, a chain)."""

    name: str
    share: float


class RiskReport(Record):
    """What can be said of a candidate's risk. Loss figures come from carry alone (``basis``) and understate risk.

    See ``docs/method.md``.
    """

    basis: Literal["carry_only"]
    var_95: float
    cvar_95: float
    max_drawdown: float
    protocol_risk_max: Fraction
    protocol_risk_mean: Fraction
    risk_adjusted_apy: float
    reward_share: float | None
    reward_share_known_weight: Fraction
    largest_weight: float
    largest_protocol: LargestShare
    largest_issuer: LargestShare
    largest_chain: LargestShare
    largest_position_share: float | None
    smallest_history_days: Count
    smallest_tvl_usd: float


class Gate(Record):
    """One limit. ``tested`` false: the figures at hand cannot show a breach, so passing it proves nothing."""

    rule: str
    limit: float | str | None
    value: float | str | None
    passed: bool
    tested: bool


class Score(Record):
    """The weighted score of a candidate, normalised across the candidates of this mandate (see ``tools.scoring``)."""

    total: float
    parts: dict[str, float]
    raw: dict[str, float | None]
    missing: list[str]
    normalisation: str
    preset: str


class Candidate(Record):
    """A profile and a weight method applied to the market: pools with weights, figures, gates and score.

    ``passed``: no gate vetoes it. ``revised``: built again after risk sent pools back. ``count_raised``: more pools
    than the profile's own count, because the caps need them.
    """

    id: str
    profile: ProfileId
    method: WeightMethod
    revised: bool
    count_raised: bool
    pools: list[CandidatePool]
    window: Window
    metrics: dict[str, float | None]
    metrics_missing: dict[str, str]
    apy_mean_30d: float
    apy_low: float
    apy_high: float
    risk: RiskReport
    gates: list[Gate]
    passed: bool
    score: Score


class Emptied(Record):
    """A profile that ended without a candidate, and the rule that took its last pools."""

    profile: ProfileId
    rule: str
    pools_before: Count
    pools_after: Count


class ChosenPool(Record):
    """A pool of the choice; ``amount`` is in the asset, None when no amount or no price is known."""

    pool_id: str
    weight: Fraction
    amount: float | None


class Expected(Record):
    """Income over the horizon in the asset at the APYs of the date.

    The range is what the window saw (see ``docs/method.md``).
    """

    income: float | None
    income_low: float | None
    income_high: float | None
    horizon_days: Count
    apy: float
    apy_low: float
    apy_high: float


class Choice(Record):
    """The decision: one candidate that passed every gate.

    ``amount`` is the money in the asset (dollars for USD), None when unknown.
    """

    candidate_id: str
    method: WeightMethod
    amount: float | None
    pools: list[ChosenPool]
    expected: Expected


class Alternative(Record):
    """What doing nothing earns over the same horizon. ``difference_bps`` = (choice − this) · 10,000.

    None without a choice.
    """

    name: str
    apy: float
    income: float | None
    difference_bps: float | None


class Alternatives(Record):
    """Holding the asset, and the risk-free rate of the asset (for dollars a Treasury bill, for ETH staking)."""

    hold: Alternative
    risk_free: Alternative


class Derived(Record):
    """A figure that the text shows and that is computed from others.

    ``formula`` is over a, b, c … = ``inputs`` in order.
    """

    value: float | str
    formula: str
    inputs: list[str]


class Figure(Record):
    """A number, date, count or name in the text at [start, end) in code points, and the JSON Pointer to its value."""

    text: str
    start: Count
    end: Count
    pointer: str
    unit: Unit


class Claim(Record):
    """A comparison made in the text at [start, end): the value at ``left`` ``op`` the value at ``right``."""

    start: Count
    end: Count
    left: str
    op: Literal["<", "<=", ">", ">=", "==", "!="]
    right: str


class Rationale(Record):
    """The written reasons. ``author`` says who wrote the prose; ``refused`` why a model's prose was not shown."""

    author: str
    refused: str | None
    markdown: str
    figures: list[Figure]
    claims: list[Claim]


class Flowchart(Record):
    """The run as a graph, built from this record."""

    graph: dict[str, Any]
    mermaid: str
    files: list[str]


class TraceStep(Record):
    """One call of a tool by an agent; arguments and result by hash."""

    agent: str
    step: Count
    tool: str
    arguments_sha256: str
    result_sha256: str
    seconds: float


class Usage(Record):
    """What the model's seat cost. ``fallback`` lists each attempt that failed and what took over."""

    model: str
    calls: Count
    input_tokens: Count
    output_tokens: Count
    seconds: float
    fallback: list[str]


class Conflict(Record):
    """A limit that kept every candidate from being chosen.

    ``vetoed`` candidates failed it, ``nearest`` is the value closest to it.
    """

    rule: str
    limit: float | str | None
    nearest: float | str | None
    vetoed: Count


class Recommendation(Record):
    """Everything about one decision. Nothing that it used lives anywhere else, save the market rows saved beside it."""

    schema_version: str
    run_id: str
    created_at: str
    as_of: str
    question: str
    outcome: OutcomeKind
    reason: str
    mandate: Mandate
    market: MarketSummary | None
    candidates: list[Candidate]
    emptied: list[Emptied]
    conflicts: list[Conflict]
    choice: Choice | None
    alternatives: Alternatives | None
    derived: dict[str, Derived]
    rationale: Rationale
    flowchart: Flowchart
    trace: list[TraceStep]
    usage: Usage


def canonical_json(value: Any) -> str:
    """Write plain data as canonical JSON: sorted keys, no spaces, UTF-8 kept; NaN and infinity raise ValueError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """Return the SHA-256 (hex) of the canonical JSON of plain data."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
