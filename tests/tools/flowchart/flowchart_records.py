"""Records to draw: a recommendation as plain data, with the fields that the picture reads, one for each outcome."""

from __future__ import annotations

from typing import Any, get_args

from tools.records import ProfileId, WeightMethod

Plain = dict[str, Any]

PROFILES = get_args(ProfileId)
METHODS: tuple[WeightMethod, ...] = ("equal", "inverse_volatility", "min_cvar")
LEVELS = {
    "ultra_safe": "low",
    "conservative_growth": "low",
    "blue_chip": "low",
    "balanced_score": "medium",
    "balanced_apy": "medium",
    "growth": "medium",
}
NAMES = (
    ("Aave v3 WETH, Ethereum", "Ethereum", 1_236_400_000.0),
    ("Lido stETH, Ethereum", "Ethereum", 21_874_000_000.0),
    ("Curve ETH-stETH, Ethereum", "Ethereum", 143_870_000.0),
    ("Rocket Pool rETH, Ethereum", "Ethereum", 2_204_500_000.0),
    ("Compound v3 WETH, Base", "Base", 38_120_000.0),
    ("Morpho Blue Gauntlet WETH Core, Ethereum", "Ethereum", 61_300_000.0),
)


def mandate(**changes: Any) -> Plain:
    plain: Plain = {
        "intent": "recommend", "asset": "ETH", "amount": 100.0, "amount_usd": None, "risk": "medium", "profile": None,
        "horizon_days": 365, "chains_include": ["Ethereum", "Base"], "chains_exclude": [], "protocols_include": [],
        "protocols_exclude": ["curve"], "tokens_include": [], "tokens_exclude": [], "min_tvl_usd": 10_000_000.0,
        "min_apy": None, "max_weight": 0.4, "min_pools": None, "max_pools": None, "allow_il": False,
        "max_drawdown": 0.05, "max_var_95": None, "notes": [],
    }  # fmt: skip
    return plain | changes


def market(**changes: Any) -> Plain:
    plain: Plain = {
        "source": "folder", "synthetic": False, "snapshot_date": "2025-02-28", "snapshot_sha256": "ab" * 32,
        "pools_total": 172, "pools_eligible": 17,
        "excluded": {
            "token_not_allowed": 96, "too_small": 31, "short_history": 14, "long_gap": 6, "zero_yield": 4,
            "malformed": 3, "duplicate_id": 1,
        },
        "ruled_out": {"protocols_exclude": 3, "chains_include": 2},
        "warnings": ["3 pools without a chart"],
    }  # fmt: skip
    return plain | changes


def gate(rule: str, limit: Any, value: Any, passed: bool = True, tested: bool = True) -> Plain:
    return {"rule": rule, "limit": limit, "value": value, "passed": passed, "tested": tested}


def pool(i: int, weight: float) -> Plain:
    name, chain, tvl = NAMES[i % len(NAMES)]
    return {
        "pool_id": f"pool-{i}",
        "name": name,
        "chain": chain,
        "weight": weight,
        "apy": 0.0213 + 0.0057 * i,
        "tvl_usd": tvl,
    }


def weights(count: int, method: str) -> list[float]:
    raw = [
        1.0 + (0.31 * i if method != "equal" else 0.0) + (0.05 * i * i if method == "min_cvar" else 0.0)
        for i in range(count)
    ]
    rounded = [round(w / sum(raw), 4) for w in raw]
    return [*rounded[:-1], round(1.0 - sum(rounded[:-1]), 4)]


