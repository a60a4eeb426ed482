"""A small run folder, made by hand: six pools, eighty days, three candidates, and a text with figures and claims.

It shares no code with the program: the figures come from numpy and scipy, straight from their definitions, so that what
the checker recomputes is compared with a third way of computing it.
"""

from __future__ import annotations

import copy
import datetime as dt
import gzip
import hashlib
import json
import math
import random
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import build_plan
import build_risk
import numpy as np
from scipy import stats

DAY = dt.date(2025, 2, 28)
DAYS = 80
AMOUNT = 500_000.0
RATE = 0.0421
QUESTION = "Where should I put 500,000 USDC for half a year at low risk?"
SCORE_WEIGHTS = {"apy": 0.70, "sharpe": 0.15, "alpha": 0.10, "beta": 0.05, "volatility": -0.10}
HORIZON = 180

# place in the id: project, chain, symbol, tokens, issuers, tvl, level and noise of the APY in percent, rewards, risk
POOLS = tuple(
    (f"aa000000-0000-4000-8000-00000000000{place}", *facts)
    for place, facts in {
        1: ("aave-v3", "Ethereum", "USDC", ["USDC"], ["Circle"], 1_370_000_000, 4.4, 0.3, 0.0, 0.11),
        2: ("compound-v3", "Base", "USDC", ["USDC"], ["Circle"], 61_500_000, 5.2, 0.6, 0.1, 0.14),
        3: ("sky-lending", "Ethereum", "SUSDS", ["SUSDS"], ["Sky"], 812_345_678, 6.1, 0.2, None, 0.18),
        4: (
            "curve-dex",
            "Ethereum",
            "USDC|T <3p>",
            ["USDC", "USDT"],
            ["Circle", "Tether"],
            23_456_789,
            7.3,
            1.5,
            0.4,
            0.22,
        ),
        5: ("aave-v3", "Arbitrum", "USDT", ["USDT"], ["Tether"], 154_000_001, 4.9, 0.5, 0.0, 0.11),
        6: ("fluid-lending", "Ethereum", "USDT", ["USDT"], ["Tether"], 98_765_432, 8.2, 0.9, 0.25, 0.31),
    }.items()
)
NAMES = {
    "aave-v3": "Aave v3",
    "compound-v3": "Compound v3",
    "sky-lending": "Sky",
    "curve-dex": "Curve",
    "fluid-lending": "Fluid",
}
FAMILIES = {
    "aave-v3": "aave",
    "compound-v3": "compound",
    "sky-lending": "sky",
    "curve-dex": "curve",
    "fluid-lending": "fluid",
}
# profile, method, pools by place, weights
CANDIDATES = (
    ("conservative_growth", "equal", (0, 1, 2, 4), (0.25, 0.25, 0.25, 0.25)),
    ("conservative_growth", "min_cvar", (0, 2, 4), None),  # what the caps and the days make of it
    ("balanced_apy", "inverse_volatility", (1, 2, 3, 5), (0.1511, 0.3489, 0.2, 0.3)),
)
EMPTIED = ("blue_chip", "balanced_score", "growth", "aggressive_growth", "maximum_yield", "high_risk")
LIMITS = {
    "max_weight": 0.40,
    "protocol_risk": 0.30,
    "position_share": 0.05,
    "protocol_share": 0.62,
    "issuer_share": 0.60,
    "reward_share": 0.50,
    "apy_multiple": 3.0,
    "var_95": 0.10,
    "cvar_95": 0.25,
    "max_drawdown": 0.15,
}


