"""The run as a graph, built from its record and from nothing else, so that picture and text cannot disagree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from tools.flowchart import wording
from tools.records import ProfileId, RiskLevel
from tools.units import safe_label

if TYPE_CHECKING:
    import networkx as nx

Plain = Mapping[str, Any]

LANES = ("Question", "Data agent", "Quant agent", "Risk agent", "Decision agent", "Result")
LANE_OF_KIND = {
    "mandate": 0,
    "market": 1,
    "excluded": 1,
    "eligible": 1,
    "profile": 2,
    "emptied": 2,
    "risk": 3,
    "untested": 3,
    "choice": 4,
    "outcome": 4,
    "stopped": 5,
    "pool": 5,
}
OUTCOMES = {
    "no_feasible_strategy": "No feasible strategy",
    "not_enough_data": "Not enough data",
    "out_of_scope": "Out of scope",
}
_RISK_LEVELS = get_args(RiskLevel)
_PROFILE_ORDER = {profile: i for i, profile in enumerate(get_args(ProfileId))}
_SHOWN_REASONS = 5
_MOST_FULL_POOLS = 8


class _Draft:
    """A graph in the making: hands out the ids n1, n2, … in the order in which nodes are added."""

    def __init__(self, **about: Any) -> None:
        import networkx as nx

        self.graph = nx.DiGraph(**about)

    def node(self, kind: str, label: Iterable[str], verdict: str = "neutral", pointers: Iterable[str] = ()) -> str:
        name = f"n{self.graph.number_of_nodes() + 1}"
        self.graph.add_node(
            name, kind=kind, label=[line for line in label if line], verdict=verdict, pointers=list(pointers)
        )
        return name

    def edge(self, source: str, target: str, style: str = "flow", label: str = "", weight: float | None = None) -> None:
        self.graph.add_edge(source, target, style=style, label=label, weight=weight)


def build_graph(record: Plain) -> nx.DiGraph[str]:
    """Build the graph of a run from its recommendation as plain data (``Recommendation.model_dump()``).

    ``rationale`` and ``flowchart`` may be absent: neither is read. Nor is anything that differs between equal runs
    (``run_id``, ``created_at``, ``market.source``, seconds), so equal runs give equal pictures. What is None in the
    record makes no line. Ids are n1, n2, … in the order of the run.

    Node attributes: ``kind`` (a key of ``LANE_OF_KIND``), ``label`` (list of lines, the first is the title),
    ``verdict`` (passed, failed, untested, chosen, neutral), ``pointers`` (JSON Pointers to what the node shows). Edge
    attributes: ``style`` (flow, chosen, untested, back), ``label``, ``weight`` (fraction of the money on the way to a
    pool, else None). Raises KeyError when a field of the record is missing.
    """
    market = record["market"]
    draft = _Draft(
        title=_headline(record),
        as_of=safe_label(record["as_of"])[:10],
        outcome=record["outcome"],
        synthetic=bool(market and market["synthetic"]),
    )
    last = draft.node("mandate", _mandate_label(record), pointers=["/mandate"])
    if market:
        last = _add_market(draft, market, last)
    profiles, ends = _add_quant(draft, record, last)
    verdicts = _add_risk(draft, record, profiles)
    untested = _add_untested(draft, record)
    if record["choice"]:
        _add_choice(draft, record, verdicts, untested)
    else:
        _add_outcome(draft, record, list(verdicts.values()) or ends or [last])
    return draft.graph


def node_link(graph: nx.DiGraph[str]) -> dict[str, Any]:
    """Return the graph as networkx node-link data (key ``edges``): JSON-serialisable, in the order of the ids."""
    import networkx as nx

    data: dict[str, Any] = nx.node_link_data(graph, edges="edges")
    data["nodes"].sort(key=lambda node: id_number(node["id"]))
    data["edges"].sort(key=lambda edge: (id_number(edge["source"]), id_number(edge["target"])))
    return data


def id_number(node: str) -> int:
    """Return 12 for ``n12``: ids sort by number, not as text."""
    return int(node[1:])


def _stake(mandate: Plain) -> str:
    """Return what is at stake: ``100 ETH``, ``$250,000 in ETH``, ``ETH``."""
    asset = mandate["asset"]
    if asset is None:
        return "No asset named"
    if mandate["amount"] is not None:
        return wording.amount(mandate["amount"], asset)
    if mandate["amount_usd"] is not None:
        return f"{wording.amount(mandate['amount_usd'], 'USD')} in {asset}"
    return str(asset)


def _request(mandate: Plain) -> str:
    """Return the stake and the risk; a risk that belongs to no asset is a default and says nothing."""
    return f"{_stake(mandate)}, {mandate['risk']} risk" if mandate["asset"] else _stake(mandate)


def _headline(record: Plain) -> str:
    request = _request(record["mandate"])
    if record["choice"] is None:
        return f"{request} → {OUTCOMES[record['outcome']].lower()}"
    candidate = _by_id(record, record["choice"]["candidate_id"])
    apy = wording.percent(candidate["metrics"]["portfolio_apy"])
    return f"{request} → {wording.profile_name(candidate['profile'])}, {apy} APY"


def _by_id(record: Plain, candidate_id: str) -> Plain:
    return next(candidate for candidate in record["candidates"] if candidate["id"] == candidate_id)


def _mandate_label(record: Plain) -> list[str]:
    mandate = record["mandate"]
    profile = f"{wording.profile_name(mandate['profile'])} by name" if mandate["profile"] else ""
    horizon = f"horizon {mandate['horizon_days']} days" if mandate["horizon_days"] else ""
    quote = f"“{wording.sentence(record['question'], limit=200)}”"
    return [_request(mandate), quote, profile, horizon, *_limits(mandate)]


def _limits(mandate: Plain) -> list[str]:
    """Return the user's own limits, one line each; what the user left unsaid makes no line."""
    pieces = [_names(lead, mandate[key]) for key, lead in _NAME_LISTS]
    pieces += [f"{lead} {write(mandate[key])}" for key, lead, write in _BOUNDS if mandate[key] is not None]
    if mandate["allow_il"] is not None:
        pieces.append("impermanent loss allowed" if mandate["allow_il"] else "no impermanent loss")
    return [piece for piece in pieces if piece]


