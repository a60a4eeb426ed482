"""The shape of a recommendation, written down a second time: which fields there are, of which type, in which bounds.

A field that is missing or of the wrong type makes the record unusable for recomputation; one that nobody knows is a
difference, because a figure could point to it, but does not stand in the way of the other checks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.verify.report import Findings, printable
from tools.verify.strict_json import escape

SCHEMA_VERSION = "1.3"
LARGEST = 1e30  # no figure of a record comes near; below it no arithmetic of the checks overflows

Shape = Callable[[Any, str, Findings], bool]
"""Checks the value at a pointer, notes differences, returns whether the value can be computed with."""


@dataclass(frozen=True)
class Fields:
    """An object with exactly these fields, and those of ``later`` where it was written since there are such."""

    fields: Mapping[str, Shape]
    later: Mapping[str, Shape] = field(default_factory=dict)

    def __call__(self, value: Any, pointer: str, findings: Findings) -> bool:
        """Check a value, as every ``Shape`` does."""
        if not isinstance(value, dict):
            return _wrong(value, pointer, "an object", findings)
        usable = True
        for name, shape in self.fields.items():
            if name not in value:
                usable = _wrong("nothing", f"{pointer}/{name}", "a value", findings)
            else:
                usable &= shape(value[name], f"{pointer}/{name}", findings)
        for name, shape in self.later.items():
            if name in value:
                usable &= shape(value[name], f"{pointer}/{name}", findings)
        for name in value:
            if name not in self.fields and name not in self.later:
                findings.at(
                    f"{pointer}/{escape(name)}", "is a field that no recommendation has", "no such field", value[name]
                )
        return usable


@dataclass(frozen=True)
class Listed:
    """A list of values of one shape."""

    of: Shape
    most: int = 1_000_000

    def __call__(self, value: Any, pointer: str, findings: Findings) -> bool:
        """Check a value, as every ``Shape`` does."""
        if not isinstance(value, list) or len(value) > self.most:
            return _wrong(value, pointer, f"a list of at most {self.most}", findings)
        good = [self.of(entry, f"{pointer}/{index}", findings) for index, entry in enumerate(value)]
        return all(good)


@dataclass(frozen=True)
class Mapped:
    """An object with free keys and values of one shape."""

    of: Shape

    def __call__(self, value: Any, pointer: str, findings: Findings) -> bool:
        """Check a value, as every ``Shape`` does."""
        if not isinstance(value, dict):
            return _wrong(value, pointer, "an object", findings)
        good = [self.of(entry, f"{pointer}/{escape(key)}", findings) for key, entry in value.items()]
        return all(good)


@dataclass(frozen=True)
class Optional:
    """Null, or a value of the shape."""

    of: Shape

    def __call__(self, value: Any, pointer: str, findings: Findings) -> bool:
        """Check a value, as every ``Shape`` does."""
        return value is None or self.of(value, pointer, findings)


@dataclass(frozen=True)
class OneOf:
    """One of these texts."""

    choices: tuple[str, ...]

    def __call__(self, value: Any, pointer: str, findings: Findings) -> bool:
        """Check a value, as every ``Shape`` does."""
        if isinstance(value, str) and value in self.choices:
            return True
        return _wrong(value, pointer, "one of " + ", ".join(self.choices), findings)


@dataclass(frozen=True)
class Matching:
    """A text of this pattern."""

    pattern: re.Pattern[str]
    meaning: str = field(default="a text of the right form")

    def __call__(self, value: Any, pointer: str, findings: Findings) -> bool:
        """Check a value, as every ``Shape`` does."""
        return (isinstance(value, str) and bool(self.pattern.fullmatch(value))) or _wrong(
            value, pointer, self.meaning, findings
        )


def text(value: Any, pointer: str, findings: Findings) -> bool:
    """Accept a string."""
    return isinstance(value, str) or _wrong(value, pointer, "a text", findings)


def number(value: Any, pointer: str, findings: Findings) -> bool:
    """Accept a number within all reasonable bounds."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST
    return good or _wrong(value, pointer, "a number", findings)