def candidate(profile: str, method: str, **changes: Any) -> Plain:
    rank = PROFILES.index(profile)
    level = LEVELS.get(profile, "high")
    shares = weights(3 + rank % 4, method)
    pools = [pool(i, w) for i, w in enumerate(shares)]
    biggest = round(0.41 + 0.03 * rank + 0.02 * METHODS.index(method), 4)
    plain: Plain = {
        "id": f"{profile}.{method}", "profile": profile, "method": method, "revised": False, "count_raised": False,
        "pools": pools,
        "metrics": {"portfolio_apy": sum(p["weight"] * p["apy"] for p in pools)},
        "gates": [
            gate("profile_risk", "medium", level, level != "high"),
            gate("max_weight", 0.4, max(shares), max(shares) <= 0.4),
            gate("protocol_share", 0.6, biggest, biggest <= 0.6),
            gate("var_95", 0.02, -0.00013, tested=False),
            gate("cvar_95", 0.03, -0.00012, tested=False),
            gate("max_drawdown", 0.05, 0.0, tested=False),
        ],
        "score": {"total": 0.318 + 0.0417 * rank + 0.0089 * METHODS.index(method)},
    }  # fmt: skip
    return plain | changes


def record(**changes: Any) -> Plain:
    """A choice at medium risk: seven profiles with three weightings each, two emptied, some failed, one sent back."""
    candidates = [candidate(profile, method) for profile in PROFILES[:7] for method in METHODS]
    for made in candidates:
        made["revised"] = made["profile"] == "conservative_growth"
    chosen = next(c for c in candidates if c["id"] == "balanced_score.inverse_volatility")
    plain: Plain = {
        "as_of": "2025-02-28T23:59:59Z", "outcome": "choice", "reason": "",
        "question": "I have 100 ETH for a year, medium risk, not on Curve, at most 40% in one pool. Where to?",
        "mandate": mandate(), "market": market(), "candidates": candidates,
        "emptied": [
            {"profile": "maximum_yield", "rule": "min_tvl", "pools_before": 5, "pools_after": 1},
            {"profile": "high_risk", "rule": "not_trending_down", "pools_before": 4, "pools_after": 0},
        ],
        "conflicts": [], "choice": choice(chosen),
        "alternatives": {
            "hold": {"name": "hold", "apy": 0.0, "income": 0.0, "difference_bps": 331.4, "net_difference_bps": 281.4},
            "risk_free": {
                "name": "ETH staking", "apy": 0.0297, "income": 2.97, "difference_bps": -14.2,
                "net_difference_bps": -64.2,
            },
        },
    }  # fmt: skip
    return plain | changes


def choice(chosen: Plain) -> Plain:
    pools = [{"pool_id": p["pool_id"], "weight": p["weight"], "amount": p["weight"] * 100.0} for p in chosen["pools"]]
    expected = {
        "income": 3.3144,
        "income_low": 2.4871,
        "income_high": 4.0213,
        "net_apy": 0.0281,
        "horizon_days": 365,
        "apy": 0.0331,
        "apy_low": 0.02,
        "apy_high": 0.04,
    }
    return {
        "candidate_id": chosen["id"],
        "method": chosen["method"],
        "amount": 100.0,
        "pools": pools,
        "expected": expected,
    }


def full_record() -> Plain:
    """Nine profiles with three weightings each, none emptied, twenty pools in the choice."""
    candidates = [candidate(profile, method) for profile in PROFILES for method in METHODS]
    chosen = candidates[4]
    chosen["pools"] = [pool(i, 0.05) for i in range(20)]
    return record(candidates=candidates, emptied=[], choice=choice(chosen))


def infeasible() -> Plain:
    candidates = [candidate(profile, method) for profile in PROFILES[2:6] for method in METHODS]
    for made in candidates:
        made["gates"][2] = gate("protocol_share", 0.2, 0.5 + 0.01 * METHODS.index(made["method"]), False)
        made["gates"].append(gate("min_apy", 0.12, made["metrics"]["portfolio_apy"], False))
    conflicts = [
        {"rule": "min_apy", "limit": 0.12, "nearest": 0.0431, "vetoed": 12},
        {"rule": "protocol_share", "limit": 0.2, "nearest": 0.5, "vetoed": 12},
    ]
    reason = (
        "No candidate passes every limit: an APY of at least 12% and at most 20% on one protocol do not go together."
    )
    emptied = [
        {"profile": profile, "rule": "min_tvl", "pools_before": 6, "pools_after": 1}
        for profile in PROFILES
        if profile not in PROFILES[2:6]
    ]
    return record(
        outcome="no_feasible_strategy",
        reason=reason,
        candidates=candidates,
        emptied=emptied,
        conflicts=conflicts,
        choice=None,
    )


