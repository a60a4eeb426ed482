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

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

SCHEMA_VERSION = "1.3"

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
WeightMethod = Literal[
    "equal",
    "inverse_volatility",
    "risk_adjusted",
    "min_cvar",
    "risk_parity",
    "max_sharpe",
    "min_loss",
    "yield_less_loss",
    "net_yield",
]
Preference = Literal["net_apy"]
OutcomeKind = Literal["choice", "no_feasible_strategy", "not_enough_data", "out_of_scope"]
Trend = Literal["down", "not_down", "unknown"]
HazardLevel = Literal["low", "central", "high"]
RiskView = Literal["carry_only", "all_in"]
NodeKind = Literal["protocol", "token", "issuer", "curator", "bridge", "chain", "oracle", "unknown"]
DilutionModel = Literal["none", "shared", "square", "kinked"]
ForecastMethod = Literal["last", "ewma", "ar1", "arima", "lstm"]
LimitState = Literal["normal", "reduce", "emergency"]
ReasonFigure = Literal[
    "score",
    "net_apy",
    "apy",
    "apy_mean_30d",
    "apy_low",
    "sharpe",
    "alpha",
    "volatility",
    "expected_loss",
    "cvar_95",
    "loss_probability",
    "protocol_risk",
    "largest_protocol",
    "reward_share",
    "position_share",
    "independent_risks",
]
RequestAgent = Literal["data", "quant", "risk"]
RequestTool = Literal["screen", "optimise", "compare", "stress"]
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


class PoolFeatures(Record):
    """What a pool's history says beside its yield; each definition stands in ``tools.market.features``.

    Rates are fractions per year, changes of TVL fractions of the TVL. None with a reason in ``missing``.
    """

    days: Count
    apy_mean: float
    apy_volatility: float
    apy_trend: float | None
    persistence: float | None
    spikes: Count
    reward_share: float | None
    tvl_change_30d: float | None
    tvl_worst_day: float | None
    correlation_with_median: float | None
    exit_cost: float | None
    days_to_exit: float | None
    missing: dict[str, str]


class RateAtSize(Record):
    """What a pool pays once the position itself is in it (``tools.sizing``).

    ``apy`` is None with the ``reason`` where no amount is known. ``base_usd`` is what the yield is shared among before
    the deposit: the TVL, or for a lender what was supplied; ``utilisation`` is the share of it that is lent out, where
    the model has one. ``basis`` says in words where the model comes from.
    """

    model: DilutionModel
    apy: float | None
    base_usd: float | None
    utilisation: float | None
    basis: str
    reason: str | None


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
    at_size: RateAtSize
    protocol_risk: Fraction
    weakest_party: str
    apy_multiple: float
    trend: Trend
    history_days: Count
    features: PoolFeatures


class Window(Record):
    """The days that the metrics of all candidates are computed over, both ends included."""

    first: str
    last: str
    days: Count


class LargestShare(Record):
    """The largest share of the money behind one name (a protocol, an issuer, a chain)."""

    name: str
    share: float


class NodeHazard(Record):
    """How often something fails and how much is lost when it does.

    Rates are events per year: a low, a central and a high estimate. The loss given an event is uniform between the two
    severities, fractions of what depends on the node. ``basis`` says in words how the rate came about.
    """

    rate_low: Annotated[float, Field(ge=0.0)]
    rate: Annotated[float, Field(ge=0.0)]
    rate_high: Annotated[float, Field(ge=0.0)]
    severity_low: Fraction
    severity_high: Fraction
    basis: str
    sources: list[str]


class NodeExposure(Record):
    """One thing that a candidate depends on (``id`` is kind:name), and how much of the money does.

    ``look_through`` is the share of the money that is a claim on it, directly or through others. ``lost_if_fails`` is
    the share that is gone when it fails for good, which is more where a pool of several tokens is left with the bad
    one. ``expected_loss`` is per year at the hazard in use: lost_if_fails × rate × mean severity; 0 without a hazard
    of its own.
    """

    id: str
    kind: NodeKind
    name: str
    pools: Count
    look_through: Fraction
    lost_if_fails: Fraction
    hazard: NodeHazard | None
    expected_loss: float