def _names(lead: str, names: Sequence[str]) -> str:
    return f"{lead} {', '.join(safe_label(name, limit=24) for name in names)}" if names else ""


def _trimmed_percent(fraction: float) -> str:
    return wording.percent(fraction, trim=True)


_NAME_LISTS = (
    ("chains_include", "only on"),
    ("chains_exclude", "not on"),
    ("protocols_include", "only through"),
    ("protocols_exclude", "not through"),
    ("tokens_include", "only with"),
    ("tokens_exclude", "without"),
)
_BOUNDS = (
    ("min_tvl_usd", "TVL ≥", wording.money),
    ("min_apy", "APY ≥", _trimmed_percent),
    ("max_weight", "one pool ≤", _trimmed_percent),
    ("min_pools", "pools ≥", str),
    ("max_pools", "pools ≤", str),
    ("max_drawdown", "drawdown ≤", _trimmed_percent),
    ("max_var_95", "VaR ≤", _trimmed_percent),
)


def _reasons(counts: Mapping[str, int], shown: int) -> list[str]:
    """Return the most frequent reasons with their counts; what is not shown is summed up in a last line."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    lines = [f"{count} · {wording.phrase(reason)}" for reason, count in ranked[:shown]]
    rest = ranked[shown:]
    return [*lines, f"{sum(count for _, count in rest)} · other reasons"] if rest else lines


def _add_market(draft: _Draft, market: Plain, mandate: str) -> str:
    """Add what the data agent saw, what it left out and what remains; return the node of what remains."""
    count = len(market["warnings"])
    warnings = f"? {count} {'warning' if count == 1 else 'warnings'} on the data" if count else ""
    origin = "SYNTHETIC, not a real market" if market["synthetic"] else ""
    seen_label = [
        f"{market['pools_total']} pools seen",
        origin,
        f"snapshot of {safe_label(market['snapshot_date'])}",
        warnings,
    ]
    excluded_label = [f"{sum(market['excluded'].values())} excluded", *_reasons(market["excluded"], _SHOWN_REASONS)]
    limits = _reasons(market["ruled_out"], _SHOWN_REASONS)
    eligible_label = [
        f"{market['pools_eligible']} eligible",
        *(["the user's limits drop"] if limits else []),
        *limits,
    ]
    seen = draft.node("market", seen_label, pointers=["/market"])
    draft.edge(mandate, seen)
    excluded = draft.node("excluded", excluded_label, pointers=["/market/excluded"])
    draft.edge(seen, excluded)
    verdict = "passed" if market["pools_eligible"] else "failed"
    eligible = draft.node("eligible", eligible_label, verdict, ["/market/pools_eligible", "/market/ruled_out"])
    draft.edge(excluded, eligible)
    return eligible


def _groups(record: Plain) -> dict[str, list[tuple[int, Plain]]]:
    """Return each profile's candidates with their places in the record, best score first; cautious profiles first."""
    groups: dict[str, list[tuple[int, Plain]]] = {}
    for profile in sorted({c["profile"] for c in record["candidates"]}, key=_profile_rank):
        members = [(i, c) for i, c in enumerate(record["candidates"]) if c["profile"] == profile]
        groups[profile] = sorted(members, key=lambda member: (-member[1]["score"]["total"], member[1]["id"]))
    return groups