def build_inputs() -> dict[str, Any]:
    """Return the market rows of a run: six eligible pools, one too young, one of another asset."""
    random.seed(20250228)
    pools = [_pool_row(pool) for pool in POOLS]
    charts: dict[str, Any] = {pool[0]: _chart(pool[7], pool[8], DAYS) for pool in POOLS}
    young, other = "bb000000-0000-4000-8000-000000000007", "bb000000-0000-4000-8000-000000000008"
    pools.append(_row(young, "morpho", "Base", "USDC", 9.1, 9.1, None, 5_000_000))
    pools.append(_row(other, "lido", "Ethereum", "STETH", 3.1, 3.1, None, 9e9))
    charts[young] = _chart(9.0, 0.1, 20)
    del charts[POOLS[1][0]][30:32]  # a gap of two days
    charts[POOLS[3][0]][50]["apy"] = 480.0  # a spike
    charts[POOLS[4][0]].insert(41, {**charts[POOLS[4][0]][40], "apy": 4.8})  # a second row on one day: the last counts
    return {
        "as_of": DAY.isoformat(),
        "synthetic": False,
        "pools": sorted(pools, key=lambda row: row["pool"]),
        "charts": charts,
        "failed_charts": [],
        "hacks": [{"date": 1_678_665_600, "name": "Euler", "amount": 197_000_000}],
        "tables": {
            "rates/us_3_month_bill_monthly.csv": [{"month": "2025-01", "rate_percent": "4.21"}],
            "prices/none.csv": None,
            build_risk.LENDER_TABLE: build_risk.lender_rows(DAY),
        },
    }


def _pool_row(pool: tuple[Any, ...]) -> dict[str, Any]:
    pool_id, project, chain, symbol, _, _, tvl, level, noise, rewards, _ = pool
    apy = round(level + noise * random.uniform(-1, 1), 5)
    reward = None if rewards is None else round(apy * rewards, 5)
    base = None if rewards is None else round(apy - (reward or 0.0), 5)
    return _row(pool_id, project, chain, symbol, apy, base, reward, tvl)


def _row(*values: Any) -> dict[str, Any]:
    keys = ("pool", "project", "chain", "symbol", "apy", "apyBase", "apyReward", "tvlUsd")
    return {**dict(zip(keys, values, strict=True)), "poolMeta": None}


def _chart(level: float, noise: float, days: int) -> list[dict[str, Any]]:
    rows, apy = [], level
    for back in range(days - 1, -1, -1):
        apy = max(0.01, level + 0.8 * (apy - level) + noise * random.gauss(0, 1))
        stamp = f"{(DAY - dt.timedelta(days=back)).isoformat()}T23:03:56.553Z"
        rows.append({"timestamp": stamp, "apy": round(apy, 5), "apyBase": None, "apyReward": None, "tvlUsd": 1000})
    return rows


def daily_apys(inputs: dict[str, Any], pool_id: str) -> list[float]:
    """Return the pool's clean daily APYs over the eighty days, by hand: last row of a day, spike out, gaps filled."""
    by_day: dict[str, float] = {}
    for row in inputs["charts"][pool_id]:
        by_day[row["timestamp"][:10]] = row["apy"] / 100
    values: list[float] = []
    for back in range(DAYS - 1, -1, -1):
        value = by_day.get((DAY - dt.timedelta(days=back)).isoformat())
        values.append(values[-1] if value is None or value > 4 else value)
    return values


def metrics_of(returns: np.ndarray, benchmark: np.ndarray, rate: float) -> dict[str, float | None]:
    """Return the thirteen metrics with numpy and scipy; None where undefined."""
    days, theta = len(returns), (1 + rate) ** (1 / 365) - 1
    annual = float(np.prod(1 + returns) ** (365 / days) - 1)
    deviation = float(np.sqrt(np.mean(np.minimum(returns - theta, 0) ** 2)))
    wealth = np.concatenate([[1.0], np.cumprod(1 + returns)])
    drawdown = float(np.max(1 - wealth / np.maximum.accumulate(wealth)))
    losses = np.sort(-returns)
    tail = 0.05 * days
    whole = int(tail + 1e-9)
    worst = losses[::-1]
    losing = float(np.maximum(theta - returns, 0).sum())
    beta = float(np.cov(returns, benchmark, ddof=1)[0, 1] / np.var(benchmark, ddof=1))
    spread = float(np.std(returns, ddof=1))
    return {
        "annual_return": annual,
        "annual_volatility": spread * math.sqrt(365),
        "sharpe": float((returns.mean() - theta) / spread * math.sqrt(365)),
        "sortino": float((returns.mean() - theta) / deviation * math.sqrt(365)) if deviation else None,
        "max_drawdown": drawdown,
        "var_95": float(losses[math.ceil(0.95 * days - 1e-9) - 1]),
        "cvar_95": float((worst[:whole].sum() + (tail - whole) * worst[whole]) / tail),
        "calmar": annual / drawdown if drawdown else None,
        "alpha": float(365 * ((returns.mean() - theta) - beta * (benchmark.mean() - theta))),
        "beta": beta,
        "skewness": float(stats.skew(returns)),
        "kurtosis": float(stats.kurtosis(returns)),
        "omega": float(np.maximum(returns - theta, 0).sum()) / losing if losing else None,
    }