class ExposureLink(Record):
    """``source`` depends on ``target`` with a share of itself; pools stand as pool:id."""

    source: str
    target: str
    share: Fraction


class Exposure(Record):
    """What a candidate depends on, looked through to the end, and how many independent risks that makes.

    ``nodes`` lie in the order of what is lost with them, the most first. ``effective_risks`` is the diversity of
    order 2 of Leinster & Cobbold (2012), see ``tools.exposure``; ``effective_by_kind`` counts by one kind of node only.
    """

    nodes: list[NodeExposure]
    links: list[ExposureLink]
    effective_risks: float
    effective_by_kind: dict[str, float]
    single_point: str


class Histogram(Record):
    """How many paths ended between two neighbouring edges (fractions of the money, losses positive)."""

    edges: list[float]
    counts: list[Count]


class Exceeded(Record):
    """A loss, a fraction of the money, that is exceeded with this probability within the year."""

    probability: Fraction
    loss: Fraction


class AllIn(Record):
    """Yield and loss together over one year: carry, exploits, depegs, cost of gas and of leaving.

    The expected figures are closed forms of the nodes' hazards, the tail is simulated (see ``docs/risk.md``). Losses
    are positive fractions of the money over ``horizon_days``; ``net_apy`` and its range are per year, the low end at
    the high hazard. ``drawdown_95`` counts losses by events only. ``missing`` says what could not be reckoned and why.
    """

    horizon_days: Count
    paths: Count
    block_days: Count
    seed: Count
    hazard_level: HazardLevel
    expected_loss: float
    expected_loss_low: float
    expected_loss_high: float
    event_probability: Fraction
    gas_usd: float | None
    gas_cost: float | None
    exit_cost: float | None
    impermanent_loss: float | None
    dilution: float | None
    cost_per_year: float
    break_even_days: float | None
    net_apy: float
    net_apy_low: float
    net_apy_high: float
    volatility: float
    sharpe: float | None
    alpha: float | None
    mean_return: float
    standard_error: float
    loss_probability: Fraction
    var_95: float
    var_99: float
    cvar_95: float
    cvar_99: float
    evar_95: float
    drawdown_95: float
    drawdown_curve: list[Exceeded]
    histogram: Histogram
    missing: dict[str, str]


class NodeShock(Record):
    """What one node lost in an event, as a fraction of what depends on it: at the worst, and after ``days_after`` days.

    None: not known. ``channel`` says whether the holder loses by what a token is worth (``price``) or by what a
    protocol no longer pays out (``custody``).
    """

    loss: Fraction
    loss_after: Fraction | None
    channel: Literal["price", "custody"]


class StressResult(Record):
    """A dated event replayed on a candidate's pools as they are today.

    ``loss`` is the share of the money gone at the worst of it, ``loss_after`` what was still gone ``days_after`` later,
    None where that is not known. ``hit`` names the nodes that the event strikes and that the candidate depends on,
    ``shocks`` says how hard each of them was struck: the losses follow from these and from the candidate's exposure.
    """

    event: str
    title: str
    date: str
    loss: Fraction
    loss_after: Fraction | None
    days_after: Count
    hit: list[str]
    shocks: dict[str, NodeShock]
    sources: list[str]


class RiskReport(Record):
    """What can be said of a candidate's risk.

    ``var_95``, ``cvar_95`` and ``max_drawdown`` come from carry alone (``basis``) and understate risk; ``all_in`` is
    the view with events and costs. ``gate_view`` says which of the two the loss limits and the score are held against.
    ``sharpe_probability`` is the probabilistic Sharpe ratio of the carry, ``deflated_sharpe`` the deflated one with all
    ``trials`` candidates counted; ``missing`` says why one is null.
    See ``docs/risk.md``.
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
    gate_view: RiskView
    all_in: AllIn
    exposure: Exposure
    stress: list[StressResult]
    sharpe_probability: Fraction | None
    deflated_sharpe: Fraction | None
    trials: Count
    missing: dict[str, str]


class ScoreComponent(Record):
    """One part of a protocol's score, 0 (worst, or unknown) to 1: why, by whom, and since when it was known."""

    score: Fraction
    weight: Fraction
    evidence: str
    sources: list[str]
    known_since: str | None


