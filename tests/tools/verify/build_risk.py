"""The risk part of the hand-made record: exposures, hazards, costs, a simulated tail, replays, scores of protocols.

As in ``build_run``, figures come from numpy and scipy straight from their definitions; random numbers are others too.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
from typing import Any

import numpy as np
from scipy import optimize, stats

PATHS, BLOCK_DAYS, HORIZON_DAYS = 100_000, 30, 365
EXCEEDED_WITH = (0.5, 0.2, 0.1, 0.05, 0.025, 0.01, 0.005, 0.001)
GAS_USD = 37.5
TOGETHER = {"oracle": 0.25, "chain": 0.25}

# node → what it hangs on, with the share; a pool hangs on its family, its chain, its tokens and what else stands here.
BELOW: dict[str, dict[str, float]] = {
    "token:USDC": {"issuer:Circle": 1.0},
    "token:USDT": {"issuer:Tether": 1.0},
    "token:SUSDS": {"protocol:sky": 1.0, "token:USDC": 0.3},
    "protocol:fluid": {"oracle:Chainlink": 1.0},
    "protocol:compound": {"oracle:Chainlink": 1.0},
    "protocol:aave": {"oracle:Chainlink": 1.0},
}
OF_PROJECT = {"fluid-lending": {"curator:Someone": 0.5}, "curve-dex": {"unknown:oracle": 1.0}}
NAMES = {
    "protocol:aave": "Aave",
    "protocol:compound": "Compound",
    "protocol:sky": "Sky",
    "protocol:curve": "Curve",
    "protocol:fluid": "Fluid",
    "unknown:oracle": "unknown oracle",
}
# rates a year (low, central, high), severity from and to
HAZARDS: dict[str, tuple[float, float, float, float, float]] = {
    "protocol:aave": (0.001, 0.004, 0.01, 0.1, 0.6),
    "protocol:compound": (0.002, 0.006, 0.013, 0.1, 0.6),
    "protocol:sky": (0.002, 0.007, 0.015, 0.2, 0.8),
    "protocol:curve": (0.004, 0.011, 0.02, 0.1, 0.7),
    "protocol:fluid": (0.005, 0.014, 0.03, 0.1, 0.9),
    "token:USDC": (0.003, 0.011, 0.02, 0.01, 0.12),
    "token:USDT": (0.004, 0.012, 0.02, 0.01, 0.15),
    "issuer:Circle": (0.0005, 0.002, 0.006, 0.05, 0.5),
    "issuer:Tether": (0.001, 0.004, 0.009, 0.05, 0.7),
    "curator:Someone": (0.003, 0.01, 0.03, 0.05, 0.4),
    "chain:Base": (0.001, 0.003, 0.008, 0.05, 0.5),
    "chain:Arbitrum": (0.001, 0.003, 0.008, 0.05, 0.5),
    "unknown:oracle": (0.002, 0.008, 0.03, 0.05, 0.5),
}
# event, title, date, days after, falls at the worst and after
EVENTS: tuple[tuple[str, str, str, int, dict[str, float], dict[str, float] | None], ...] = (
    ("ust-2022", "UST loses its peg", "2022-05-09", 30, {"token:USDT": 0.05}, {"token:USDT": 0.001}),
    ("usdc-2023", "USDC loses its bank", "2023-03-10", 3, {"token:USDC": 0.12, "issuer:Circle": 0.12}, None),
    (
        "aave-2024",
        "A bad day at Aave",
        "2024-12-01",
        10,
        {"protocol:aave": 0.07, "token:USDT": 0.01},
        {"protocol:aave": 0.02, "token:USDT": 0.0},
    ),
    ("nothing-2024", "Something else", "2024-01-05", 5, {"token:OTHER": 0.9}, {"token:OTHER": 0.9}),
)
CHANNELS = {"token": "price", "issue": "price", "proto": "custody"}
COMPONENTS = {"tvl": (0.30, 0.97), "audits": (0.40, 0.95), "community": (0.15, 0.8), "technical": (0.15, 0.8)}


# --- features --------------------------------------------------------------------------------------------------------


def features(pool: dict[str, Any], apys: np.ndarray, medians: np.ndarray) -> dict[str, Any]:
    """Return the features of a pool whose TVL never moves, from its clean APYs and the market's median of each day."""
    recent = apys[-30:]
    slopes = [(recent[j] - recent[i]) / (j - i) for i in range(len(recent)) for j in range(i + 1, len(recent))]
    centred = apys - apys.mean()
    spikes = sum(
        apys[day] >= 3 * np.median(apys[day - 30 : day]) and apys[day] >= np.median(apys[day - 30 : day]) + 0.01
        for day in range(30, len(apys))
    )
    share, tokens = pool["share_of_pool"], len(pool["tokens"])
    split = pool["apy_base"] is not None or pool["apy_reward"] is not None
    found: dict[str, Any] = {
        "days": len(apys),
        "apy_mean": float(apys.mean()),
        "apy_volatility": float(apys.std(ddof=1)),
        "apy_trend": 30 * float(np.median(slopes)),
        "persistence": float((centred[1:] * centred[:-1]).sum() / (centred**2).sum()),
        "spikes": int(spikes),
        "reward_share": (pool["apy_reward"] or 0.0) / pool["apy"] if split else None,
        "tvl_change_30d": 0.0,
        "tvl_worst_day": 0.0,
        "correlation_with_median": float(np.corrcoef(np.diff(apys), np.diff(medians))[0, 1]),
        # Of two tokens one is swapped, and moves the price against itself: the less, the closer both keep to their peg.
        "exit_cost": 0.0 if tokens == 1 else 0.13 * share / 2,
        "days_to_exit": share / 0.10,
    }
    found["missing"] = {name: "the feed does not say" for name, value in found.items() if value is None}
    return found