def _style(record: Plain, profile: str) -> str:
    """Return the style of the edges along a profile's way: the chosen one stands out."""
    choice = record["choice"]
    return "chosen" if choice and _by_id(record, choice["candidate_id"])["profile"] == profile else "flow"


def _profile_rank(profile: str) -> tuple[int, str]:
    return _PROFILE_ORDER.get(profile, len(_PROFILE_ORDER)), profile


def _add_quant(draft: _Draft, record: Plain, parent: str) -> tuple[dict[str, str], list[str]]:
    """Add a node per profile: return those with candidates, by profile, and those that were emptied."""
    profiles = {}
    for profile, members in _groups(record).items():
        candidates = [candidate for _, candidate in members]
        pointers = [f"/candidates/{i}" for i, _ in members]
        profiles[profile] = draft.node("profile", _profile_label(profile, candidates), pointers=pointers)
        draft.edge(parent, profiles[profile], _style(record, profile))
    ends = []
    for i, emptied in sorted(
        enumerate(record["emptied"]), key=lambda item: (*_profile_rank(item[1]["profile"]), item[0])
    ):
        before, after = emptied["pools_before"], emptied["pools_after"]
        counts = f"{before} → {after} pools" if before != after else f"{after} pools"
        label = [wording.profile_name(emptied["profile"]), f"emptied: {wording.phrase(emptied['rule'])}", counts]
        ends.append(draft.node("emptied", label, "failed", [f"/emptied/{i}"]))
        draft.edge(parent, ends[-1])
    return profiles, ends


def _profile_label(profile: str, candidates: Sequence[Plain]) -> list[str]:
    best = candidates[0]
    apy = max(candidate["metrics"]["portfolio_apy"] for candidate in candidates)
    revised = sum(candidate["revised"] for candidate in candidates)
    return [
        wording.profile_name(profile),
        f"{len(candidates)} weightings · APY up to {wording.percent(apy)}"
        if len(candidates) > 1
        else f"APY {wording.percent(apy)}",
        f"best score {wording.score(best['score']['total'])} · {wording.method_name(best['method'])}",
        f"{revised} of {len(candidates)} revised" if revised else "",
        "more pools than usual, for the cap" if any(candidate["count_raised"] for candidate in candidates) else "",
    ]


