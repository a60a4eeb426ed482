"""The protocol risk scores: each from its own components and caps, and each pool at least as risky as its protocol."""

from __future__ import annotations

import math

from tools.verify.book import JsonObject
from tools.verify.report import Findings, printable

WEIGHTS = {"tvl": 0.30, "audits": 0.40, "community": 0.15, "technical": 0.15}
UNKNOWN_RISK, UNAUDITED_RISK = 0.75, 0.60
ROUNDING = 1e-9


def check_protocols(record: JsonObject, findings: Findings) -> None:
    """Recompute the risk of every protocol, and see that every project of the candidates is there."""
    day = record["as_of"][:10]
    for place, entry in enumerate(record["protocols"]):
        _check_entry(entry, f"/protocols/{place}", day, findings)
    projects = [entry["project"] for entry in record["protocols"]]
    findings.same("/protocols", len(set(projects)), len(projects), "the number of protocols, each once,")
    entries = {entry["project"]: entry for entry in record["protocols"]}
    for index, candidate in enumerate(record["candidates"]):
        for place, pool in enumerate(candidate["pools"]):
            _check_pool(pool, entries.get(pool["project"]), f"/candidates/{index}/pools/{place}", findings)


def _check_entry(entry: JsonObject, pointer: str, day: str, findings: Findings) -> None:
    components = entry["components"]
    findings.same(f"{pointer}/components", sorted(components), sorted(WEIGHTS), "the list of components")
    for name, component in sorted(components.items()):
        place = f"{pointer}/components/{printable(name)}"
        findings.number(f"{place}/weight", component["weight"], WEIGHTS.get(name), "the weight of that component")
        known = component["known_since"]
        if known is not None and known > day:
            findings.at(f"{place}/known_since", f"is {known}, later than {day}", f"at most {day}", known)
    score = math.fsum(component["weight"] * component["score"] for component in components.values())
    caps = [cap["risk_at_least"] for cap in entry["caps"]]
    if not entry["known"]:
        caps.append(UNKNOWN_RISK)
    if components.get("audits", {}).get("score") == 0.0:
        caps.append(UNAUDITED_RISK)
    risk = min(1.0, max([1.0 - score, *caps]))
    findings.number(f"{pointer}/risk", entry["risk"], risk, "what its components and caps give", 0.0, ROUNDING)


def _check_pool(pool: JsonObject, entry: JsonObject | None, pointer: str, findings: Findings) -> None:
    findings.recomputed += 1
    if entry is None:
        what = f"is of {printable(pool['project'])}, whose risk score is not in the record"
        findings.at(f"{pointer}/project", what, "an entry in /protocols", pool["project"])
        return
    findings.same(f"{pointer}/family", pool["family"], entry["family"], "the family of its protocol")
    if pool["protocol_risk"] < entry["risk"] - ROUNDING:
        what = f"is {pool['protocol_risk']}, less than that of its protocol, {entry['risk']}"
        findings.at(f"{pointer}/protocol_risk", what, f"at least {entry['risk']}", pool["protocol_risk"])
