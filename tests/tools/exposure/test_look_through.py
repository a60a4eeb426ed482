"""What a pool depends on: shares looked through to the end, dated facts, and what is not known under its own name."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from exposure_pools import DAY, lying_in

from tools.errors import UsageError
from tools.exposure import Hit, build_graph, exposures
from tools.exposure.facts import carriers_at, links_at, load_bridges, load_links, load_together
from tools.exposure.nodes import shown, split
from tools.market.names import canonical_chain, chain_aliases
from tools.risk.protocol_facts import load_facts
from tools.strategies.tokens import known_symbols

NOVEMBER_2025 = dt.date(2025, 11, 10)


def hits_of(project, symbol, chain="Ethereum", day=DAY):
    made = lying_in(1, project, symbol, chain)
    return exposures([made], day)[made.id]


def unknowns(hits):
    return {node for node in hits if node.startswith("unknown:")}


def test_a_token_is_looked_through_to_what_it_wraps_and_who_answers_for_it():
    hits = hits_of("aave-v3", "WSTETH")
    whole = {"token:WSTETH", "token:STETH", "protocol:lido", "protocol:aave", "chain:Ethereum", "oracle:Chainlink"}
    assert hits == dict.fromkeys(sorted(whole), Hit(1.0, 1.0))


def test_a_pool_of_several_tokens_is_left_with_the_one_that_fails():
    hits = hits_of("curve-dex", "ETH-STETH")
    assert hits["protocol:lido"] == hits["token:STETH"] == Hit(0.5, 1.0)
    assert hits["protocol:curve"] == Hit(1.0, 1.0)
    assert "token:ETH" not in hits  # nobody issues the asset itself
    assert not unknowns(hits)


@pytest.mark.parametrize(
    ("day", "share"),
    [
        (dt.date(2022, 6, 1), None),
        (dt.date(2023, 3, 10), 0.52),
        (dt.date(2023, 6, 10), 0.236),
        (DAY, 0.094),
    ],
)
def test_a_partial_backing_counts_with_the_share_known_at_the_day(day, share):
    hits = hits_of("aave-v2", "DAI", day=day)
    assert hits.get("token:USDC") == hits.get("issuer:Circle") == (Hit(share, share) if share else None)
    assert hits["protocol:sky"] == Hit(1.0, 1.0)


def test_slices_of_different_tokens_add_up_and_what_is_lost_is_the_worst_of_them():
    crisis = dt.date(2023, 3, 10)
    hits = hits_of("curve-dex", "DAI-USDC-USDT", day=crisis)
    assert hits["issuer:Circle"] == Hit(pytest.approx((1 + 0.52) / 3, abs=1e-12), 1.0)
    assert hits_of("curve-dex", "DAI-USDT", day=crisis)["issuer:Circle"] == Hit(0.26, 0.52)
    assert hits_of("curve-dex", "STETH-WSTETH")["protocol:lido"] == Hit(1.0, 1.0)


def test_two_ways_to_the_same_issuer_are_one_dependence():
    hits = hits_of("aave-v3", "USDC.E", "Arbitrum")
    assert hits["issuer:Circle"] == hits["token:USDC"] == Hit(1.0, 1.0)
    assert "issuer:Canonical bridge" not in hits
    graph = build_graph([lying_in(1, "aave-v3", "USDC.E", "Arbitrum")], DAY)
    assert list(graph.successors("token:USDC.E")) == ["token:USDC"]


@pytest.mark.parametrize(
    ("project", "symbol", "chain", "bridges"),
    [
        ("aave-v3", "USDC.E", "Arbitrum", {"bridge:Arbitrum canonical bridge"}),
        ("aave-v2", "USDC.E", "Avalanche", {"bridge:Avalanche Bridge"}),
        ("aave-v3", "BTC.B", "Avalanche", {"bridge:Avalanche Bridge"}),
        ("aave-v3", "USDT0", "Polygon", {"bridge:LayerZero"}),
        ("aave-v3", "AXLUSDC", "Kava", {"bridge:Axelar"}),
        ("aave-v3", "USDC", "Base", set()),
        ("aave-v3", "USDC", "Fantom", {"unknown:bridge"}),
        ("fluid-dex", "WEETH-ETH", "Arbitrum", {"bridge:LayerZero"}),
        ("fluid-dex", "WSTETH-ETH", "Base", {"bridge:Base canonical bridge"}),
        ("aave-v3", "WETH", "op mainnet", set()),
        ("aave-v3", "WETH", "Avalanche", {"unknown:bridge"}),
        ("aave-v3", "WSTETH", "Ethereum", set()),
    ],
)
def test_a_bridged_token_hangs_on_the_bridge_that_carries_it_there(project, symbol, chain, bridges):
    hits = hits_of(project, symbol, chain)
    assert {node for node in hits if node.startswith("bridge:") or node == "unknown:bridge"} == bridges
    assert all(hits[node].lost_if_fails == 1.0 for node in bridges)


def test_a_bridge_carries_only_its_token_s_part_of_a_pool():
    assert hits_of("fluid-dex", "WEETH-ETH", "Arbitrum")["bridge:LayerZero"] == Hit(0.5, 1.0)
    assert hits_of("curve-dex", "USDE-WEETH", "Base")["bridge:LayerZero"] == Hit(1.0, 1.0)


def test_how_a_token_came_to_a_chain_is_not_known_before_it_was_public():
    assert unknowns(hits_of("aave-v3", "USDC", "Arbitrum", dt.date(2023, 1, 1))) == {"unknown:bridge"}


def test_a_vault_hangs_on_its_curator_and_on_those_behind_its_collateral():
    spark = hits_of("morpho-v1", "SPDAI")
    assert {"curator:Spark", "protocol:ethena", "issuer:Custodians and exchanges of Ethena"} <= set(spark)
    assert unknowns(spark) == {"unknown:oracle"}
    assert unknowns(hits_of("morpho-v1", "GTUSDCCORE")) == {"unknown:oracle"}
    assert unknowns(hits_of("morpho-v1", "RE7USDC")) == {"unknown:oracle", "unknown:collateral"}
    assert "curator:Gauntlet" in hits_of("morpho-v1", "GTUSDCF")
    assert unknowns(hits_of("euler-v2", "USDC")) == {"unknown:oracle", "unknown:collateral", "unknown:curator"}


def test_an_oracle_is_named_where_it_is_known_and_is_no_node_where_there_is_none():
    assert "oracle:Chainlink" in hits_of("aave-v3", "USDC")
    assert "oracle:Chainlink" in hits_of("benqi-lending", "USDC", "Avalanche")
    assert not [n for n in hits_of("uniswap-v3", "USDC-USDT") if "oracle" in n]
    assert not [n for n in hits_of("justlend", "USDT", "Tron") if "oracle" in n]  # its own: part of the protocol
    assert "unknown:oracle" in hits_of("hyperlend", "USDC")
    assert "unknown:oracle" in hits_of("aave-v3", "USDC", day=dt.date(2020, 1, 1))


def test_a_protocol_that_nothing_is_known_of_hides_its_oracle_and_its_collateral():
    assert unknowns(hits_of("nobody-knows", "USDC")) == {"unknown:oracle", "unknown:collateral"}
    assert unknowns(hits_of("yearn-finance", "USDC")) == {"unknown:collateral"}
    built_on = hits_of("morpho-v0-aavev2", "USDC")
    assert "protocol:aave" in built_on
    assert "unknown:collateral" not in built_on


def test_restaking_looks_through_to_eigenlayer():
    for symbol in ("EZETH", "WEETH", "RSETH"):
        assert hits_of("aave-v3", symbol)["protocol:eigenlayer"] == Hit(1.0, 1.0)
    assert "protocol:eigenlayer" not in hits_of("aave-v3", "WSTETH")


@pytest.mark.parametrize("day", [DAY, dt.date(2025, 11, 3), NOVEMBER_2025])
def test_the_collateral_of_streams_dollar_is_not_known_before_or_after_its_end(day):
    hits = hits_of("stream-finance", "XUSD", day=day)
    assert hits["unknown:collateral"] == Hit(1.0, 1.0)
    assert ("unknown:issuer" in hits) == (day == DAY)
    assert {"protocol:stream", "token:XUSD"} <= set(hits)


def test_two_dollars_that_back_each_other_do_not_go_round_in_circles():
    hits = hits_of("curve-dex", "DEUSD", day=NOVEMBER_2025)
    assert hits["token:XUSD"] == hits["protocol:stream"] == Hit(0.65, 0.65)
    assert hits["token:DEUSD"] == Hit(1.0, 1.0)
    assert hits["unknown:collateral"] == Hit(1.0, 1.0)  # 0.35 of its own and all that Stream had
    back = hits_of("stream-finance", "XUSD", day=NOVEMBER_2025)
    assert back["token:DEUSD"] == back["issuer:Elixir"] == Hit(0.19, 0.19)


def test_a_look_alike_is_another_token():
    hits = hits_of("curve-dex", "USD\u0421")
    assert {"unknown:issuer", "unknown:collateral"} <= set(hits)
    assert {"token:USDC", "issuer:Circle"}.isdisjoint(hits)
    assert "token:USDC (not listed)" in hits_of("curve-dex", "\uff35\uff33\uff24\uff23")


def test_a_token_that_is_in_no_list_is_found_under_its_symbol():
    hits = hits_of("anchor", "UST", "Terra")
    assert {"token:UST", "unknown:issuer", "unknown:collateral", "unknown:bridge"} <= set(hits)


def test_names_that_a_market_made_up_do_no_harm():
    hits = hits_of("a.-b:\n<x>", "USDC-<B>\u202eX", "ev\u202eil\nchain")
    assert all(shown(node) and not set("\n\u202e<") & set(node + shown(node)) for node in hits)


def test_nodes_lie_in_order_whatever_the_order_of_the_pools():
    pools = [lying_in(1, "aave-v3", "USDC"), lying_in(2, "curve-dex", "DAI-USDC-USDT"), lying_in(3, "lido", "STETH")]
    there, back = exposures(pools, DAY), exposures(pools[::-1], DAY)
    assert list(there) == list(back) == sorted(there)
    assert {p: list(h.items()) for p, h in there.items()} == {p: list(h.items()) for p, h in back.items()}
    assert all(list(h) == sorted(h) for h in there.values())
    assert len(there) == 3


def test_the_same_pool_twice_is_refused():
    with pytest.raises(ValueError, match="twice"):
        exposures([lying_in(1, "aave-v3", "USDC")] * 2, DAY)
    assert len(exposures([], DAY)) == 0


# ----- the data files -----


def test_the_facts_are_about_things_that_exist():
    for link in load_links():
        kind, _, name = link.origin.partition(":")
        if kind == "protocol":
            assert name in load_facts()
        if kind == "token":
            assert name in known_symbols() | {"XUSD", "DEUSD", "SDEUSD"}
        assert link.since <= dt.date(2025, 12, 31)
    for token, chain in carriers_at(dt.date.max):
        assert token in known_symbols()
        assert canonical_chain(chain) == chain
        assert chain.lower() in chain_aliases()
    assert {split(node)[0] for node in ("bridge:a", "unknown:oracle")} == {"bridge", "unknown"}
    assert load_bridges().canonical("Base") == "bridge:Base canonical bridge"
    assert all(0.0 <= judged.value <= 1.0 for judged in load_together().kinds.values())


def test_a_fact_with_share_zero_ends_an_older_one():
    def share(day):
        return {link.on: link.share for link in links_at(day).get("token:FRAX", ())}

    assert share(dt.date(2023, 3, 10)) == {"token:USDC": 0.92}
    assert share(DAY) == {"unknown:collateral": 1.0}


GOOD = """
[[link]]
from = "token:DAI"
on = "token:USDC"
share = 0.5
since = 2023-03-01
why = "peg stability module"
source = "https://example.org/dai"
"""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("share = 0.5", "share = 1.5", "share"),
        ("share = 0.5", "share = nan", "share"),
        ("https://", "ftp://", "source"),
        ("since = 2023-03-01\n", "", "since"),
        ("why =", "reason =", "why"),
        ('on = "token:USDC"', 'on = "coin:USDC"', "coin:USDC"),
        ('on = "token:USDC"', 'on = "token:usdc"', "upper case"),
        ('on = "token:USDC"', 'on = "protocol:aave-v3"', "no protocol family"),
        ('on = "token:USDC"', 'on = "issuer:Lido"', "protocol:lido"),
        ('on = "token:USDC"', 'on = "unknown:weather"', "must be one of"),
        ('from = "token:DAI"', 'from = "chain:Base"', "cannot start"),
        ("[[link]]", "[[link", "cannot read"),
    ],
)
def test_a_wrong_fact_is_named(tmp_path: Path, old: str, new: str, says: str):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.replace(old, new), encoding="utf-8")
    with pytest.raises(UsageError, match=says):
        load_links(path)


def test_a_fact_that_stands_twice_is_refused(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD + GOOD.replace("0.5", "0.4"), encoding="utf-8")
    with pytest.raises(UsageError, match="two links"):
        load_links(path)


def test_every_kind_must_be_judged(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text('[kinds]\nprotocol = { value = 1.0, why = "one fault" }\n[chains]\n', encoding="utf-8")
    with pytest.raises(UsageError, match="must judge"):
        load_together(path)