def _add_risk(draft: _Draft, record: Plain, profiles: Mapping[str, str]) -> dict[str, str]:
    """Add the verdict on each profile; return the nodes by profile."""
    verdicts = {}
    for profile, members in _groups(record).items():
        candidates = [candidate for _, candidate in members]
        label, verdict = _risk_label(candidates)
        node = draft.node("risk", label, verdict, [f"/candidates/{i}/gates" for i, _ in members])
        draft.edge(profiles[profile], node, _style(record, profile))
        if any(candidate["revised"] for candidate in candidates):
            draft.edge(node, profiles[profile], "back", "sent back once")
        verdicts[profile] = node
    return verdicts


def _passes(candidate: Plain) -> bool:
    return all(gate["passed"] for gate in candidate["gates"])


def _risk_label(candidates: Sequence[Plain]) -> tuple[list[str], str]:
    passing = sum(_passes(candidate) for candidate in candidates)
    tested = any(gate["tested"] for candidate in candidates for gate in candidate["gates"])
    untested = len(_untested_limits(candidates))
    verdict = ("passed" if tested else "untested") if passing else "failed"
    title = {"passed": "Passed", "untested": "Untested", "failed": "Failed"}[verdict]
    if 0 < passing < len(candidates):
        title = f"{passing} of {len(candidates)} passed"
    return [
        title,
        *_failures(candidates),
        f"? {untested} {'limit' if untested == 1 else 'limits'} untested" if untested else "",
    ], verdict


def _failures(candidates: Sequence[Plain]) -> list[str]:
    """Return a line per failed limit: the rule, the value (from … to where the weightings differ) and the limit."""
    failed: dict[str, list[Plain]] = {}
    for gate in (gate for candidate in candidates for gate in candidate["gates"] if not gate["passed"]):
        failed.setdefault(gate["rule"], []).append(gate)
    return [_failure(rule, gates) for rule, gates in failed.items()]


def _failure(rule: str, gates: Sequence[Plain]) -> str:
    if rule == "profile_risk":
        level, limit = gates[0]["value"], gates[0]["limit"]
        return f"✗ {level}-risk profile, limit {limit}" if limit in _RISK_LEVELS else "✗ not the profile asked for"
    values = sorted(gate["value"] for gate in gates if gate["value"] is not None) or [None]
    (low, limit), (high, _) = (wording.breach(rule, value, gates[0]["limit"]) for value in (values[0], values[-1]))
    return f"✗ {wording.phrase(rule)} {low if low == high else f'{low} to {high}'}, limit {limit}"


def _untested_limits(candidates: Iterable[Plain]) -> list[tuple[str, str]]:
    """Return the (rule, limit as shown) that were not tested and not failed, sorted."""
    gates = (gate for candidate in candidates for gate in candidate["gates"] if gate["passed"] and not gate["tested"])
    return sorted({(gate["rule"], wording.measure(gate["rule"], gate["limit"])) for gate in gates})


def _add_untested(draft: _Draft, record: Plain) -> str | None:
    """Add one node that names the limits which the figures at hand cannot test; None when there are none."""
    limits = _untested_limits(record["candidates"])
    if not limits:
        return None
    lines = [f"? {wording.phrase(rule)}, limit {limit}" for rule, limit in limits]
    pointers = [
        f"/candidates/{i}/gates/{j}"
        for i, candidate in enumerate(record["candidates"])
        for j, gate in enumerate(candidate["gates"])
        if gate["passed"] and not gate["tested"]
    ]
    return draft.node(
        "untested",
        ["Untested: loss limits" if _all_losses(limits) else "Untested limits", *lines],
        "untested",
        pointers,
    )


def _all_losses(limits: Sequence[tuple[str, str]]) -> bool:
    return all({"var", "cvar", "drawdown", "loss"} & set(rule.split("_")) for rule, _ in limits)