def count(value: Any, pointer: str, findings: Findings) -> bool:
    """Accept a whole number from 0 on."""
    good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST
    return good or _wrong(value, pointer, "a whole number from 0 on", findings)


def share(value: Any, pointer: str, findings: Findings) -> bool:
    """Accept a fraction from 0 to 1."""
    return number(value, pointer, findings) and (
        0.0 <= value <= 1.0 or _wrong(value, pointer, "a fraction from 0 to 1", findings)
    )


def magnitude(value: Any, pointer: str, findings: Findings) -> bool:
    """Accept a number from 0 on."""
    return number(value, pointer, findings) and (value >= 0.0 or _wrong(value, pointer, "a number from 0 on", findings))


def number_or_text(value: Any, pointer: str, findings: Findings) -> bool:
    """Accept a number or a string."""
    return isinstance(value, str) or number(value, pointer, findings)


def flag(value: Any, pointer: str, findings: Findings) -> bool:
    """Accept true or false."""
    return isinstance(value, bool) or _wrong(value, pointer, "true or false", findings)


def plain_value(value: Any, pointer: str, findings: Findings) -> bool:
    """Accept a value of a mandate: a number, a text, true or false, a list of texts."""
    return isinstance(value, bool) or (
        TEXTS(value, pointer, findings) if isinstance(value, list) else number_or_text(value, pointer, findings)
    )


def anything(value: Any, pointer: str, findings: Findings) -> bool:
    """Accept every value."""
    return True


def _wrong(value: Any, pointer: str, expected: str, findings: Findings) -> bool:
    findings.at(pointer, f"is {printable(value, 40)} instead of {expected}", expected, value)
    return False


