"""The graph of the run: what its nodes say is what the record says."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import flowchart_records as records
import networkx as nx
import pytest

from tools import records as models
from tools.flowchart import build_graph, node_link
from tools.flowchart.graph import LANE_OF_KIND
from tools.flowchart.wording import MARKS


def nodes(graph: nx.DiGraph, kind: str) -> list[dict[str, Any]]:
    return [data for _, data in graph.nodes(data=True) if data["kind"] == kind]


def labels(graph: nx.DiGraph, kind: str) -> list[list[str]]:
    return [data["label"] for data in nodes(graph, kind)]


def titled(graph: nx.DiGraph, kind: str, title: str) -> str:
    return next(n for n, data in graph.nodes(data=True) if data["kind"] == kind and data["label"][0] == title)


def test_the_sample_has_only_fields_that_the_records_have() -> None:
    made = records.record()
    assert set(made) <= set(models.Recommendation.model_fields)
    assert set(made["mandate"]) <= set(models.Mandate.model_fields)
    assert set(made["market"]) <= set(models.MarketSummary.model_fields)
    assert set(made["candidates"][0]) <= set(models.Candidate.model_fields)
    assert set(made["candidates"][0]["pools"][0]) <= set(models.CandidatePool.model_fields)
    assert set(made["candidates"][0]["gates"][0]) <= set(models.Gate.model_fields)
    assert set(made["emptied"][0]) <= set(models.Emptied.model_fields)
    assert set(made["choice"]) <= set(models.Choice.model_fields)
    assert set(made["choice"]["expected"]) <= set(models.Expected.model_fields)
    assert set(made["alternatives"]["hold"]) <= set(models.Alternative.model_fields)
    assert set(records.infeasible()["conflicts"][0]) <= set(models.Conflict.model_fields)


def test_every_stage_of_a_choice_is_shown() -> None:
    graph = build_graph(records.record())
    assert labels(graph, "mandate") == [
        [
            "100 ETH, medium risk",
            "“I have 100 ETH for a year, medium risk, not on Curve, at most 40% in one pool. Where to?”",
            "horizon 365 days",
            "only on Ethereum, Base",
            "not through curve",
            "TVL ≥ $10m",
            "one pool ≤ 40%",
            "drawdown ≤ 5%",
            "no impermanent loss",
        ]
    ]
    assert labels(graph, "market") == [["172 pools seen", "snapshot of 2025-02-28", "? 1 warning on the data"]]
    assert labels(graph, "excluded") == [
        [
            "155 excluded",
            "96 · token not allowed",
            "31 · too small",
            "14 · short history",
            "6 · long gap",
            "4 · zero yield",
            "4 · other reasons",
        ]
    ]
    assert labels(graph, "eligible") == [
        ["17 eligible", "the user's limits drop", "3 · protocol left out", "2 · another chain"]
    ]
    assert [label[0] for label in labels(graph, "profile")] == [
        "Ultra Safe",
        "Conservative Growth",
        "Balanced Score",
        "Balanced APY",
        "Growth",
        "Aggressive Growth",
        "Blue Chip",
    ]
    assert labels(graph, "emptied") == [
        ["Maximum Yield", "emptied: TVL of a pool", "5 → 1 pools"],
        ["High Risk", "emptied: APY trending down", "4 → 0 pools"],
    ]
    assert labels(graph, "choice") == [
        [
            "Balanced Score",
            "inverse volatility",
            "APY 3.49%",
            "2.81% kept after losses and costs",
            "score 0.410",
            "income 3.3144 ETH in 365 days",
            "range 2.4871 to 4.0213 ETH",
            "+281 bps kept vs holding",
            "-64 bps kept vs risk-free",
        ]
    ]
    assert labels(graph, "pool")[0] == ["Compound v3 WETH, Base", "27.65% · 27.65 ETH", "APY 4.41% · TVL $38.1m"]
    assert len(labels(graph, "pool")) == 5


def test_a_profile_shows_its_best_apy_and_its_best_score() -> None:
    made = records.record()
    for total, apy, candidate in zip((0.5, 0.7125, 0.6), (0.0912, 0.05, 0.06), made["candidates"][:3], strict=True):
        candidate["score"]["total"], candidate["metrics"]["portfolio_apy"] = total, apy
    label = labels(build_graph(made), "profile")[0]
    assert label == ["Ultra Safe", "3 weightings · APY up to 9.12%", "best score 0.712 · inverse volatility"]


def risk_label(gates: list[list[dict[str, Any]]]) -> tuple[list[str], str]:
    made = records.record(emptied=[], choice=None, outcome="no_feasible_strategy")
    made["candidates"] = made["candidates"][: len(gates)]
    for candidate, own in zip(made["candidates"], gates, strict=True):
        candidate["gates"] = own
    (node,) = nodes(build_graph(made), "risk")
    return node["label"], node["verdict"]


def test_a_profile_passes_when_one_weighting_does() -> None:
    passed, failed = records.gate("max_weight", 0.4, 0.35), records.gate("max_weight", 0.4, 0.4122, passed=False)
    assert risk_label([[passed], [passed]]) == (["Passed"], "passed")
    assert risk_label([[failed], [passed]]) == (["1 of 2 passed", "✗ weight of one pool 41.22%, limit 40%"], "passed")
    assert risk_label([[failed], [failed]]) == (["Failed", "✗ weight of one pool 41.22%, limit 40%"], "failed")


def test_a_failed_limit_shows_the_span_of_the_values() -> None:
    gates = [[records.gate("protocol_share", 0.5, value, passed=False)] for value in (0.71, 0.55, 0.62)]
    assert risk_label(gates)[0] == ["Failed", "✗ share of one protocol 55% to 71%, limit 50%"]


def test_an_untested_limit_is_neither_passed_nor_failed() -> None:
    tested = records.gate("max_weight", 0.4, 0.35)
    untested = records.gate("max_drawdown", 0.05, 0.0, tested=False)
    assert risk_label([[tested, untested]]) == (["Passed", "? 1 limit untested"], "passed")
    assert risk_label([[untested]]) == (["Untested", "? 1 limit untested"], "untested")
    failed = records.gate("max_drawdown", 0.05, 0.09, passed=False)
    assert risk_label([[tested, failed]]) == (["Failed", "✗ loss by events 9%, limit 5%"], "failed")


def test_untested_limits_have_a_node_of_their_own() -> None:
    graph = build_graph(records.record())
    (node,) = nodes(graph, "untested")
    lines = ["Untested: loss limits", "? CVaR, limit 3%", "? loss by events, limit 5%", "? VaR, limit 2%"]
    assert (node["label"], node["verdict"]) == (lines, "untested")
    source, target = titled(graph, "untested", lines[0]), titled(graph, "choice", "Balanced Score")
    assert graph.edges[source, target]["style"] == "untested"
    without = records.record()
    for candidate in without["candidates"]:
        candidate["gates"] = [gate | {"tested": True} for gate in candidate["gates"]]
    assert not nodes(build_graph(without), "untested")
    mixed = records.record()
    mixed["candidates"][0]["gates"].append(records.gate("position_share", 0.05, None, tested=False))
    title, *limits = labels(build_graph(mixed), "untested")[0]
    assert title == "Untested limits"
    assert "? share of a pool, limit 5%" in limits


def test_a_profile_that_was_not_asked_for_says_so() -> None:
    gate = records.gate("profile_risk", "blue_chip", "growth", passed=False)
    assert risk_label([[gate]])[0] == ["Failed", "✗ not the profile asked for"]
    gate = records.gate("profile_risk", "low", "high", passed=False)
    assert risk_label([[gate]])[0] == ["Failed", "✗ high-risk profile, limit low"]


def test_what_was_sent_back_has_an_edge_back() -> None:
    graph = build_graph(records.record())
    back = [(a, b) for a, b, data in graph.edges(data=True) if data["style"] == "back"]
    profile = titled(graph, "profile", "Conservative Growth")
    assert [b for _, b in back] == [profile]
    assert all(graph.nodes[a]["kind"] == "risk" and graph.has_edge(b, a) for a, b in back)
    assert graph.edges[back[0]]["label"] == "sent back once"
    assert "3 of 3 revised" in graph.nodes[profile]["label"]
    assert all(data["style"] != "back" for _, _, data in build_graph(records.full_record()).edges(data=True))


def test_the_chosen_way_leads_from_the_market_to_the_pools() -> None:
    graph = build_graph(records.record())
    chosen = [(a, b) for a, b, data in graph.edges(data=True) if data["style"] == "chosen"]
    kinds = [(graph.nodes[a]["kind"], graph.nodes[b]["kind"]) for a, b in chosen]
    pools = [("choice", "pool")] * 5
    assert sorted(kinds) == sorted([("eligible", "profile"), ("profile", "risk"), ("risk", "choice"), *pools])
    weights = [data["weight"] for _, _, data in graph.edges(data=True) if data["weight"] is not None]
    assert weights == sorted((pool["weight"] for pool in records.record()["choice"]["pools"]), reverse=True)
    failed = [n for n, data in graph.nodes(data=True) if data["verdict"] == "failed"]
    assert failed
    assert not any(graph.out_degree(n) for n in failed)


@pytest.mark.parametrize(
    ("name", "kind", "title", "verdict", "parent"),
    [
        ("infeasible", "outcome", "No feasible strategy", "failed", "risk"),
        ("all_emptied", "outcome", "No feasible strategy", "failed", "emptied"),
        ("not_enough_data", "stopped", "Not enough data", "untested", "eligible"),
        ("out_of_scope", "stopped", "Out of scope", "failed", "mandate"),
    ],
)
def test_other_outcomes_end_in_a_node_that_says_so(name: str, kind: str, title: str, verdict: str, parent: str) -> None:
    made = records.OUTCOMES[name]()
    graph = build_graph(made)
    (node,) = nodes(graph, kind)
    assert (node["label"][0], node["verdict"]) == (title, verdict)
    assert node["label"][-1] == made["reason"]
    assert {graph.nodes[n]["kind"] for n in graph.predecessors(titled(graph, kind, title))} == {parent}
    assert not nodes(graph, "choice")
    assert not nodes(graph, "pool")


def test_conflicting_limits_are_named() -> None:
    label = labels(build_graph(records.infeasible()), "outcome")[0]
    assert label[1:3] == [
        "✗ APY: limit 12%, nearest 4.31%, stops 12",
        "✗ share of one protocol: limit 20%, nearest 50%, stops 12",
    ]


def test_a_synthetic_market_says_so() -> None:
    assert "SYNTHETIC, not a real market" in labels(build_graph(records.not_enough_data()), "market")[0]
    assert build_graph(records.not_enough_data()).graph["synthetic"] is True
    assert build_graph(records.record()).graph["synthetic"] is False


def test_nine_profiles_with_three_methods_make_nine_nodes_each() -> None:
    graph = build_graph(records.full_record())
    assert len(nodes(graph, "profile")) == len(nodes(graph, "risk")) == 9
    assert len(nodes(graph, "pool")) == 20
    assert labels(graph, "pool")[0] == ["Aave v3 WETH, Ethereum", "5% · 5 ETH · APY 2.13%"]


def numerals(text: str) -> list[str]:
    return re.findall(r"\d[\d,]*(?:\.\d+)?", text)


def shown_forms(value: Any) -> set[str]:
    """Return how a value of the record may be written: as it is, in percent, with fewer digits, in millions."""
    if isinstance(value, str):
        return set(numerals(value))
    forms = {f"{value:,.{digits}f}" for digits in range(5)}
    forms |= {f"{value * 100:,.{digits}f}" for digits in range(3)}
    forms |= {f"{value / scale:,.1f}" for scale in (1e6, 1e9)}
    return {form.rstrip("0").rstrip(".") if "." in form else form for form in forms} | forms


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)] + list(value)
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [] if value is None or isinstance(value, bool) else [value]


@pytest.mark.parametrize("name", records.OUTCOMES)
def test_every_number_is_the_records(name: str) -> None:
    made = records.OUTCOMES[name]()
    allowed = {form for leaf in leaves(made) for form in shown_forms(leaf if isinstance(leaf, str) else abs(leaf))}
    market = made["market"] or records.market()
    allowed |= {str(sum(market["excluded"].values())), str(sum(sorted(market["excluded"].values())[:-5]))}
    allowed |= {str(len(market["warnings"])), "1", "2", "3"}  # counts of weightings and of untested limits
    graph = build_graph(made)
    shown = {n for _, data in graph.nodes(data=True) for line in data["label"] for n in numerals(line)}
    shown |= set(numerals(graph.graph["title"]))
    assert len(shown) >= (30 if name in {"choice", "full"} else 0)
    assert shown <= allowed


@pytest.mark.parametrize("name", records.OUTCOMES)
def test_ids_attributes_and_pointers(name: str) -> None:
    made = records.OUTCOMES[name]()
    graph = build_graph(made)
    assert list(graph) == [f"n{i + 1}" for i in range(len(graph))]
    for _, data in graph.nodes(data=True):
        assert data["kind"] in LANE_OF_KIND
        assert data["verdict"] in MARKS
        assert data["label"]
        assert all(line and isinstance(line, str) for line in data["label"])
        assert data["pointers"]
        for pointer in data["pointers"]:
            place: Any = made
            for key in pointer.split("/")[1:]:
                place = place[int(key)] if isinstance(place, list) else place[key]


def test_the_pointer_of_a_pool_leads_to_its_weight() -> None:
    made = records.record()
    for node in nodes(build_graph(made), "pool"):
        index = int(node["pointers"][0].rsplit("/", 1)[1])
        assert node["label"][1].startswith(f"{made['choice']['pools'][index]['weight'] * 100:g}%")


def test_node_link_is_sorted_plain_data_and_round_trips() -> None:
    graph = build_graph(records.full_record())
    data = json.loads(json.dumps(node_link(graph), allow_nan=False))
    assert [node["id"] for node in data["nodes"]] == [f"n{i + 1}" for i in range(len(graph))]
    keys = [(int(edge["source"][1:]), int(edge["target"][1:])) for edge in data["edges"]]
    assert keys == sorted(keys)
    again = nx.node_link_graph(data, edges="edges")
    assert again.nodes == graph.nodes
    assert again.edges == graph.edges
    assert again.graph == graph.graph


def test_what_differs_between_equal_runs_is_not_shown() -> None:
    made = records.record(run_id="a", created_at="2025-03-01T00:00:00Z", usage={"seconds": 1.5}, trace=[{"seconds": 2}])
    made["market"] |= {"source": "/somewhere/else"}
    assert node_link(build_graph(made)) == node_link(build_graph(records.record()))


def test_amounts_that_are_not_known_are_not_shown() -> None:
    made = records.record(mandate=records.mandate(amount=None), alternatives=None)
    made["choice"]["pools"] = [pool | {"amount": None} for pool in made["choice"]["pools"]]
    made["choice"] |= {"amount": None}
    made["choice"]["expected"] |= {"income": None, "income_low": None, "income_high": None}
    graph = build_graph(made)
    assert labels(graph, "mandate")[0][0] == "ETH, medium risk"
    assert labels(graph, "choice") == [
        ["Balanced Score", "inverse volatility", "APY 3.49%", "2.81% kept after losses and costs", "score 0.410"]
    ]
    assert labels(graph, "pool")[0][1] == "27.65%"


def test_dollars_for_another_asset_are_shown_as_both() -> None:
    made = records.record(mandate=records.mandate(amount=None, amount_usd=250_000.0))
    made["choice"]["amount"] = 112.50461
    graph = build_graph(made)
    assert labels(graph, "mandate")[0][0] == "$250,000 in ETH, medium risk"
    assert labels(graph, "choice")[0][2] == "amount 112.5046 ETH"


SCRIPT = """
import hashlib, json, sys
sys.path.insert(0, sys.argv[1])
import flowchart_records
from tools.flowchart import render
made = [render(make()) for make in (*flowchart_records.OUTCOMES.values(), flowchart_records.hostile)]
text = json.dumps([[chart.graph, chart.mermaid, chart.svg, hashlib.sha256(chart.png).hexdigest()] for chart in made])
print(hashlib.sha256(text.encode()).hexdigest())
"""


def test_the_same_bytes_under_every_hash_seed() -> None:
    folder = Path(__file__).parent
    hashes = set()
    for seed in ("0", "1", "4242"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", SCRIPT, str(folder)]
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=folder.parents[2], check=True
        )
        hashes.add(done.stdout.strip())
    assert len(hashes) == 1
    assert len(hashes.pop()) == hashlib.sha256().digest_size * 2