class RiskCap(Record):
    """A reason for which a protocol's risk is at least so high."""

    risk_at_least: Fraction
    reason: str


class ProtocolEvidence(Record):
    """The protocol risk score of a project at the date, with what it was computed from."""

    project: str
    family: str
    risk: Fraction
    components: dict[str, ScoreComponent]
    caps: list[RiskCap]
    known: bool


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
    view: RiskView


class BindingLimit(Record):
    """A limit that stands in the way of a better objective.

    ``price_bps``: by how many basis points the objective would improve per percentage point that the limit is loosened,
    as long as the same limits bind; for the Sharpe ratio, of yield at the same volatility.
    """

    limit: str
    price_bps: float


class Driver(Record):
    """What the risk of the weights comes from: a day of the history, or things that fail in the same year.

    ``probability`` is its share in the worst-case distribution that proves the bound (the dual of the program).
    """

    name: str
    probability: Fraction


class Optimisation(Record):
    """How the weights came about, and how far they can be from the best there is.

    ``value`` is the objective at the weights before they were rounded to basis points, ``bound`` a proven bound that no
    weights within the limits can beat, ``gap`` the distance between them (≥ 0); None for methods that optimise nothing.
    ``rounded`` is the objective at the recorded weights: rounding keeps the caps but may miss a floor by a hair.
    ``window_shift`` is the share of the money
    that would lie elsewhere had only the younger half of the window been seen, reckoned for the choice alone and None
    elsewhere. ``note`` says what was given up.
    """

    objective: str
    over: Literal["days", "years", "nothing"]
    value: float | None
    bound: float | None
    gap: float | None
    rounded: float | None
    binding: list[BindingLimit]
    drivers: list[Driver]
    window_shift: float | None
    note: str | None


class Unsolved(Record):
    """A profile and weight method without a candidate, and why: never weights of another method in its place."""

    profile: ProfileId
    method: WeightMethod
    reason: str