DAY = Matching(re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"), "a date")
MOMENT = Matching(
    re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T[0-9:.]{8,15}(?:Z|\+00:00)"), "a moment in UTC"
)
SHA256 = Matching(re.compile(r"[0-9a-f]{64}"), "a SHA-256")
TEXTS = Listed(text)
OPTIONAL = Optional(number)

PROFILES = (
    "ultra_safe", "conservative_growth", "balanced_score", "balanced_apy", "growth",
    "aggressive_growth", "blue_chip", "maximum_yield", "high_risk",
)  # fmt: skip
METRICS = (
    "annual_return", "annual_volatility", "sharpe", "sortino", "max_drawdown", "var_95", "cvar_95", "calmar",
    "alpha", "beta", "skewness", "kurtosis", "omega", "weighted_apy", "total_tvl_usd", "pool_count", "portfolio_apy",
)  # fmt: skip
MAX_CLAIMS = 10_000
UNITS = ("percent", "bps", "percentage_points", "usd", "eth", "btc", "ratio", "count", "days", "date", "name")
PARTS = ("apy", "sharpe", "alpha", "beta", "volatility")
VIEWS = ("carry_only", "all_in")
METHODS = (
    "equal", "inverse_volatility", "risk_adjusted", "min_cvar", "risk_parity", "max_sharpe", "min_loss",
    "yield_less_loss", "net_yield",
)  # fmt: skip
DILUTION_MODELS = ("none", "shared", "square", "kinked")
FORECAST_METHODS = ("last", "ewma", "ar1", "arima", "lstm")
REASON_FIGURES = (
    "score", "net_apy", "apy", "apy_mean_30d", "apy_low", "sharpe", "alpha", "volatility", "expected_loss", "cvar_95",
    "loss_probability", "protocol_risk", "largest_protocol", "reward_share", "position_share", "independent_risks",
)  # fmt: skip
SWITCHES = (
    "intake_model", "plan_model", "decision_model", "prose_model", "data", "quant", "risk", "decision", "forecast",
    "sizing", "hazards",
)  # fmt: skip
RUNGS = ("json_schema", "tool_call", "json_mode", "text")
NODE_KINDS = ("protocol", "token", "issuer", "curator", "bridge", "chain", "oracle", "unknown")
MAX_NODES, MAX_LINKS = 1_000, 10_000

MANDATE = Fields(
    {
        "intent": OneOf(("recommend", "compare", "explain", "what_if", "out_of_scope")),
        "asset": Optional(OneOf(("ETH", "BTC", "USD"))),
        "amount": Optional(number),
        "amount_usd": Optional(number),
        "risk": OneOf(("low", "medium", "high")),
        "profile": Optional(OneOf(PROFILES)),
        "horizon_days": Optional(count),
        **dict.fromkeys(("chains_include", "chains_exclude", "protocols_include", "protocols_exclude"), TEXTS),
        **dict.fromkeys(("tokens_include", "tokens_exclude"), TEXTS),
        **dict.fromkeys(("min_tvl_usd", "min_apy", "max_weight"), Optional(number)),
        **dict.fromkeys(("min_pools", "max_pools"), Optional(count)),
        "allow_il": Optional(flag),
        **dict.fromkeys(("max_drawdown", "max_var_95"), Optional(number)),
        "notes": TEXTS,
    }
)
MARKET = Fields(
    {
        "source": text,
        "synthetic": flag,
        "snapshot_date": DAY,
        "snapshot_sha256": SHA256,
        **dict.fromkeys(("pools_total", "pools_screened", "pools_eligible"), count),
        **dict.fromkeys(("excluded", "ruled_out"), Mapped(count)),
        **dict.fromkeys(("gaps_filled", "spikes_dropped", "without_reward_split"), count),
        "risk_free": Fields({"rate": number, "source": text}),
        "price_usd": Optional(number),
        "price_source": Optional(text),
        "benchmark": text,
        "benchmark_pools": Listed(text, 5_000),
        "warnings": TEXTS,
    }
)
FEATURES = Fields(
    {
        **dict.fromkeys(("days", "spikes"), count),
        **dict.fromkeys(("apy_mean", "apy_volatility"), number),
        **dict.fromkeys(("apy_trend", "persistence", "reward_share", "tvl_change_30d", "tvl_worst_day"), OPTIONAL),
        **dict.fromkeys(("correlation_with_median", "exit_cost", "days_to_exit"), OPTIONAL),
        "missing": Mapped(text),
    }
)
AT_SIZE = Fields(
    {
        "model": OneOf(DILUTION_MODELS),
        "apy": OPTIONAL,
        **dict.fromkeys(("base_usd", "utilisation"), Optional(magnitude)),
        "basis": text,
        "reason": Optional(text),
    }
)
POOL = Fields(
    {
        **dict.fromkeys(("pool_id", "project", "family", "name", "chain", "symbol", "url"), text),
        **dict.fromkeys(("tokens", "issuers"), TEXTS),
        "weight": share,
        "apy": number,
        **dict.fromkeys(("apy_base", "apy_reward"), Optional(number)),
        **dict.fromkeys(("apy_mean_30d", "tvl_usd"), number),
        "share_of_pool": Optional(number),
        "at_size": AT_SIZE,
        "protocol_risk": share,
        "weakest_party": text,
        "apy_multiple": number,
        "trend": OneOf(("down", "not_down", "unknown")),
        "history_days": count,
        "features": FEATURES,
    }
)
NAMED_SHARE = Fields({"name": text, "share": number})
HAZARD = Fields(
    {
        **dict.fromkeys(("rate_low", "rate", "rate_high"), magnitude),
        **dict.fromkeys(("severity_low", "severity_high"), share),
        "basis": text,
        "sources": TEXTS,
    }
)
EXPOSURE = Fields(
    {
        "nodes": Listed(
            Fields(
                {
                    "id": text,
                    "kind": OneOf(NODE_KINDS),
                    "name": text,
                    "pools": count,
                    **dict.fromkeys(("look_through", "lost_if_fails"), share),
                    "hazard": Optional(HAZARD),
                    "expected_loss": magnitude,
                }
            ),
            MAX_NODES,
        ),
        "links": Listed(Fields({**dict.fromkeys(("source", "target"), text), "share": share}), MAX_LINKS),
        "effective_risks": number,
        "effective_by_kind": Mapped(number),
        "single_point": text,
    }
)
ALL_IN = Fields(
    {
        **dict.fromkeys(("horizon_days", "paths", "block_days", "seed"), count),
        "hazard_level": OneOf(("low", "central", "high")),
        **dict.fromkeys(("expected_loss", "expected_loss_low", "expected_loss_high"), magnitude),
        "event_probability": share,
        **dict.fromkeys(("gas_usd", "gas_cost", "exit_cost", "impermanent_loss"), Optional(magnitude)),
        "dilution": OPTIONAL,
        "cost_per_year": magnitude,
        "break_even_days": Optional(magnitude),
        **dict.fromkeys(("net_apy", "net_apy_low", "net_apy_high"), number),
        "volatility": magnitude,
        **dict.fromkeys(("sharpe", "alpha"), OPTIONAL),
        "mean_return": number,
        "standard_error": magnitude,
        "loss_probability": share,
        **dict.fromkeys(("var_95", "var_99", "cvar_95", "cvar_99", "evar_95"), number),
        "drawdown_95": share,
        "drawdown_curve": Listed(Fields(dict.fromkeys(("probability", "loss"), share)), 100),
        "histogram": Fields({"edges": Listed(number, 1_001), "counts": Listed(count, 1_000)}),
        "missing": Mapped(text),
    }
)
SHOCK = Fields({"loss": share, "loss_after": Optional(share), "channel": OneOf(("price", "custody"))})
STRESS = Fields(
    {
        **dict.fromkeys(("event", "title"), text),
        "date": DAY,
        "loss": share,
        "loss_after": Optional(share),
        "days_after": count,
        **dict.fromkeys(("hit", "sources"), TEXTS),
        "shocks": Mapped(SHOCK),
    }
)
RISK = Fields(
    {
        "basis": OneOf(("carry_only",)),
        **dict.fromkeys(("var_95", "cvar_95", "max_drawdown"), number),
        **dict.fromkeys(("protocol_risk_max", "protocol_risk_mean"), share),
        "risk_adjusted_apy": number,
        "reward_share": Optional(number),
        "reward_share_known_weight": share,
        "largest_weight": number,
        **dict.fromkeys(("largest_protocol", "largest_issuer", "largest_chain"), NAMED_SHARE),
        "largest_position_share": Optional(number),
        "smallest_history_days": count,
        "smallest_tvl_usd": number,
        "gate_view": OneOf(VIEWS),
        "all_in": ALL_IN,
        "exposure": EXPOSURE,
        "stress": Listed(STRESS, 100),
        **dict.fromkeys(("sharpe_probability", "deflated_sharpe"), Optional(share)),
        "trials": count,
        "missing": Mapped(text),
    }
)
GATE = Fields(
    {"rule": text, "limit": Optional(number_or_text), "value": Optional(number_or_text), "passed": flag, "tested": flag}
)
SCORE = Fields(
    {
        "total": number,
        "parts": Fields(dict.fromkeys(PARTS, number)),
        "raw": Fields(dict.fromkeys(PARTS, Optional(number))),
        "missing": TEXTS,
        "normalisation": text,
        "preset": text,
        "view": OneOf(VIEWS),
    }
)
OPTIMISATION = Fields(
    {
        "objective": text,
        "over": OneOf(("days", "years", "nothing")),
        **dict.fromkeys(("value", "bound", "gap", "rounded"), OPTIONAL),
        "binding": Listed(Fields({"limit": text, "price_bps": number}), 1_000),
        "drivers": Listed(Fields({"name": text, "probability": share}), 1_000),
        "window_shift": Optional(share),
        "note": Optional(text),
    }
)
CANDIDATE = Fields(
    {
        "id": text,
        "profile": OneOf(PROFILES),
        "method": OneOf(METHODS),
        **dict.fromkeys(("revised", "count_raised"), flag),
        "pools": Listed(POOL, 100),
        "optimisation": OPTIMISATION,
        "window": Fields({"first": DAY, "last": DAY, "days": count}),
        "metrics": Fields(dict.fromkeys(METRICS, Optional(number))),
        "metrics_missing": Mapped(text),
        **dict.fromkeys(("apy_mean_30d", "apy_low", "apy_high"), number),
        "risk": RISK,
        "gates": Listed(GATE, 100),
        "passed": flag,
        "score": SCORE,
    }
)
REASON = Fields(
    {
        "figure": OneOf(REASON_FIGURES),
        "pointer": text,
        **dict.fromkeys(("over", "against"), Optional(text)),
        "op": Optional(OneOf(("<", ">"))),
    }
)
CHOICE = Fields(
    {
        **dict.fromkeys(("candidate_id", "method", "reasons_by"), text),
        "reasons": Listed(REASON, 100),
        "amount": Optional(number),
        "pools": Listed(Fields({"pool_id": text, "weight": share, "amount": Optional(number)}), 100),
        "expected": Fields(
            {
                **dict.fromkeys(("income", "income_low", "income_high"), Optional(number)),
                "horizon_days": count,
                **dict.fromkeys(("apy", "apy_low", "apy_high", "net_apy"), number),
                "net_income": OPTIONAL,
            }
        ),
        "tripwires": Listed(
            Fields(
                {
                    "measure": text,
                    "value": OPTIONAL,
                    **dict.fromkeys(("reduce", "emergency"), number),
                    "state": OneOf(("normal", "reduce", "emergency")),
                }
            ),
            100,
        ),
        "emergency": Listed(Fields({"target": text, "share": share}), 100),
    }
)
UNSOLVED = Fields({"profile": OneOf(PROFILES), "method": OneOf(METHODS), "reason": text})
PLAN = Fields(
    {
        "objective": text,
        "methods": Listed(OneOf(METHODS), 100),
        "confidence": share,
        "loss_aversion": magnitude,
        **dict.fromkeys(("author", "why"), text),
        "unsolved": Listed(UNSOLVED, 1_000),
    },
    later={"prefers": OneOf(("net_apy",)), "least_weight": share},
)
REQUEST = Fields(
    {
        "agent": OneOf(("data", "quant", "risk")),
        "tool": OneOf(("screen", "optimise", "compare", "stress")),
        "arguments": Mapped(plain_value),
        "author": text,
        "results": Mapped(number),
        "no_effect": Optional(text),
    }
)
FORECAST_SCORE = Fields(
    {
        "method": OneOf(FORECAST_METHODS),
        **dict.fromkeys(("horizon_days", "series", "forecasts"), count),
        "ratio": magnitude,
        "p_value": Optional(share),
        "wins": share,
        "used": flag,
        "why": text,
    }
)
FORECAST = Fields(
    {
        "method": OneOf(FORECAST_METHODS),
        "horizon_days": count,
        **dict.fromkeys(("apy", "apy_low", "apy_high"), number),
        "level": share,
        "own": FORECAST_SCORE,
        "recorded": Listed(FORECAST_SCORE, 1_000),
    }
)
ALTERNATIVE = Fields(
    {"name": text, "apy": number, **dict.fromkeys(("income", "difference_bps", "net_difference_bps"), OPTIONAL)}
)
LIMIT_EVENT = Fields(
    {
        **dict.fromkeys(("rule", "subject"), text),
        "limit": Optional(number_or_text),
        **dict.fromkeys(("before", "after"), number),
        "action": OneOf(("capped", "sent_back", "rejected", "reduced", "emergency")),
    }
)
PROTOCOL = Fields(
    {
        **dict.fromkeys(("project", "family"), text),
        "risk": share,
        "components": Mapped(
            Fields(
                {
                    **dict.fromkeys(("score", "weight"), share),
                    "evidence": text,
                    "sources": TEXTS,
                    "known_since": Optional(DAY),
                }
            )
        ),
        "caps": Listed(Fields({"risk_at_least": share, "reason": text}), 100),
        "known": flag,
    }
)
TASK_USAGE = Fields(
    {
        "task": text,
        **dict.fromkeys(("calls", "input_tokens", "output_tokens"), count),
        "rung": Optional(OneOf(RUNGS)),
    }
)
FIGURE = Fields({"text": text, "start": count, "end": count, "pointer": text, "unit": OneOf(UNITS)})
CLAIM = Fields(
    {"start": count, "end": count, "left": text, "op": OneOf(("<", "<=", ">", ">=", "==", "!=")), "right": text}
)


INFEASIBLE = Fields(
    {
        "conflict": Listed(Fields({"field": text, "value": plain_value}), 100),
        "blame": OneOf(("limits", "risk", "amount", "risk_or_amount", "risk_and_amount", "market")),
        "smallest": flag,
        "ways_out": Listed(
            Fields(
                {
                    "kind": OneOf(("loosened", "removed", "bolder", "smaller")),
                    "field": text,
                    "before": plain_value,
                    "after": Optional(plain_value),
                    "relative_change": OPTIONAL,
                }
            ),
            100,
        ),
        "reason": Optional(text),
        "evaluations": count,
    }
)
ASSUMPTION = Fields({**dict.fromkeys(("pool_id", "name"), text), "apy": number})

RECOMMENDATION = Fields(
    {
        "schema_version": OneOf((SCHEMA_VERSION,)),
        "run_id": text,
        **dict.fromkeys(("created_at", "as_of"), MOMENT),
        "question": text,
        "outcome": OneOf(("choice", "no_feasible_strategy", "not_enough_data", "out_of_scope")),
        "reason": text,
        "mandate": MANDATE,
        "off": Listed(OneOf(SWITCHES), 100),
        "assumptions": Listed(ASSUMPTION, 100),
        "approval": Optional(Fields(dict.fromkeys(("proposed", "chosen"), text))),
        "market": Optional(MARKET),
        "plan": Optional(PLAN),
        "requests": Listed(REQUEST, 6),
        "candidates": Listed(CANDIDATE, 100),
        "emptied": Listed(
            Fields({"profile": OneOf(PROFILES), "rule": text, **dict.fromkeys(("pools_before", "pools_after"), count)})
        ),
        "conflicts": Listed(
            Fields({"rule": text, **dict.fromkeys(("limit", "nearest"), Optional(number_or_text)), "vetoed": count}),
            100,
        ),
        "infeasible": Optional(INFEASIBLE),
        "limit_events": Listed(LIMIT_EVENT, 10_000),
        "protocols": Listed(PROTOCOL, 1_000),
        "choice": Optional(CHOICE),
        "forecast": Optional(FORECAST),
        "forecast_missing": Optional(text),
        "alternatives": Optional(Fields(dict.fromkeys(("hold", "risk_free"), ALTERNATIVE))),
        "derived": Mapped(Fields({"value": number_or_text, "formula": text, "inputs": TEXTS})),
        "rationale": Fields(
            {
                "author": text,
                "refused": Optional(text),
                "markdown": text,
                "figures": Listed(FIGURE),
                "claims": Listed(CLAIM, MAX_CLAIMS),
            }
        ),
        "flowchart": Fields({"graph": Mapped(anything), "mermaid": text, "files": TEXTS}),
        "trace": Listed(
            Fields(
                {
                    "agent": text,
                    "step": count,
                    "tool": text,
                    **dict.fromkeys(("arguments_sha256", "result_sha256"), SHA256),
                    "seconds": number,
                }
            )
        ),
        "prompts_sha256": Optional(SHA256),
        "usage": Fields(
            {
                "model": text,
                **dict.fromkeys(("calls", "requests_refused", "cached", "input_tokens", "output_tokens"), count),
                "seconds": number,
                "rung": Optional(OneOf(RUNGS)),
                "tasks": Listed(TASK_USAGE, 1_000),
                "fallback": TEXTS,
            }
        ),
    }
)
