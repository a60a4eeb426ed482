"""Slugs to families, chains to one spelling, names to show."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from tools.errors import UsageError
from tools.market import names
from tools.market.names import (
    canonical_chain,
    chain_aliases,
    display_project,
    family_aliases,
    family_of,
    is_family_name,
)


@pytest.mark.parametrize(
    ("family", "slugs"),
    [
        ("aave", "aave aave-v2 aave-v3 Aave-V3 aave-v4"),
        ("curve", "curve-dex curve-finance curve-llamalend crvusd"),
        ("uniswap", "uniswap-v2 uniswap-v3 uniswap-v4"),
        ("pancakeswap", "pancakeswap-amm pancakeswap-amm-v3 pancakeswap-stableswap"),
        ("rocket-pool", "rocket-pool"),
        ("ether-fi", "ether.fi-stake ether.fi-liquid ether.fi etherfi"),
        ("morpho", "morpho-blue morpho-v1 morpho-v0-aavev2 morpho-v0-compoundv2 morpho-aave"),
        ("fluid", "fluid-lending fluid-dex fluid-lite"),
        ("aerodrome", "aerodrome-slipstream aerodrome-v1"),
        ("compound", "compound compound-v2 compound-v3"),
        ("sky", "sky-lending makerdao"),
        ("spark", "spark sparklend spark-savings"),
        ("ethena", "ethena-usde"),
        ("yearn", "yearn-finance"),
        ("convex", "convex-finance"),
        ("frax", "frax frax-ether fraxlend"),
        ("balancer", "balancer-v2 balancer-v3"),
        ("trader-joe", "joe-v2.1 joe-lend trader-joe-dex"),
        ("jito", "jito-liquid-staking"),
        ("alpaca", "alpaca-finance-2.0 alpaca-leveraged-yield-farming"),
        ("stake-dao", "stake-dao stakedao"),
        ("origin", "origin-ether origin-dollar"),
        ("dinero", "dinero-(pxeth)"),
        ("maple", "maple syrup"),
        ("euler", "euler-v2"),
        ("liquid-collective", "liquid-collective"),
        ("coinbase-wrapped-staked-eth", "coinbase-wrapped-staked-eth"),
    ],
)
def test_slugs_of_one_protocol_share_its_family(family: str, slugs: str) -> None:
    assert {family_of(slug) for slug in slugs.split()} == {family}


@pytest.mark.parametrize(
    ("slug", "other"),
    [
        ("compounder-finance", "compound"),
        ("sparkdex-v3.1", "spark"),
        ("eulerbeats", "euler"),
        ("aavegotchi", "aave"),
        ("reservoir-protocol", "reserve"),
        ("uniswapx", "uniswap"),
        ("hyperlend-pooled", "hyperliquid-hlp"),
        ("curvance", "curve"),
    ],
)
def test_names_are_compared_whole(slug: str, other: str) -> None:
    assert family_of(slug) != other


@pytest.mark.parametrize("slug", ["", "---", "💥", "v3"])
def test_any_text_has_a_family_of_the_right_form(slug: str) -> None:
    assert is_family_name(family_of(slug))


def test_an_unknown_slug_loses_only_its_version_and_kind() -> None:
    assert family_of("brand-new-thing-amm-v3") == "brand-new-thing"
    assert family_of("web3.world") == "web3-world"
    assert family_of("v3") == "v3"


def test_families_are_found_by_what_people_type() -> None:
    aliases = family_aliases()
    typed = {"rocketpool": "rocket-pool", "rocket pool": "rocket-pool", "etherfi": "ether-fi", "ether.fi": "ether-fi"}
    typed |= {
        "pancake": "pancakeswap",
        "univ3": "uniswap",
        "uni": "uniswap",
        "makerdao": "sky",
        "stake dao": "stake-dao",
    }
    assert {alias: aliases[alias] for alias in typed} == typed


def test_every_family_is_lower_case_hyphenated_and_its_own() -> None:
    for alias, family in family_aliases().items():
        assert is_family_name(family)
        assert alias == alias.lower()
        assert family_of(family) == family
        assert family_aliases()[family] == family


def test_no_alias_of_a_protocol_is_the_name_of_a_chain() -> None:
    assert set(family_aliases()) & set(chain_aliases()) == set()


def test_no_alias_belongs_to_two(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "families.toml").write_text('[one]\nname = "One"\naliases = ["two"]\n[two]\nname = "Two"\n')
    monkeypatch.setattr(names, "_DATA", tmp_path)
    with pytest.raises(UsageError, match="'two' belongs to both one and two"):
        names._families.__wrapped__()


def test_slugs_with_a_name_of_their_own_belong_to_their_family() -> None:
    families = names._families()
    shown_under = {slug: family for slug, family in families.slugs.items() if family not in families.names}
    assert shown_under == {}
    for slug, shown in families.display.items():
        assert family_of(slug) in families.names, f"{slug} ({shown}) is filed nowhere"


@pytest.mark.parametrize(
    ("slug", "shown"),
    [
        ("aave-v3", "Aave v3"),
        ("curve-dex", "Curve"),
        ("morpho-blue", "Morpho Blue"),
        ("pancakeswap-amm-v3", "PancakeSwap v3"),
        ("joe-v2.1", "Trader Joe v2.1"),
        ("rocket-pool", "Rocket Pool"),
        ("ether.fi-stake", "ether.fi Stake"),
        ("brand-new-thing-v2", "Brand New Thing v2"),
        ("<b>evil</b>`x`\x1b[31m", "b evil /b x 31m"),
        ("", "unnamed"),
    ],
)
def test_projects_are_shown_by_their_name(slug: str, shown: str) -> None:
    assert display_project(slug) == shown


@pytest.mark.parametrize(
    ("spellings", "name"),
    [
        ("Ethereum,ethereum,mainnet,ETH mainnet,L1", "Ethereum"),
        ("Arbitrum,arb,Arbitrum One", "Arbitrum"),
        ("OP Mainnet,Optimism,op", "Optimism"),
        ("Polygon,matic", "Polygon"),
        ("BSC,BNB Chain,binance smart chain", "BSC"),
        ("Avalanche,avax", "Avalanche"),
        ("Gnosis,xDai", "Gnosis"),
        ("zkSync Era,zkSync,Zksync", "zkSync Era"),
        ("Hyperliquid L1,Hyperliquid,Hyperevm", "Hyperliquid"),
        ("TON,Ton", "Ton"),
        ("Aptos,APTOS", "Aptos"),
        ("Base", "Base"),
    ],
)
def test_spellings_of_a_chain_are_one(spellings: str, name: str) -> None:
    assert {canonical_chain(spelling) for spelling in spellings.split(",")} == {name}


def test_an_unknown_chain_keeps_its_spelling() -> None:
    assert canonical_chain(" Nowhere Chain ") == "Nowhere Chain"


def test_every_large_project_of_the_recorded_market_is_known(market_folder: Path) -> None:
    with gzip.open(market_folder / "pools" / "2025-11-03.json.gz") as file:
        rows = json.load(file)["data"]
    tvl: Counter[str] = Counter()
    chains: Counter[str] = Counter()
    for row in rows:
        tvl[row["project"]] += row["tvlUsd"] or 0
        chains[row["chain"]] += row["tvlUsd"] or 0
    known = set(family_aliases().values())
    assert [project for project, total in tvl.items() if total > 20e6 and family_of(project) not in known] == []
    assert [chain for chain, total in chains.items() if total > 20e6 and chain.lower() not in chain_aliases()] == []
