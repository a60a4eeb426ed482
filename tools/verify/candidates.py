"""Candidates: each pool against its raw row, each share and each sum against the pools."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

from tools.verify.book import WEIGHTS, Book, JsonObject, amounts, issuer_bounds, rewards, shares
from tools.verify.features import POSITIONAL, check_features
from tools.verify.report import Findings, printable
from tools.verify.series import fraction

POOL_URL = "https://defillama.com/yields/pool/"
DEFAULT_CAP = {"low": 0.40, "medium": 0.50, "high": 1.0}  # of one pool, by the mandate's risk
RECENT_DAYS = 30
SMALLEST_MARKET_APY = 0.03
POSITIONED = ("weight", "share_of_pool", "features", "at_size")
DISPLAYED_AS = {"sdai": "savings"}  # projects that are shown under another name
SHOWN_OF_A_LABEL = 12  # characters of a label that a name holds at least
SHORTEST_CUT_LABEL = 24  # characters that a label cut off with … still shows


def check_candidates(book: Book, findings: Findings) -> None:
    """Check everything of the candidates that follows from their own pools and from the pools' saved rows."""
    candidates = book.record["candidates"]
    ids = [candidate["id"] for candidate in candidates]
    findings.same("/candidates", len(set(ids)), len(ids), "the number of candidates, each with its own id,")
    _check_agreement(candidates, findings)
    for index, candidate in enumerate(candidates):
        pointer = f"/candidates/{index}"
        if not candidate["pools"]:
            findings.at(f"{pointer}/pools", "is empty", "at least one pool")
            continue
        _check_weights(candidate, pointer, book.record["mandate"], findings)
        for place, pool in enumerate(candidate["pools"]):
            _check_pool(pool, f"{pointer}/pools/{place}", book, findings)
            check_features(pool, f"{pointer}/pools/{place}", book, findings)
        _check_risk(candidate, pointer, findings)
        _check_pool_metrics(candidate, pointer, findings)


def _check_agreement(candidates: Sequence[JsonObject], findings: Findings) -> None:
    """See that the candidates tell the same of the same pool, the same of the same protocol, and share one window."""
    pools: dict[str, JsonObject] = {}
    protocols: dict[str, JsonObject] = {}
    for index, candidate in enumerate(candidates):
        findings.same(
            f"/candidates/{index}/window", candidate["window"], candidates[0]["window"], "the first candidate's window"
        )
        for place, pool in enumerate(candidate["pools"]):
            pointer = f"/candidates/{index}/pools/{place}"
            own = {key: value for key, value in pool.items() if key not in POSITIONED}
            own |= {key: value for key, value in pool["features"].items() if key not in (*POSITIONAL, "missing")}
            own |= {f"at_size/{key}": value for key, value in pool["at_size"].items() if key != "apy"}
            protocol = {key: pool[key] for key in ("project", "family")}
            for known, key, facts in ((pools, pool["pool_id"], own), (protocols, pool["project"], protocol)):
                first = known.setdefault(key, facts)
                for name in facts:
                    if facts[name] != first.get(name):
                        findings.same(
                            f"{pointer}/{name}", facts[name], first.get(name), "what another candidate says of it"
                        )


def _check_weights(candidate: JsonObject, pointer: str, mandate: JsonObject, findings: Findings) -> None:
    weights = [pool["weight"] for pool in candidate["pools"]]
    findings.number(f"{pointer}/pools", sum(weights), 1.0, "the sum of all weights", 0.0, WEIGHTS)
    ids = [pool["pool_id"] for pool in candidate["pools"]]
    findings.same(f"{pointer}/pools", len(set(ids)), len(ids), "the number of pools, each once,")
    cap = largest_allowed(mandate)
    failed = any(gate["rule"] == "max_weight" and not gate["passed"] for gate in candidate["gates"])
    if max(weights) > cap + WEIGHTS and not failed:
        what = f"has a weight of {max(weights)}, but no pool may take more than {cap}, and no gate says so"
        findings.at(f"{pointer}/pools", what, cap, max(weights))


def largest_allowed(mandate: JsonObject) -> float:
    """Return the largest weight of one pool: the user's own, else the level's, loosened where few pools are wanted."""
    if mandate["max_weight"] is not None:
        return float(mandate["max_weight"])
    fewest = 1.0 / mandate["max_pools"] if mandate["max_pools"] else 0.0
    return max(DEFAULT_CAP[mandate["risk"]], fewest)