# --- size ------------------------------------------------------------------------------------------------------------

MODELS = {"sky-lending": "none", "curve-dex": "shared"}
LENDER_TABLE = "rates/aave_v3_ethereum_usdc_subgraph_daily.csv"
SLOPE, KINK, STEEP, SUPPLIED = 0.065, 0.92, 0.6, 21_000_000_000.0


def lender_rows(day: dt.date) -> list[dict[str, str]]:
    """Return forty days of a lender whose borrow rate has two slopes, and whose suppliers get nine tenths of it."""
    rows = []
    for back in range(39, -1, -1):
        used = 0.935 - 0.0035 * ((7 * back) % 30)
        rate = SLOPE * min(used, KINK) + STEEP * max(0.0, used - KINK)
        rows.append(
            {
                "date": (day - dt.timedelta(days=back)).isoformat(),
                "totalDepositBalanceUSD": str(SUPPLIED + 1e6 * back),
                "X_Aave_Utilization": str(used),
                "Y_Aave_APY": str(90 * used * rate),
                "X_Variable_Borrow_APY": str(100 * rate),
            }
        )
    return rows


def at_size(pool: dict[str, Any], amount: float) -> dict[str, Any]:
    """Return what a pool pays with the position in it: by a lender's table for one of them."""
    base = pool["apy"] if pool["apy_base"] is None else pool["apy_base"]
    model, before, used = MODELS.get(pool["project"], "square"), pool["tvl_usd"], None
    deposit = pool["weight"] * amount
    if (pool["project"], pool["chain"]) == ("aave-v3", "Ethereum"):
        model, before, used = "kinked", SUPPLIED, 0.935
        now = used * SUPPLIED / (SUPPLIED + deposit)
        share = now * (SLOPE * min(now, KINK) + STEEP * max(0.0, now - KINK))
        share /= used * (SLOPE * KINK + STEEP * (used - KINK))
    else:
        share = (before / (before + deposit)) ** {"none": 0, "shared": 1, "square": 2}[model]
    rewards = (pool["apy"] - base) * before / (before + deposit)
    return {
        "model": model,
        "apy": base * share + rewards,
        "base_usd": before,
        "utilisation": used,
        "basis": "made by hand",
        "reason": None,
    }