def all_emptied() -> Plain:
    emptied = [{"profile": profile, "rule": "max_weight", "pools_before": 9, "pools_after": 2} for profile in PROFILES]
    return record(
        outcome="no_feasible_strategy",
        reason="Every profile ended without pools.",
        candidates=[],
        emptied=emptied,
        choice=None,
    )


def not_enough_data() -> Plain:
    reason = "Only 1 pool of the asset has 60 days of history."
    scarce = market(
        pools_total=12,
        pools_eligible=1,
        excluded={"short_history": 9, "token_not_allowed": 2},
        ruled_out={},
        synthetic=True,
        warnings=[],
    )
    return record(
        outcome="not_enough_data",
        reason=reason,
        market=scarce,
        candidates=[],
        emptied=[],
        choice=None,
        alternatives=None,
    )


def out_of_scope() -> Plain:
    asked = mandate(asset=None, amount=None, intent="out_of_scope", horizon_days=None, chains_include=[], allow_il=None)
    asked |= {"protocols_exclude": [], "min_tvl_usd": None, "max_weight": None, "max_drawdown": None}
    empty = {"market": None, "candidates": [], "emptied": [], "choice": None, "alternatives": None}
    reason = "Predictions of a price are out of scope."
    return record(outcome="out_of_scope", reason=reason, question="Will ETH double?", mandate=asked, **empty)


HOSTILE = (
    "<script>alert(1)</script>",
    'a"]; click n1 "javascript:alert(1)"',
    "`$(rm -rf)` **bold** [x](javascript:alert(1))",
    "\x1b[31mred\x1b[0m \x1b]52;c;AAAA\x07",
    "\u202egnp.exe\u2066 zero\u200bwidth",
    'x\n%%{init: {"securityLevel":"loose"}}%%\ny\r\n  click n1 call f()',
    "' onload='alert(1)",
    '" onload="alert(1)',
    "#quot;] --> n9[#quot;x &quot; &#34; &lt;b&gt;",
    "]]> <!-- --> <![CDATA[ x ]]> <?xml ?> <!ENTITY a SYSTEM 'file:///etc/passwd'>",
    "日本語 USD₮0 🦄 \ud800 " + "W" * 90,
    "",
)


def hostile() -> Plain:
    """Whatever anyone but the program writes, written by an attacker."""
    made = record()
    names = iter(HOSTILE * 9)
    for held in [pool for candidate_ in made["candidates"] for pool in candidate_["pools"]]:
        held["name"], held["chain"] = next(names, HOSTILE[0]), HOSTILE[0]
    made["question"] = " ".join(HOSTILE)
    made["market"] |= {"excluded": dict.fromkeys(HOSTILE, 3), "ruled_out": dict.fromkeys(HOSTILE, 1)}
    made["mandate"] |= {"chains_include": list(HOSTILE), "tokens_exclude": list(HOSTILE)}
    made["emptied"] = [{"profile": text, "rule": text, "pools_before": 1, "pools_after": 0} for text in HOSTILE]
    for candidate_ in made["candidates"]:
        candidate_["gates"] += [gate(text, text, text, i % 2 == 0, i % 3 > 0) for i, text in enumerate(HOSTILE)]
    return made


def hostile_end() -> Plain:
    made = infeasible()
    made["reason"] = " ".join(HOSTILE)
    made["conflicts"] = [{"rule": text, "limit": text, "nearest": text, "vetoed": 1} for text in HOSTILE]
    return made


OUTCOMES = {
    "choice": record,
    "full": full_record,
    "infeasible": infeasible,
    "all_emptied": all_emptied,
    "not_enough_data": not_enough_data,
    "out_of_scope": out_of_scope,
}