def _check_pool(pool: JsonObject, pointer: str, book: Book, findings: Findings) -> None:
    pool_id = pool["pool_id"]
    rows = book.evidence.rows.get(pool_id, [])
    findings.same(f"{pointer}/url", pool["url"], POOL_URL + pool_id, "the page of the pool")
    if len(rows) != 1:
        findings.at(f"{pointer}/pool_id", f"is in {len(rows)} of the saved rows", 1, len(rows))
        return
    for name, key in (("apy", "apy"), ("apy_base", "apyBase"), ("apy_reward", "apyReward")):
        findings.number(
            f"{pointer}/{name}", pool[name], fraction(rows[0].get(key)), f"the saved row's {key}", 0.0, 1e-9
        )
    tvl = rows[0].get("tvlUsd")
    findings.number(
        f"{pointer}/tvl_usd", pool["tvl_usd"], tvl if isinstance(tvl, (int, float)) else None, "the saved row's tvlUsd"
    )
    for name in ("project", "chain", "symbol"):
        _check_label(pool[name], rows[0].get(name), f"{pointer}/{name}", findings)
    _check_name(pool, pointer, findings)
    _check_position(pool, pointer, book.record, findings)
    _check_multiple(pool, pointer, book, findings)
    _check_history(pool, pointer, book, findings)


def _check_label(shown: str, raw: object, pointer: str, findings: Findings) -> None:
    findings.recomputed += 1
    if not isinstance(raw, str) or not _same_label(shown, raw):
        findings.at(pointer, f"is '{printable(shown)}', but the saved row says '{printable(raw)}'", raw, shown)


def _same_label(shown: str, raw: str) -> bool:
    """Compare a label made safe to show with the raw one.

    By letters and digits, and by its beginning when it was cut.
    """
    plain = _letters_and_digits(raw)
    if shown.endswith("…") and len(shown) >= SHORTEST_CUT_LABEL:
        return plain.startswith(_letters_and_digits(shown))
    return _letters_and_digits(shown) == plain or (shown == "unnamed" and not plain)


def _check_name(pool: JsonObject, pointer: str, findings: Findings) -> None:
    """See that the name that the text shows holds the beginning of the project, of the symbol and of the chain."""
    findings.recomputed += 1
    name = _letters_and_digits(pool["name"]).casefold()
    project = DISPLAYED_AS.get(pool["project"], re.split(r"[^a-z0-9]+", pool["project"].casefold())[0])
    labels = (_letters_and_digits(pool[key]).casefold()[:SHOWN_OF_A_LABEL] for key in ("symbol", "chain"))
    absent = [part for part in (project, *labels) if part not in name]
    if absent:
        what = f"is '{printable(pool['name'])}', which does not hold '{printable(absent[0])}' of the pool's labels"
        findings.at(f"{pointer}/name", what, absent[0], pool["name"])