def _add_choice(draft: _Draft, record: Plain, verdicts: Mapping[str, str], untested: str | None) -> None:
    choice = record["choice"]
    candidate = _by_id(record, choice["candidate_id"])
    node = draft.node(
        "choice",
        _choice_label(record, candidate),
        "chosen",
        ["/choice", f"/candidates/{record['candidates'].index(candidate)}"],
    )
    for profile, verdict in verdicts.items():
        if draft.graph.nodes[verdict]["verdict"] != "failed":
            draft.edge(verdict, node, _style(record, profile))
    if untested and _untested_limits([candidate]):
        draft.edge(untested, node, "untested")
    details = {pool["pool_id"]: pool for pool in candidate["pools"]}
    brief = len(details) > _MOST_FULL_POOLS
    for i, pool in sorted(enumerate(choice["pools"]), key=lambda item: (-item[1]["weight"], item[1]["pool_id"])):
        label = _pool_label(pool, details[pool["pool_id"]], record["mandate"]["asset"], brief)
        draft.edge(node, draft.node("pool", label, pointers=[f"/choice/pools/{i}"]), "chosen", weight=pool["weight"])


def _choice_label(record: Plain, candidate: Plain) -> list[str]:
    choice, asset = record["choice"], record["mandate"]["asset"]
    expected = choice["expected"]
    converted = record["mandate"]["amount"] is None and choice["amount"] is not None
    lines = [
        wording.profile_name(candidate["profile"]),
        wording.method_name(candidate["method"]),
        f"amount {wording.amount(choice['amount'], asset)}" if converted else "",
        f"APY {wording.percent(candidate['metrics']['portfolio_apy'])}",
        f"{wording.percent(expected['net_apy'])} kept after losses and costs",
        f"score {wording.score(candidate['score']['total'])}",
    ]
    if expected["income"] is not None:
        lines.append(f"income {wording.amount(expected['income'], asset)} in {expected['horizon_days']} days")
    if expected["income_low"] is not None and expected["income_high"] is not None:
        lines.append(f"range {wording.amounts(expected['income_low'], expected['income_high'], asset)}")
    return lines + _against_nothing(record["alternatives"])


def _against_nothing(alternatives: Plain | None) -> list[str]:
    """Return the difference to holding and to the risk-free rate, in basis points, where it is known."""
    known = [
        (key, alternatives[key])
        for key in ("hold", "risk_free")
        if alternatives and alternatives[key]["net_difference_bps"] is not None
    ]
    names = {"hold": "holding", "risk_free": "risk-free"}
    return [f"{wording.basis_points(row['net_difference_bps'])} kept vs {names[key]}" for key, row in known]


def _pool_label(chosen: Plain, pool: Plain, asset: str, brief: bool) -> list[str]:
    """Return name, weight, amount, APY and size of a chosen pool; ``brief``: one line under the name, and no size."""
    share, apy = wording.percent(chosen["weight"], trim=True), f"APY {wording.percent(pool['apy'])}"
    name = safe_label(pool["name"], limit=60)
    stake = f"{share} · {wording.amount(chosen['amount'], asset)}" if chosen["amount"] is not None else share
    return [name, f"{stake} · {apy}"] if brief else [name, stake, f"{apy} · TVL {wording.money(pool['tvl_usd'])}"]


def _add_outcome(draft: _Draft, record: Plain, parents: Sequence[str]) -> None:
    """Add the end of a run without a choice: which outcome, the limits in conflict, the reason.

    The decision agent finds that nothing is feasible; the other outcomes end the run before it.
    """
    conflicts = [_conflict(conflict) for conflict in record["conflicts"]]
    label = [
        OUTCOMES[record["outcome"]],
        *conflicts,
        wording.sentence(record["reason"], limit=320),
    ]
    verdict = "untested" if record["outcome"] == "not_enough_data" else "failed"
    kind = "outcome" if record["outcome"] == "no_feasible_strategy" else "stopped"
    node = draft.node(
        kind, label, verdict, ["/outcome", "/reason", *(f"/conflicts/{i}" for i in range(len(conflicts)))]
    )
    for parent in parents:
        draft.edge(parent, node)


def _conflict(conflict: Plain) -> str:
    rule = conflict["rule"]
    nearest, limit = wording.breach(rule, conflict["nearest"], conflict["limit"])
    return f"✗ {wording.phrase(rule)}: limit {limit}, nearest {nearest}, stops {conflict['vetoed']}"