def build_record(inputs: dict[str, Any] | None = None, risk: str = "low") -> dict[str, Any]:
    """Return a complete recommendation about ``inputs``; for high risk in the view of carry alone."""
    inputs = inputs or build_inputs()
    rows = {row["pool"]: row for row in inputs["pools"]}
    apys = {pool[0]: np.array(daily_apys(inputs, pool[0])) for pool in POOLS}
    benchmark = np.median([(1 + series) ** (1 / 365) - 1 for series in apys.values()], axis=0)
    least = _least(apys)
    candidates = [_candidate(*spec, rows, apys, benchmark, least) for spec in CANDIDATES]
    for candidate, proof in zip(candidates, build_risk.sharpes([_returns(c, apys) for c in candidates]), strict=True):
        values = dict(zip(("sharpe_probability", "deflated_sharpe"), proof, strict=True))
        reasons = {name: "the daily ratio is above 1" for name, value in values.items() if value is None}
        candidate["risk"].update(values, trials=len(candidates), missing=reasons)
    for candidate in candidates:
        candidate["risk"]["gate_view"] = "carry_only" if risk == "high" else "all_in"
        candidate["gates"] = _gates(candidate, risk)
        candidate["passed"] = all(gate["passed"] for gate in candidate["gates"])
    _score(candidates)
    passed = [c for c in candidates if c["passed"]]
    chosen = max(passed, key=lambda c: c["score"]["total"])
    record: dict[str, Any] = {
        "schema_version": "1.3",
        "run_id": "2025-02-28-0123456789ab",
        "created_at": "2026-01-02T03:04:05Z",
        "as_of": "2025-02-28T23:59:59Z",
        "question": QUESTION,
        "outcome": "choice",
        "reason": "best score",
        "mandate": _mandate(risk),
        "off": [],
        "assumptions": [],
        "approval": None,
        "market": _market(inputs, rows),
        "plan": build_plan.plan(risk),
        "requests": [],
        "candidates": candidates,
        "emptied": [{"profile": name, "rule": "min_tvl", "pools_before": 6, "pools_after": 1} for name in EMPTIED],
        "conflicts": [],
        "infeasible": None,
        "limit_events": build_risk.limit_events(candidates, chosen),
        "protocols": build_risk.protocols(candidates),
        "choice": _choice(chosen, candidates),
        "forecast": None,
        "forecast_missing": "a forecast over 90 days needs 330 days that all pools have in common, and there are 80",
        "alternatives": _alternatives(chosen),
        "derived": {},
        "flowchart": {
            "graph": {
                "directed": True,
                "multigraph": False,
                "graph": {},
                "nodes": [{"id": "question"}, {"id": "choice"}],
                "edges": [{"source": "question", "target": "choice"}],
            },
            "mermaid": "flowchart LR\n  question --> choice\n",
            "files": ["flowchart.svg", "flowchart.png", "flowchart.mmd"],
        },
        "trace": [
            {
                "agent": "quant",
                "step": 1,
                "tool": "compute_metrics",
                "arguments_sha256": "a1" * 32,
                "result_sha256": "b2" * 32,
                "seconds": 0.0123,
            }
        ],
        "prompts_sha256": None,
        "usage": {
            "model": "policy",
            "calls": 2,
            "requests_refused": 0,
            "cached": 0,
            "input_tokens": 0,
            "output_tokens": 0,
            "seconds": 0.25,
            "rung": None,
            "tasks": [{"task": "read", "calls": 2, "input_tokens": 0, "output_tokens": 0, "rung": None}],
            "fallback": [],
        },
    }
    write_text(record, candidates.index(chosen))
    return record