def _letters_and_digits(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", text) if c.isalnum())


def _check_position(pool: JsonObject, pointer: str, record: JsonObject, findings: Findings) -> None:
    _, dollars = amounts(record)
    tvl = pool["tvl_usd"]
    expected = pool["weight"] * dollars / tvl if dollars is not None and tvl > 0.0 else None
    findings.number(f"{pointer}/share_of_pool", pool["share_of_pool"], expected, "the position over the pool's TVL")


def _check_multiple(pool: JsonObject, pointer: str, book: Book, findings: Findings) -> None:
    """Recompute the pool's APY as a multiple of the eligible pools' median on the day, taken as 3 % at least."""
    market = book.market_apy
    if market is not None:
        multiple = pool["apy"] / max(market, SMALLEST_MARKET_APY)
        findings.number(f"{pointer}/apy_multiple", pool["apy_multiple"], multiple, "its APY over the market's")


def _check_history(pool: JsonObject, pointer: str, book: Book, findings: Findings) -> None:
    series = book.series(pool["pool_id"])
    if series is None or pool["pool_id"] not in book.eligible:
        findings.at(pointer, "is no eligible pool with a usable chart among the saved rows", "an eligible pool")
        return
    days = book.last - series.first + 1
    findings.same(f"{pointer}/history_days", pool["history_days"], days, "the days since the first saved value")
    recent = book.apys(pool["pool_id"], max(series.first, book.last - RECENT_DAYS + 1), book.last)
    if recent:
        mean = sum(recent) / len(recent)
        findings.number(f"{pointer}/apy_mean_30d", pool["apy_mean_30d"], mean, "the mean of the last 30 saved days")


def _check_risk(candidate: JsonObject, pointer: str, findings: Findings) -> None:
    """Compare the risk report with the pools and with the metrics."""
    risk, pools = candidate["risk"], candidate["pools"]
    positions = [pool["share_of_pool"] for pool in pools if pool["share_of_pool"] is not None]
    expected = {
        "protocol_risk_max": max(pool["protocol_risk"] for pool in pools),
        "protocol_risk_mean": sum(pool["weight"] * pool["protocol_risk"] for pool in pools),
        "risk_adjusted_apy": sum(pool["weight"] * pool["apy"] * (1.0 - pool["protocol_risk"]) for pool in pools),
        "reward_share_known_weight": rewards(candidate)[0],
        "reward_share": rewards(candidate)[1],
        "largest_weight": max(pool["weight"] for pool in pools),
        "largest_position_share": max(positions) if len(positions) == len(pools) else None,
        "smallest_history_days": min(pool["history_days"] for pool in pools),
        "smallest_tvl_usd": min(pool["tvl_usd"] for pool in pools),
    }
    for name, value in expected.items():
        findings.number(f"{pointer}/risk/{name}", risk[name], value, "what its pools give")
    for name in ("var_95", "cvar_95", "max_drawdown"):
        findings.number(f"{pointer}/risk/{name}", risk[name], candidate["metrics"][name], "the metric of that name")
    _check_largest(risk["largest_protocol"], shares(candidate, "family"), f"{pointer}/risk/largest_protocol", findings)
    _check_largest(risk["largest_chain"], shares(candidate, "chain"), f"{pointer}/risk/largest_chain", findings)
    _check_largest_issuer(candidate, f"{pointer}/risk/largest_issuer", findings)


def _check_largest(largest: JsonObject, behind: Mapping[str, float], pointer: str, findings: Findings) -> None:
    findings.number(f"{pointer}/share", largest["share"], max(behind.values()), "the largest share of its pools")
    findings.number(
        f"{pointer}/name", behind.get(largest["name"]), max(behind.values()), "the largest share", 0.0, WEIGHTS
    )


def _check_largest_issuer(candidate: JsonObject, pointer: str, findings: Findings) -> None:
    bounds = issuer_bounds(candidate)
    largest = candidate["risk"]["largest_issuer"]
    if not bounds:
        findings.number(f"{pointer}/share", largest["share"], 0.0, "the share of no issuer")
        return
    share = largest["share"]
    least, most = (max(bound[side] for bound in bounds.values()) for side in (0, 1))
    findings.recomputed += 1
    if not least - WEIGHTS <= share <= most + WEIGHTS:
        findings.at(
            f"{pointer}/share", f"is {share}, but its pools give {least} to {most}", f"{least} to {most}", share
        )
    own = bounds.get(largest["name"])
    if own is None or not own[0] - WEIGHTS <= share <= own[1] + WEIGHTS:
        findings.at(
            f"{pointer}/name",
            f"is {printable(largest['name'])}, who does not stand behind that share",
            "",
            largest["name"],
        )


def _check_pool_metrics(candidate: JsonObject, pointer: str, findings: Findings) -> None:
    pools, found = candidate["pools"], candidate["metrics"]
    tvl = sum(pool["tvl_usd"] for pool in pools)
    expected = {
        "portfolio_apy": sum(pool["weight"] * pool["apy"] for pool in pools),
        "weighted_apy": sum(pool["tvl_usd"] * pool["apy"] for pool in pools) / tvl if tvl > 0.0 else None,
        "total_tvl_usd": tvl,
        "pool_count": len(pools),
    }
    for name, value in expected.items():
        findings.number(f"{pointer}/metrics/{name}", found[name], value, "what its pools give")
    missing = {name for name, value in found.items() if value is None}
    given = set(candidate["metrics_missing"])
    for name in sorted(missing ^ given):
        what = "is null without a reason" if name in missing else "has a value and a reason for having none"
        findings.at(f"{pointer}/metrics/{printable(name)}", what, "a value or a reason", found.get(name))