# --- exposure --------------------------------------------------------------------------------------------------------


def links_of(pool: dict[str, Any]) -> dict[str, float]:
    """Return what a pool hangs on itself."""
    tokens = {f"token:{token}": 1.0 / len(pool["tokens"]) for token in pool["tokens"]}
    return {
        f"protocol:{pool['family']}": 1.0,
        f"chain:{pool['chain']}": 1.0,
        **tokens,
        **OF_PROJECT.get(pool["project"], {}),
    }


def reached(links: dict[str, float]) -> dict[str, float]:
    """Return how far a thing with these links is a claim on each node: of wholes the largest, of slices the sum."""
    whole: dict[str, float] = {}
    slices: dict[str, float] = {}
    for target, share in links.items():
        for node, claim in {target: 1.0, **reached(BELOW.get(target, {}))}.items():
            kept = whole if share == 1.0 else slices
            kept[node] = max(kept.get(node, 0.0), claim) if share == 1.0 else kept.get(node, 0.0) + share * claim
    return {node: min(1.0, max(whole.get(node, 0.0), slices.get(node, 0.0))) for node in {**whole, **slices}}


def exposure(pools: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the pools hang on."""
    weights = np.array([pool["weight"] for pool in pools])
    look = [reached(links_of(pool)) for pool in pools]
    lost = [reached(dict.fromkeys(links_of(pool), 1.0)) for pool in pools]
    names = sorted(set().union(*lost))
    table = np.array([[own.get(name, 0.0) for name in names] for own in lost])
    nodes = [_node(name, weights, look, table[:, place]) for place, name in enumerate(names)]
    nodes.sort(key=lambda node: (-node["lost_if_fails"], node["kind"] == "token", -node["expected_loss"], node["id"]))
    links = {(f"pool:{pool['pool_id']}", target): s for pool in pools for target, s in links_of(pool).items()}
    links |= {(node, target): s for node in names for target, s in BELOW.get(node, {}).items()}
    direct = [set(links_of(pool)) for pool in pools]
    kinds = {
        kind: np.array([[float(name in own) for name in names if name.startswith(kind)] for own in direct])
        for kind in ("protocol", "token", "chain")
    }
    issuers = [n for n, name in enumerate(names) if name.startswith("issuer") or name == "protocol:sky"]
    kinds["issuer"] = table[:, [n for n in issuers if names[n] != "protocol:sky" or "token:SUSDS" in names]]
    together = np.array([0.05 if n == "chain:Ethereum" else TOGETHER.get(_kind(n), 1.0) for n in names])
    return {
        "nodes": nodes,
        "links": [
            {"source": source, "target": target, "share": links[source, target]} for source, target in sorted(links)
        ],
        "effective_risks": _effective(weights, table, together),
        "effective_by_kind": {kind: _effective(weights, marks) for kind, marks in kinds.items()},
        "single_point": next(node["id"] for node in nodes if _kind(node["id"]) not in ("chain", "oracle")),
    }


def _kind(node: str) -> str:
    kind, name = node.split(":")
    return name if kind == "unknown" else kind


def _node(name: str, weights: np.ndarray, look: list[dict[str, float]], lost: np.ndarray) -> dict[str, Any]:
    share, hazard = float(weights @ lost), None
    if name in HAZARDS:
        rates, severity = HAZARDS[name][:3], HAZARDS[name][3:]
        hazard = {
            **dict(zip(("rate_low", "rate", "rate_high"), rates, strict=True)),
            **dict(zip(("severity_low", "severity_high"), severity, strict=True)),
            "basis": "made by hand",
            "sources": ["nowhere"],
        }
    loss = share * hazard["rate"] * (hazard["severity_low"] + hazard["severity_high"]) / 2 if hazard else 0.0
    return {
        "id": name,
        "kind": name.split(":")[0],
        "name": NAMES.get(name, name.split(":")[1]),
        "pools": int((lost > 0).sum()),
        "look_through": min(1.0, float(weights @ [own.get(name, 0.0) for own in look])),
        "lost_if_fails": min(1.0, share),
        "hazard": hazard,
        "expected_loss": loss,
    }


def _effective(weights: np.ndarray, marks: np.ndarray, together: np.ndarray | None = None) -> float:
    rows = marks.any(axis=1)
    marks, weights = marks[rows], weights[rows]
    shared = np.minimum(marks[:, None, :], marks[None, :, :]) * (1.0 if together is None else together)
    similarity = shared.max(axis=2)
    np.fill_diagonal(similarity, 1.0)
    return float(weights.sum() ** 2 / (weights @ similarity @ weights))


# --- all-in ----------------------------------------------------------------------------------------------------------


def all_in(candidate: dict[str, Any], returns: np.ndarray, amount: float, days: int, rate: float) -> dict[str, Any]:
    """Return the all-in view of a candidate from its nodes, its daily returns, the amount and the horizon."""
    metrics, pools = candidate["metrics"], candidate["pools"]
    shares = {node["id"]: node["lost_if_fails"] for node in candidate["exposure"]["nodes"] if node["hazard"]}
    share, low, central, high, least, most = np.array([(lost, *HAZARDS[node]) for node, lost in shares.items()]).T
    mean, square = (least + most) / 2, (most**3 - least**3) / (most - least) / 3
    losses = {"": central, "_low": low, "_high": high}
    losses = {name: float((share * rates * mean).sum()) for name, rates in losses.items()}
    gas = GAS_USD / amount
    leaving = sum(pool["weight"] * pool["features"]["exit_cost"] for pool in pools)
    drift = None if any(len(pool["tokens"]) > 1 for pool in pools) else 0.0
    thinner = sum(pool["weight"] * (pool["apy"] - pool["at_size"]["apy"]) for pool in pools)
    per_year = (gas + leaving) * 365 / days
    net = {name: metrics["portfolio_apy"] - loss - per_year - thinner for name, loss in losses.items()}
    above = (net[""] + per_year - rate) / 365
    missing = {"impermanent_loss": "no price of a token"} if drift is None else {}
    missing |= {} if above > 0 else {"break_even_days": "it is not expected to beat the bill"}
    volatility = math.sqrt(metrics["annual_volatility"] ** 2 + float((central * share**2 * square).sum()))
    return {
        "horizon_days": HORIZON_DAYS,
        "paths": PATHS,
        "block_days": BLOCK_DAYS,
        "seed": 0,
        "hazard_level": "central",
        **{f"expected_loss{name}": loss for name, loss in losses.items()},
        "event_probability": 1 - math.exp(-central.sum()),
        "gas_usd": GAS_USD,
        "gas_cost": gas,
        "exit_cost": leaving,
        "impermanent_loss": drift,
        "dilution": thinner,
        "cost_per_year": per_year,
        "break_even_days": (gas + leaving) / above if above > 0 else None,
        "net_apy": net[""],
        "net_apy_low": net["_high"],
        "net_apy_high": net["_low"],
        "volatility": volatility,
        "sharpe": (net[""] - rate) / volatility,
        "alpha": metrics["alpha"] - losses[""] - per_year - thinner,
        "missing": missing,
        **_tail(returns, metrics["portfolio_apy"] - thinner, shares, gas + leaving),
    }


@functools.cache
def _draws(days: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Return for every path where its blocks begin, and for every node its events: path and severity of each."""
    random = np.random.default_rng(20250228)
    starts = random.integers(0, days, (13, PATHS))
    events = {}
    for node, (_, rate, _, least, most) in HAZARDS.items():
        paths = np.repeat(np.arange(PATHS), random.poisson(rate, PATHS))
        events[node] = paths, random.uniform(least, most, paths.size)
    return starts, events


def _tail(returns: np.ndarray, apy: float, shares: dict[str, float], cost: float) -> dict[str, Any]:
    starts, events = _draws(returns.size)
    logs = np.log1p(np.concatenate([returns, returns]))
    logs += math.log1p(apy) / 365 - np.log1p(returns).mean()
    summed = np.concatenate([[0.0], np.cumsum(logs)])
    growth = np.zeros(PATHS)
    for number, start in enumerate(starts):
        growth += summed[start + (30 if number < 12 else 5)] - summed[start]
    kept = np.ones(PATHS)
    for node, share in shares.items():
        paths, severity = events[node]
        np.multiply.at(kept, paths, 1 - share * severity)
    losses = 1 - np.maximum(np.exp(growth) * kept - cost, 0.0)
    worst, falls = np.sort(losses)[::-1], np.sort(1 - kept)[::-1]
    return {
        "mean_return": float(-losses.mean()),
        "standard_error": float(losses.std(ddof=1) / math.sqrt(PATHS)),
        "loss_probability": float((losses > 0).mean()),
        "var_95": float(worst[5000]),
        "var_99": float(worst[1000]),
        "cvar_95": float(worst[:5000].mean()),
        "cvar_99": float(worst[:1000].mean()),
        "evar_95": _evar(losses),
        "drawdown_95": float(falls[5000]),
        "drawdown_curve": [{"probability": p, "loss": float(falls[round(p * PATHS)])} for p in EXCEEDED_WITH],
        "histogram": _histogram(losses),
    }


def _evar(losses: np.ndarray) -> float:
    worst = losses.max()

    def bound(t: float) -> float:
        return float(worst + t * (math.log(np.exp((losses - worst) / t).mean()) + math.log(20)))

    return float(optimize.minimize_scalar(bound, bounds=(1e-3, 10), method="bounded", options={"xatol": 1e-9}).fun)


def _histogram(losses: np.ndarray) -> dict[str, Any]:
    width = 0.02
    bins = np.floor(losses / width).astype(int)
    counts = np.bincount(bins - bins.min())
    edges = [round((int(bins.min()) + place) * width, 9) for place in range(counts.size + 1)]
    return {"edges": edges, "counts": counts.tolist()}


# --- the rest --------------------------------------------------------------------------------------------------------


def stress(exposure_: dict[str, Any], pools: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the events replayed: a pool loses the largest of share lost · fall, by price and by custody in turn."""
    lost = [reached(dict.fromkeys(links_of(pool), 1.0)) for pool in pools]

    def fallen(falls: dict[str, float]) -> float:
        parts = []
        for own in lost:
            kept = 1.0
            for channel in ("price", "custody"):
                kept *= 1 - max(
                    own.get(n, 0.0) * f * (CHANNELS[n[:5]] == channel) for n, f in {**falls, "proto": 0}.items()
                )
            parts.append(1 - kept)
        return sum(pool["weight"] * part for pool, part in zip(pools, parts, strict=True))

    held = {node["id"] for node in exposure_["nodes"]}
    results = []
    for event, title, date, after, falls, later in EVENTS:
        hit = sorted(set(falls) & held)
        loss_after = None if later is None and hit else fallen(later or {})
        results.append(
            {
                "event": event,
                "title": title,
                "date": date,
                "loss": fallen(falls),
                "loss_after": loss_after,
                "days_after": after,
                "hit": hit,
                "shocks": {
                    node: {
                        "loss": falls[node],
                        "loss_after": None if later is None else later[node],
                        "channel": CHANNELS[node[:5]],
                    }
                    for node in hit
                },
                "sources": ["nowhere"],
            }
        )
    return results


def sharpes(returns: list[np.ndarray]) -> list[tuple[float | None, float | None]]:
    """Return the probabilistic and the deflated Sharpe ratio of each series, all of them trials; None above 1 a day."""
    daily = [float(own.mean() / own.std(ddof=1)) for own in returns]
    count, gamma = len(daily), 0.5772156649015329
    largest = (1 - gamma) * stats.norm.ppf(1 - 1 / count) + gamma * stats.norm.ppf(1 - 1 / (count * math.e))
    found: list[tuple[float | None, float | None]] = []
    for own, ratio in zip(returns, daily, strict=True):
        spread = 1 - stats.skew(own) * ratio + (stats.kurtosis(own) + 2) / 4 * ratio**2
        if abs(ratio) > 1 or spread <= 0:
            found.append((None, None))
            continue
        scale = math.sqrt((own.size - 1) / spread)
        bars = (0.0, float(np.std(daily, ddof=1)) * largest)
        found.append(tuple(float(stats.norm.cdf((ratio - bar) * scale)) for bar in bars))  # type: ignore[arg-type]
    return found


def protocols(candidates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the score of every project: by its components, or by a cap where these would make it too safe."""
    families = {pool["project"]: pool["family"] for candidate in candidates for pool in candidate["pools"]}
    score = sum(weight * value for weight, value in COMPONENTS.values())
    return [
        {
            "project": project,
            "family": family,
            "risk": max(1 - score, 0.18 if project == "sky-lending" else 0.0),
            "components": {
                name: {
                    "score": value,
                    "weight": weight,
                    "evidence": "made by hand",
                    "sources": ["nowhere"],
                    "known_since": None if name == "community" else "2024-05-06",
                }
                for name, (weight, value) in COMPONENTS.items()
            },
            "caps": [{"risk_at_least": 0.18, "reason": "young"}] if project == "sky-lending" else [],
            "known": True,
        }
        for project, family in sorted(families.items())
    ]


def tripwires(chosen: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the thresholds of the choice, one of them crossed."""
    risk = chosen["risk"]
    nodes = {node["id"]: node for node in risk["exposure"]["nodes"]}
    values: dict[str, tuple[float | None, float, float]] = {
        "cvar_95": (risk["all_in"]["cvar_95"], 0.3, 0.5),
        "single_point": (nodes[risk["exposure"]["single_point"]]["lost_if_fails"], 0.2, 0.95),
        "expected_loss_share": (risk["all_in"]["expected_loss"] / chosen["metrics"]["portfolio_apy"], 0.9, 1.5),
        "protocol_risk": (risk["protocol_risk_max"], 0.34, 0.5),
        "position_share": (risk["largest_position_share"], 0.1, 0.25),
        "token_discount": (None, 0.005, 0.02),
        "utilisation": (None, 0.95, 0.98),
        "tvl_fall": (None, 0.3, 0.5),
    }
    return [
        {
            "measure": measure,
            "value": value,
            "reduce": reduce,
            "emergency": emergency,
            "state": "reduce" if measure == "single_point" else "normal",
        }
        for measure, (value, reduce, emergency) in values.items()
    ]


def limit_events(candidates: list[dict[str, Any]], chosen: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return what was turned down, sent back and capped."""
    events = [
        {
            "rule": gate["rule"],
            "subject": c["id"],
            "limit": gate["limit"],
            "before": 1.0,
            "after": 0.0,
            "action": "rejected",
        }
        for c in candidates
        for gate in c["gates"]
        if not gate["passed"]
    ]
    if chosen is not None:
        pool = max(chosen["pools"], key=lambda p: p["weight"])
        events.append(
            {
                "rule": "position_share",
                "subject": "aa000000-0000-4000-8000-000000000004",
                "limit": 0.05,
                "before": 0.2,
                "after": 0.0,
                "action": "sent_back",
            }
        )
        if chosen["method"] != "equal":
            events.append(
                {
                    "rule": "max_weight",
                    "subject": pool["pool_id"],
                    "limit": 0.40,
                    "before": 0.61,
                    "after": pool["weight"],
                    "action": "capped",
                }
            )
    return events