def _mandate(risk: str) -> dict[str, Any]:
    lists = (
        "chains_include",
        "chains_exclude",
        "protocols_include",
        "protocols_exclude",
        "tokens_include",
        "tokens_exclude",
        "notes",
    )
    nothing = (
        "amount_usd",
        "profile",
        "min_tvl_usd",
        "min_apy",
        "max_weight",
        "min_pools",
        "max_pools",
        "allow_il",
        "max_drawdown",
        "max_var_95",
    )
    return {
        "intent": "recommend",
        "asset": "USD",
        "amount": AMOUNT,
        "risk": risk,
        "horizon_days": HORIZON,
        **{name: [] for name in lists},
        **dict.fromkeys(nothing),
    }


def _market(inputs: dict[str, Any], rows: dict[str, Any]) -> dict[str, Any]:
    canonical = json.dumps(inputs, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return {
        "source": "folder: market",
        "synthetic": False,
        "snapshot_date": DAY.isoformat(),
        "snapshot_sha256": hashlib.sha256(canonical.encode()).hexdigest(),
        "pools_total": len(rows),
        "pools_screened": 7,
        "pools_eligible": 6,
        "excluded": {"token_not_allowed": 1, "short_history": 1},
        "ruled_out": {},
        "gaps_filled": 3,
        "spikes_dropped": 1,
        "without_reward_split": 1,
        "risk_free": {"rate": RATE, "source": "3-month Treasury bill"},
        "price_usd": None,
        "price_source": None,
        "benchmark": "median daily return of the eligible pools",
        "benchmark_pools": [pool[0] for pool in POOLS],
        "warnings": [],
    }


def _candidate(
    profile: str,
    method: str,
    places: tuple[int, ...],
    weights: tuple[float, ...] | None,
    rows: dict[str, Any],
    apys: dict[str, np.ndarray],
    benchmark: np.ndarray,
    least: build_plan.Least,
) -> dict[str, Any]:
    weights = weights or tuple(least.weights)
    pools = [_pool(POOLS[place], weight, rows, apys) for place, weight in zip(places, weights, strict=True)]
    series = [apys[POOLS[place][0]] for place in places]
    returns = sum(weight * ((1 + apy) ** (1 / 365) - 1) for weight, apy in zip(weights, series, strict=True))
    _add_features(pools, apys)
    blended = sum(weight * apy for weight, apy in zip(weights, series, strict=True))
    metrics = metrics_of(np.asarray(returns), benchmark, RATE)
    tvl = sum(pool["tvl_usd"] for pool in pools)
    metrics["weighted_apy"] = sum(pool["tvl_usd"] * pool["apy"] for pool in pools) / tvl
    metrics["total_tvl_usd"] = float(tvl)
    metrics["pool_count"] = float(len(pools))
    metrics["portfolio_apy"] = sum(pool["weight"] * pool["apy"] for pool in pools)
    averages = [float(np.mean(np.asarray(blended)[end - 30 : end])) for end in range(30, DAYS + 1)]
    candidate = {
        "id": f"{profile}.{method}",
        "profile": profile,
        "method": method,
        "revised": False,
        "count_raised": False,
        "pools": pools,
        "optimisation": build_plan.optimisation(method, least, metrics["cvar_95"] or 0.0, DAY),
        "window": {"first": (DAY - dt.timedelta(days=DAYS - 1)).isoformat(), "last": DAY.isoformat(), "days": DAYS},
        "metrics": metrics,
        "metrics_missing": {name: "drawdown is zero" for name, value in metrics.items() if value is None},
        "apy_mean_30d": averages[-1],
        "apy_low": min([*averages, metrics["portfolio_apy"]]),
        "apy_high": max([*averages, metrics["portfolio_apy"]]),
    }
    candidate["risk"] = _risk(candidate, np.asarray(returns))
    return candidate


def _least(apys: dict[str, np.ndarray]) -> build_plan.Least:
    pools = [POOLS[place] for place in CANDIDATES[1][2]]
    returns = np.column_stack([(1 + apys[pool[0]]) ** (1 / 365) - 1 for pool in pools])
    families = [FAMILIES[pool[1]] for pool in pools]
    most, of_family = LIMITS["max_weight"], LIMITS["protocol_share"]
    return build_plan.least_cvar(returns, [pool[0] for pool in pools], families, most, of_family)


def _returns(candidate: dict[str, Any], apys: dict[str, np.ndarray]) -> np.ndarray:
    parts = [pool["weight"] * ((1 + apys[pool["pool_id"]]) ** (1 / 365) - 1) for pool in candidate["pools"]]
    return np.asarray(sum(parts))


def _add_features(pools: list[dict[str, Any]], apys: dict[str, np.ndarray]) -> None:
    medians = np.median(list(apys.values()), axis=0)
    for pool in pools:
        pool["features"] = build_risk.features(pool, apys[pool["pool_id"]], medians)
        pool["at_size"] = build_risk.at_size(pool, AMOUNT)


def _pool(pool: tuple[Any, ...], weight: float, rows: dict[str, Any], apys: dict[str, np.ndarray]) -> dict[str, Any]:
    pool_id, project, chain, symbol, tokens, issuers, tvl, _, _, _, risk = pool
    row = rows[pool_id]
    shown = symbol.replace("|", " ").replace("<", "").replace(">", "")
    return {
        "pool_id": pool_id,
        "project": project,
        "family": FAMILIES[project],
        "name": f"{NAMES[project]} {shown}, {chain}",
        "chain": chain,
        "symbol": shown,
        "url": f"https://defillama.com/yields/pool/{pool_id}",
        "tokens": tokens,
        "issuers": issuers,
        "weight": weight,
        "apy": round(row["apy"] / 100, 12),
        "apy_base": None if row["apyBase"] is None else round(row["apyBase"] / 100, 12),
        "apy_reward": None if row["apyReward"] is None else round(row["apyReward"] / 100, 12),
        "apy_mean_30d": float(np.mean(apys[pool_id][-30:])),
        "tvl_usd": float(tvl),
        "share_of_pool": weight * AMOUNT / tvl,
        "protocol_risk": risk,
        "weakest_party": "Someone",
        "apy_multiple": row["apy"] / 100 / float(np.median([series[-1] for series in apys.values()])),
        "trend": "not_down",
        "history_days": DAYS,
    }


def _largest(pools: list[dict[str, Any]], key: str) -> dict[str, Any]:
    shares: dict[str, float] = {}
    for pool in pools:
        names = [pool[key]] if isinstance(pool[key], str) else pool[key]
        for name in names:
            shares[name] = shares.get(name, 0.0) + pool["weight"] / (len(names) if key == "issuers" else 1)
    name = max(sorted(shares), key=lambda n: shares[n])
    return {"name": name, "share": shares[name]}


def _risk(candidate: dict[str, Any], returns: np.ndarray) -> dict[str, Any]:
    pools, metrics = candidate["pools"], candidate["metrics"]
    exposure = build_risk.exposure(pools)
    split = [pool for pool in pools if pool["apy_base"] is not None]
    return {
        "basis": "carry_only",
        **{name: metrics[name] for name in ("var_95", "cvar_95", "max_drawdown")},
        "protocol_risk_max": max(pool["protocol_risk"] for pool in pools),
        "protocol_risk_mean": sum(pool["weight"] * pool["protocol_risk"] for pool in pools),
        "risk_adjusted_apy": sum(pool["weight"] * pool["apy"] * (1 - pool["protocol_risk"]) for pool in pools),
        "reward_share": sum(p["weight"] * p["apy_reward"] for p in split) / sum(p["weight"] * p["apy"] for p in split),
        "reward_share_known_weight": sum(pool["weight"] for pool in split),
        "largest_weight": max(pool["weight"] for pool in pools),
        "largest_protocol": _largest(pools, "family"),
        "largest_issuer": _largest(pools, "issuers"),
        "largest_chain": _largest(pools, "chain"),
        "largest_position_share": max(pool["share_of_pool"] for pool in pools),
        "smallest_history_days": DAYS,
        "smallest_tvl_usd": min(pool["tvl_usd"] for pool in pools),
        "all_in": build_risk.all_in({**candidate, "exposure": exposure}, returns, AMOUNT, HORIZON, RATE),
        "exposure": exposure,
        "stress": build_risk.stress(exposure, pools),
    }


def _gates(candidate: dict[str, Any], level: str) -> list[dict[str, Any]]:
    risk = candidate["risk"]
    allowed = level != "low" or candidate["profile"] == "conservative_growth"
    losses = {
        "var_95": risk["all_in"]["var_95"],
        "cvar_95": risk["all_in"]["cvar_95"],
        "max_drawdown": risk["all_in"]["drawdown_95"],
    }
    if level == "high":
        losses = {name: risk[name] for name in losses}
    values = {
        "protocol_risk": risk["protocol_risk_max"],
        "position_share": risk["largest_position_share"],
        "max_weight": risk["largest_weight"],
        "protocol_share": risk["largest_protocol"]["share"],
        "issuer_share": risk["largest_issuer"]["share"],
        "reward_share": risk["reward_share"],
        "apy_multiple": max(pool["apy_multiple"] for pool in candidate["pools"]),
        **losses,
    }
    gates = [
        {
            "rule": "profile_risk",
            "limit": level,
            "value": "low" if candidate["profile"] == "conservative_growth" else "medium",
            "passed": allowed,
            "tested": True,
        }
    ]
    gates += [
        {"rule": r, "limit": LIMITS[r], "value": v, "passed": v <= LIMITS[r], "tested": True} for r, v in values.items()
    ]
    for gate in gates:
        unknown = gate["rule"] == "reward_share" and risk["reward_share_known_weight"] < 1 - 1e-9
        if unknown or (level == "high" and gate["rule"] in losses):
            gate["tested"] = not gate["passed"]
    gates.append({"rule": "history_days", "limit": 60.0, "value": float(DAYS), "passed": True, "tested": True})
    return gates


def _score(candidates: list[dict[str, Any]]) -> None:
    raw = [
        {
            "apy": c["risk"]["all_in"]["net_apy"],
            "beta": c["metrics"]["beta"],
            **{part: c["risk"]["all_in"][part] for part in ("sharpe", "alpha", "volatility")},
        }
        for c in candidates
    ]
    for part, weight in SCORE_WEIGHTS.items():
        values = [-abs(entry[part] - 1) if part == "beta" else entry[part] for entry in raw]
        ranks = (stats.rankdata(values) - 1) / (len(values) - 1)
        for candidate, entry, rank in zip(candidates, raw, ranks, strict=True):
            score = candidate.setdefault(
                "score",
                {
                    "total": 0.0,
                    "parts": {},
                    "raw": entry,
                    "missing": [],
                    "normalisation": "rank",
                    "preset": "neutral",
                    "view": "all_in",
                },
            )
            score["parts"][part] = weight * float(rank)
            score["total"] = sum(score["parts"].values())


def _income(apy: float) -> float:
    return AMOUNT * ((1 + apy) ** (HORIZON / 365) - 1)


def _net_income(all_in: dict[str, Any]) -> float:
    costs = all_in["cost_per_year"]
    return _income(all_in["net_apy"] + costs) - AMOUNT * costs * HORIZON / 365


def _reasons(chosen: dict[str, Any], candidates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one reason that compares with another candidate that passed, where there is one, and one that does not."""
    mine = f"/candidates/{candidates.index(chosen)}"
    found = [{"figure": "apy_low", "pointer": f"{mine}/apy_low", "over": None, "op": None, "against": None}]
    for place, other in enumerate(candidates):
        if other is not chosen and other["passed"]:
            path = "/score/total"
            against = {"over": other["id"], "op": ">", "against": f"/candidates/{place}{path}"}
            return [{"figure": "score", "pointer": mine + path, **against}, *found]
    return found


def _choice(chosen: dict[str, Any], candidates: list[dict[str, Any]]) -> dict[str, Any]:
    apy = chosen["metrics"]["portfolio_apy"]
    return {
        "candidate_id": chosen["id"],
        "method": chosen["method"],
        "reasons": _reasons(chosen, candidates),
        "reasons_by": "policy",
        "amount": AMOUNT,
        "pools": [
            {"pool_id": p["pool_id"], "weight": p["weight"], "amount": p["weight"] * AMOUNT} for p in chosen["pools"]
        ],
        "expected": {
            "income": _income(apy),
            "income_low": _income(chosen["apy_low"]),
            "income_high": _income(chosen["apy_high"]),
            "horizon_days": HORIZON,
            "apy": apy,
            "apy_low": chosen["apy_low"],
            "apy_high": chosen["apy_high"],
            "net_apy": chosen["risk"]["all_in"]["net_apy"],
            "net_income": _net_income(chosen["risk"]["all_in"]),
        },
        "tripwires": build_risk.tripwires(chosen),
        "emergency": [{"target": "Treasury bills", "share": 0.7}, {"target": "USDC", "share": 0.3}],
    }


def _alternatives(chosen: dict[str, Any]) -> dict[str, Any]:
    apy, net = chosen["metrics"]["portfolio_apy"], chosen["risk"]["all_in"]["net_apy"]
    rates = {"hold": ("hold USD", 0.0), "risk_free": ("3-month Treasury bill", RATE)}
    return {
        key: {
            "name": name,
            "apy": rate,
            "income": _income(rate),
            "difference_bps": (apy - rate) * 10_000,
            "net_difference_bps": (net - rate) * 10_000,
        }
        for key, (name, rate) in rates.items()
    }


# --- the text


class Text:
    """Collects a text with its figures and claims."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.record, self.markdown = record, ""
        self.figures: list[dict[str, Any]] = []
        self.claims: list[dict[str, Any]] = []

    def say(self, words: str) -> Text:
        """Add plain words."""
        self.markdown += words
        return self

    def show(self, pointer: str, unit: str, digits: int = 2) -> Text:
        """Add a figure."""
        value = self.record
        for step in pointer.split("/")[1:]:
            value = value[int(step)] if isinstance(value, list) else value[step]
        shown = written(value, unit, digits)
        start = len(self.markdown)
        self.figures.append(
            {"text": shown, "start": start, "end": start + len(shown), "pointer": pointer, "unit": unit}
        )
        return self.say(shown)

    def claim(self, words: str, left: str, op: str, right: str) -> Text:
        """Add a comparison."""
        start = len(self.markdown)
        self.claims.append({"start": start, "end": start + len(words), "left": left, "op": op, "right": right})
        return self.say(words)


def written(value: Any, unit: str, digits: int) -> str:
    """Write a value, rounded half to even."""
    if unit in ("name", "date"):
        return str(value)[:10] if unit == "date" else value
    exact = Decimal(repr(value)) * (100 if unit in ("percent", "percentage_points") else 1)
    digits = 0 if unit in ("count", "days", "bps") else digits
    text = f"{exact.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_EVEN):,}"
    return {"percent": f"{text}%", "usd": f"${text}".replace("$-", "-$")}.get(unit, text)


def write_text(record: dict[str, Any], index: int) -> None:
    """Write derived figures and the rationale of a record with a choice."""
    c = f"/candidates/{index}"
    own, bill = f"{c}/metrics/portfolio_apy", "/alternatives/risk_free/apy"
    record["derived"] = {
        "candidates": {"value": len(record["candidates"]), "formula": "len(a)", "inputs": ["/candidates"]},
        "edge": {
            "value": record["alternatives"]["risk_free"]["difference_bps"] / 10_000,
            "formula": "a / 10000",
            "inputs": ["/alternatives/risk_free/difference_bps"],
        },
        "passed": {
            "value": sum(x["passed"] for x in record["candidates"]),
            "formula": "count(pluck(a, 'passed'), True)",
            "inputs": ["/candidates"],
        },
        "largest": {
            "value": max(p["weight"] for p in record["candidates"][index]["pools"]),
            "formula": "max(pluck(a, 'weight'))",
            "inputs": [f"{c}/pools"],
        },
        "day": {"value": DAY.isoformat(), "formula": "date(a)", "inputs": ["/as_of"]},
    }
    text = (
        Text(record)
        .say("# Hold ")
        .show(f"{c}/metrics/pool_count", "count")
        .say(" pools with ")
        .show("/choice/amount", "usd", 0)
    )
    text.say("\n\nExpect ").show("/choice/expected/income", "usd", 0).say(" over ").show(
        "/choice/expected/horizon_days", "days"
    ).say(" days, ")
    text.show(own, "percent").say(" a year: ").show("/alternatives/risk_free/difference_bps", "bps").say(
        " basis points "
    )
    text.claim("more than the bill", own, ">", bill).say(" at ").show(bill, "percent").say(" (").show(
        "/derived/edge/value", "percentage_points"
    ).say(" percentage points).\n\n")
    text.say("| pool | weight | amount | APY | share |\n|---|---|---|---|---|\n")
    for place in range(len(record["candidates"][index]["pools"])):
        p = f"{c}/pools/{place}"
        text.say("| ").show(f"{p}/name", "name").say(" | ").show(f"{p}/weight", "percent").say(" | ").show(
            f"/choice/pools/{place}/amount", "usd", 0
        )
        text.say(" | ").show(f"{p}/apy", "percent").say(" | ").show(f"{p}/share_of_pool", "percent", 3).say(" |\n")
    text.say("\n1. The score is ").show(f"{c}/score/total", "ratio").say("; ").show(
        "/derived/passed/value", "count"
    ).say(" of ")
    text.show("/derived/candidates/value", "count").say(" candidates passed on ").show("/derived/day/value", "date")
    text.say(".\n2. The ").claim("largest weight", "/derived/largest/value", "==", f"{c}/risk/largest_weight").say(
        " is "
    ).show("/derived/largest/value", "percent", 0)
    text.say(", at a daily VaR of ").show(f"{c}/metrics/var_95", "percent", 4).say(".\n3. The pools hold ").show(
        f"{c}/metrics/total_tvl_usd", "usd", 0
    ).say(" in all.\n")
    record["rationale"] = {
        "author": "policy",
        "refused": None,
        "markdown": text.markdown,
        "figures": text.figures,
        "claims": text.claims,
    }


# --- the folder


def save(folder: Path, record: dict[str, Any], inputs: dict[str, Any] | None = None) -> Path:
    """Write a run folder with its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    inputs = inputs or build_inputs()
    packed = gzip.compress(
        json.dumps(inputs, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(), mtime=0
    )
    contents = {
        "recommendation.json": as_json(record),
        "rationale.md": record["rationale"]["markdown"].encode(),
        "flowchart.svg": b"<svg/>",
        "flowchart.png": b"\x89PNG",
        "flowchart.mmd": record["flowchart"]["mermaid"].encode(),
        "inputs.json.gz": packed,
        "request.json": as_json(
            {
                "question": QUESTION,
                "created_at": "2026-01-02T03:04:05Z",
                "preset": "neutral",
                "model": "policy",
                "seed": 0,
                "hazard": "central",
                "hazard_rates": {},
            }
        ),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    rehash(folder)
    return folder


def as_json(value: Any) -> bytes:
    """Write JSON as a run folder holds it."""
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def rehash(folder: Path) -> None:
    """Write the manifest of what is in the folder now, as a forger would."""
    hashes = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.name != "manifest.json"
    }
    (folder / "manifest.json").write_bytes(as_json({"files": hashes}))


def without_choice(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record turned into one without a feasible strategy: a limit that no candidate meets."""
    record = copy.deepcopy(record)
    values = []
    for candidate in record["candidates"]:
        gate = next(gate for gate in candidate["gates"] if gate["rule"] == "protocol_risk")
        gate.update(limit=0.05, passed=False)
        values.append(gate["value"])
        candidate["passed"] = False
    record.update(outcome="no_feasible_strategy", choice=None, derived={})
    for alternative in record["alternatives"].values():
        alternative.update(difference_bps=None, net_difference_bps=None)
    record["limit_events"] = build_risk.limit_events(record["candidates"], None)
    failed = [c for c in record["candidates"] if not c["gates"][0]["passed"]]
    record["conflicts"] = [{"rule": "protocol_risk", "limit": 0.05, "nearest": min(values), "vetoed": len(values)}]
    record["conflicts"] += (
        [{"rule": "profile_risk", "limit": "low", "nearest": "medium", "vetoed": len(failed)}] if failed else []
    )
    text = (
        Text(record)
        .say("**No strategy passes your limits.** Allowed is a risk of ")
        .show("/conflicts/0/limit", "ratio")
    )
    text.say(", the nearest came to ").show("/conflicts/0/nearest", "ratio").say("; ").show(
        "/conflicts/0/vetoed", "count"
    ).say(" fail.\n")
    record["rationale"].update(markdown=text.markdown, figures=text.figures, claims=text.claims)
    return record