class Plan(Record):
    """What quant set out to do: the objective of the mandate, the weight methods tried for it, and who asked for them.

    ``confidence`` is the tail level of the methods that look at losses, ``loss_aversion`` what a point of mean loss in
    the worst years is worth in yield (λ of ``yield_less_loss``). ``unsolved`` says which of them found no weights.
    ``prefers`` is the figure that decides between candidates whose scores are near the best, ``least_weight`` the least
    weight of a position by ``net_yield``. Where they are None the score alone decides, and every position has 5 % of
    the money at least: so it was before there were such fields, and such a plan is written without them.
    """

    objective: str
    methods: list[WeightMethod]
    confidence: float
    loss_aversion: float
    author: str
    why: str
    unsolved: list[Unsolved]
    prefers: Preference | None = None
    least_weight: Annotated[float, Field(gt=0.0, le=1.0)] | None = None

    @model_serializer(mode="wrap")
    def _without_what_is_unset(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        unset = [name for name in ("prefers", "least_weight") if getattr(self, name) is None]
        return {name: value for name, value in write(self).items() if name not in unset}


class ToolRequest(Record):
    """What the plan asked of an agent's tool before any market was read, and what came of it.

    ``arguments`` are an enum or bounded numbers each, and make things stricter or add information. ``results`` are
    numbers; ``no_effect`` says why nothing changed, None where something did.
    """

    agent: RequestAgent
    tool: RequestTool
    arguments: dict[str, float | str | list[str]]
    author: str
    results: dict[str, float]
    no_effect: str | None


class Planned(Plan):
    """The plan as it is carried through a run: with what it asks of the other agents' tools."""

    requests: list[ToolRequest] = []


class ForecastScore(Record):
    """How a forecaster did on series and days that it had not seen.

    ``ratio`` is its root mean square error over that of "tomorrow equals today" (below 1 is better), ``p_value`` of the
    Diebold–Mariano test that it is not better; ``wins`` the share of series on which it is.
    """

    method: ForecastMethod
    horizon_days: Count
    series: Count
    forecasts: Count
    ratio: float
    p_value: Fraction | None
    wins: Fraction
    used: bool
    why: str


class Forecast(Record):
    """The forecast of the choice's mean APY over the coming days, by the best method that won out of sample.

    ``apy_low`` to ``apy_high`` holds ``level`` of the errors that the method made on these pools before; ``own`` is its
    score there, ``recorded`` are the scores of all methods on the recorded market, used or not.
    """

    method: ForecastMethod
    horizon_days: Count
    apy: float
    apy_low: float
    apy_high: float
    level: Fraction
    own: ForecastScore
    recorded: list[ForecastScore]


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
    optimisation: Optimisation
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

    The range is what the window saw (see ``docs/method.md``). ``net_apy`` and ``net_income`` are what is expected to
    be left after events and costs.
    """

    income: float | None
    income_low: float | None
    income_high: float | None
    horizon_days: Count
    apy: float
    apy_low: float
    apy_high: float
    net_apy: float
    net_income: float | None


class Tripwire(Record):
    """A measure with its two thresholds: beyond ``reduce`` cut the position, beyond ``emergency`` leave it."""

    measure: str
    value: float | None
    reduce: float
    emergency: float
    state: LimitState


class EmergencyMove(Record):
    """One line of the emergency allocation: where the money goes when a threshold of emergency is crossed."""

    target: str
    share: Fraction


class LimitEvent(Record):
    """A limit that fired, with what it found and what it left; ``subject`` is a candidate, pool or node id."""

    rule: str
    subject: str
    limit: float | str | None
    before: float
    after: float
    action: Literal["capped", "sent_back", "rejected", "reduced", "emergency"]


class Reason(Record):
    """A figure that spoke for the choice: the value at ``pointer``.

    Where ``over`` names another candidate, it is better than that one's: the value at ``pointer`` ``op`` the value at
    ``against``. Otherwise these are None.
    """

    figure: ReasonFigure
    pointer: str
    over: str | None
    op: Literal["<", ">"] | None
    against: str | None


class Choice(Record):
    """The decision: one candidate that passed every gate.

    ``reasons`` are the figures that decided, ``reasons_by`` is who named them: ``policy`` where they are the score's
    own, else the model. ``amount`` is the money in the asset (dollars for USD), None when unknown. ``tripwires`` say
    when to cut or leave it, ``emergency`` where the money goes then.
    """

    candidate_id: str
    method: WeightMethod
    reasons: list[Reason]
    reasons_by: str
    amount: float | None
    pools: list[ChosenPool]
    expected: Expected
    tripwires: list[Tripwire]
    emergency: list[EmergencyMove]


class Alternative(Record):
    """What doing nothing earns over the same horizon. ``difference_bps`` = (choice − this) · 10,000.

    ``net_difference_bps`` is the same with what the choice is expected to keep. None without a choice.
    """

    name: str
    apy: float
    income: float | None
    difference_bps: float | None
    net_difference_bps: float | None


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


class TaskUsage(Record):
    """What one task of the model's seat cost; ``rung`` is the form of output that its last answer came in."""

    task: str
    calls: Count
    input_tokens: Count
    output_tokens: Count
    rung: str | None


class Usage(Record):
    """What the model's seat cost. ``fallback`` lists each attempt that failed and what took over.

    ``calls`` were answered or may be charged; ``requests_refused`` were turned down for the form of output that they
    asked for, and cost nothing; ``cached`` answers were known from an earlier run. Tokens are those that the server
    reports, 0 where it reports none. ``rung`` is the form of output of the last answer, ``tasks`` the same by task.
    """

    model: str
    calls: Count
    requests_refused: Count = 0
    cached: Count = 0
    input_tokens: Count
    output_tokens: Count
    seconds: float
    rung: str | None = None
    tasks: list[TaskUsage] = []
    fallback: list[str]


class Conflict(Record):
    """A limit that kept every candidate from being chosen.

    ``vetoed`` candidates failed it, ``nearest`` is the value closest to it.
    """

    rule: str
    limit: float | str | None
    nearest: float | str | None
    vetoed: Count


class StandingLimit(Record):
    """A limit of the mandate that is part of a conflict: the field, and the value that it has there."""

    field: str
    value: float | int | bool | str | list[str]


class WayOut(Record):
    """A change of a single thing with which a candidate passes, all else kept; it was solved.

    ``kind``: a figure ``loosened``, a limit ``removed``, a ``bolder`` level of risk, a ``smaller`` amount. ``field`` is
    that of the mandate, ``after`` None where the limit is lifted.
    """

    kind: Literal["loosened", "removed", "bolder", "smaller"]
    field: str
    before: float | int | bool | str | list[str]
    after: float | int | str | None
    relative_change: float | None


class Infeasible(Record):
    """Why no candidate can pass: the smallest set of the user's limits that stand against each other, and ways out.

    ``conflict`` is empty where no limit of the user's is to blame but the level of risk, the amount or the market
    (``blame``). ``smallest``: every smaller set was solved and can be kept. ``ways_out``: the cheapest first (figures
    by their relative change, removals, a bolder level, a smaller amount); ``reason`` says why there is none.
    ``evaluations`` counts the problems that were solved for this.
    """

    conflict: list[StandingLimit]
    blame: Literal["limits", "risk", "amount", "risk_or_amount", "risk_and_amount", "market"]
    smallest: bool
    ways_out: list[WayOut]
    reason: str | None
    evaluations: Count


class Assumption(Record):
    """A rate that a run was told to assume: ``pool_id`` pays ``apy`` on the day, whatever the market says.

    Everything else is as the market has it, the pool's history included.
    """

    pool_id: str
    name: str
    apy: float


class Approval(Record):
    """What a person said who was asked before the choice was final: the candidate proposed, and the one taken."""

    proposed: str
    chosen: str


class Recommendation(Record):
    """Everything about one decision. Nothing that it used lives anywhere else, save the market rows saved beside it.

    ``forecast_missing`` says why there is no ``forecast``; None where there is one. ``off`` names what was switched off
    (see ``agents.state.Switch``), ``requests`` what the plan asked of the tools, ``assumptions`` the rates that the run
    was told to assume, ``approval`` what a person said, None where nobody was asked. ``prompts_sha256`` is of the
    manifest of the prompts that a model was given, None where the embedded policy sat in its seat.
    """

    schema_version: str
    run_id: str
    created_at: str
    as_of: str
    question: str
    outcome: OutcomeKind
    reason: str
    mandate: Mandate
    off: list[str]
    assumptions: list[Assumption]
    approval: Approval | None
    market: MarketSummary | None
    plan: Plan | None
    requests: list[ToolRequest]
    candidates: list[Candidate]
    emptied: list[Emptied]
    conflicts: list[Conflict]
    infeasible: Infeasible | None
    limit_events: list[LimitEvent]
    protocols: list[ProtocolEvidence]
    choice: Choice | None
    forecast: Forecast | None
    forecast_missing: str | None
    alternatives: Alternatives | None
    derived: dict[str, Derived]
    rationale: Rationale
    flowchart: Flowchart
    trace: list[TraceStep]
    prompts_sha256: str | None
    usage: Usage


def canonical_json(value: Any) -> str:
    """Write plain data as canonical JSON: sorted keys, no spaces, UTF-8 kept; NaN and infinity raise ValueError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """Return the SHA-256 (hex) of the canonical JSON of plain data."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
