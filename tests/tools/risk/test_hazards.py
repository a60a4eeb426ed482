"""Hazards: shrinkage by hand, quantiles against scipy, point in time, overrides, and what the data files must be."""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
import time
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from tools.errors import UsageError
from tools.records import NodeHazard, NodeKind
from tools.risk import hazard_data
from tools.risk.hazard_data import DEPEGS, HAZARDS, load_depegs, load_hazards
from tools.risk.hazards import Hazards, gamma_quantile, known_of
from tools.risk.protocol_facts import load_facts
from tools.strategies.tokens import known_symbols, load_tokens

DAY = dt.date(2025, 2, 28)


def seconds(day: dt.date) -> int:
    return int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp())


def hack(name: str, day: dt.date, amount: float | None) -> dict[str, Any]:
    return {"date": seconds(day), "name": name, "amount": amount, "targetType": "DeFi Protocol"}


def hazard(node_id: str, *hacks: dict[str, Any], day: dt.date = DAY, **more: Any) -> NodeHazard:
    found = Hazards(day, hacks, **more).of(node_id)
    assert found is not None
    return found


def mean_loss(found: NodeHazard) -> float:
    return found.rate * (found.severity_low + found.severity_high) / 2.0


# --- the formula --------------------------------------------------------------------------------------------------


def test_a_clean_record_shrinks_the_rate_of_the_class() -> None:
    group = load_hazards().protocol["lending"]
    years = (DAY - dt.date(2020, 1, 8)).days / 365
    expected = group.strength_years * 0.011 / (group.strength_years + years)
    assert hazard("protocol:aave").rate == pytest.approx(expected, rel=1e-5)


def test_low_and_high_are_the_quantiles_of_what_is_known_of_the_rate() -> None:
    found = hazard("protocol:radiant", hack("Radiant V2", dt.date(2024, 10, 16), None))
    group = load_hazards().protocol["lending"]
    weight = group.strength_years + (DAY - load_facts()["radiant"].launch[0].since).days / 365
    shape = group.strength_years * 0.011 + 1.0
    assert found.rate_low == pytest.approx(special.gammaincinv(shape, 0.1) / weight, rel=1e-5)
    assert found.rate_high == pytest.approx(special.gammaincinv(shape, 0.9) / weight, rel=1e-5)


def test_an_exploit_counts_by_the_share_of_the_tvl_that_it_took() -> None:
    group = load_hazards().protocol["lending"]
    weight = group.strength_years + (DAY - dt.date(2020, 1, 8)).days / 365
    clean = hazard("protocol:aave").rate
    for loss, tvl, events in ((3e8, 1e9, 0.5), (1e9, 1e9, 1.0), (1e3, 1e9, 0.1), (None, 1e9, 1.0)):
        hit = hazard("protocol:aave", hack("Aave V3", dt.date(2024, 5, 1), loss), tvl_usd={"aave": tvl})
        assert hit.rate - clean == pytest.approx(events / weight, rel=1e-4)
    unknown_tvl = hazard("protocol:aave", hack("Aave V3", dt.date(2024, 5, 1), 1.5e7))
    assert unknown_tvl.rate - clean == pytest.approx(0.5 / weight, rel=1e-4)


def test_the_tvl_of_the_day_comes_before_that_of_today() -> None:
    hit = hazard("protocol:compound", hack("Compound V2", dt.date(2021, 9, 29), 1.47e8), tvl_usd={"compound": 1e8})
    assert "counted as 0.1" in hit.basis


@given(st.floats(0.02, 200.0), st.sampled_from([0.1, 0.5, 0.9, 0.99]))
def test_quantiles_equal_those_of_scipy(shape: float, probability: float) -> None:
    assert gamma_quantile(shape, probability) == pytest.approx(special.gammaincinv(shape, probability), rel=1e-12)


def test_a_quantile_too_small_for_a_float_is_zero() -> None:
    assert gamma_quantile(0.001, 0.1) == 0.0


def test_low_central_and_high_are_in_order_for_every_node() -> None:
    hazards = Hazards(DAY, [hack("Radiant V2", dt.date(2024, 10, 16), 5.3e7)])
    nodes = [f"protocol:{family}" for family in load_facts()] + [f"token:{symbol}" for symbol in known_symbols()]
    nodes += [f"{kind}:never heard of" for kind in get_args(NodeKind)] + [
        f"unknown:{kind}" for kind in get_args(NodeKind)
    ]
    for node in nodes:
        found = hazards.of(node)
        assert found is None or 0.0 <= found.rate_low <= found.rate <= found.rate_high
        assert found is None or (found.basis and found.sources)
        assert found is None or found.rate == float(f"{found.rate:.6g}")


def test_the_basis_says_how_the_rate_came_about() -> None:
    assert hazard("protocol:aave").basis == (
        "lending prior 1.1 % a year over 20 years; 5.1 years live, 0 exploits known"
    )
    assert hazard("token:USDC").basis == "fiat backed prior 11 % a year over 10 years; 4.2 years watched, 1 depeg known"


# --- anchors ------------------------------------------------------------------------------------------------------


def test_a_clean_lender_of_three_years_loses_between_a_fifth_and_one_percent_a_year() -> None:
    assert 0.002 <= mean_loss(hazard("protocol:moonwell")) <= 0.010
    assert hazard("protocol:moonwell").rate_high * 0.6 <= 0.026  # what cover for the best known protocols costs


def test_what_is_unknown_is_worse_than_anything_known() -> None:
    unknown = mean_loss(hazard("protocol:never-heard-of"))
    assert unknown >= 0.05
    known = [kind for kind in load_hazards().protocol if kind != "unknown"]
    assert all(unknown > group.mean_severity * group.prior_at(DAY).rate for group in map(_protocol_class, known))
    assert mean_loss(hazard("token:NEVERHEARDOF")) > mean_loss(hazard("token:USDE")) > mean_loss(hazard("token:USDC"))


def _protocol_class(kind: str) -> hazard_data.ShrunkClass:
    return load_hazards().protocol[kind]


def test_the_profile_of_stream_expects_to_lose_more_than_it_pays() -> None:
    nodes = ("protocol:stream-finance", "token:XUSD (not listed)", "unknown:collateral", "unknown:issuer")
    assert math.fsum(mean_loss(hazard(node, day=dt.date(2025, 11, 2))) for node in nodes) > 0.18


# --- which nodes have one -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("node", ["token:ETH", "token:WETH", "token:BTC", "oracle:none", "token:WSTETH", "token:SUSDE"])
def test_native_coins_and_wrappers_have_no_hazard_of_their_own(node: str) -> None:
    assert Hazards(DAY, []).of(node) is None


@pytest.mark.parametrize("node", ["", "aave", "protocol:", "protocol: ", "pool:aave", ":aave", "Protocol:aave"])
def test_what_is_no_node_is_refused(node: str) -> None:
    with pytest.raises(UsageError, match="is no node"):
        Hazards(DAY, []).of(node)


def test_the_unknown_of_a_kind_is_its_unknown_class() -> None:
    hazards = Hazards(DAY, [])
    for kind in ("issuer", "bridge", "oracle", "curator", "chain"):
        assert hazards.of(f"unknown:{kind}") == hazards.of(f"{kind}:never heard of")
    assert hazards.of("unknown:protocol") == hazards.of("protocol:never-heard-of")
    assert hazards.of("unknown:token") == hazards.of("token:never heard of")


def test_names_are_found_in_any_case_and_by_their_ending() -> None:
    hazards = Hazards(DAY, [])
    assert hazards.of("issuer:circle") == hazards.of("issuer:Circle") != hazards.of("issuer:nobody")
    assert hazards.of("bridge:Base canonical bridge") == hazards.of("bridge:Linea canonical bridge")


def test_every_listed_token_and_curator_has_a_class() -> None:
    table, tokens = load_hazards(), load_tokens()
    bare = {symbol for symbol in known_symbols() if tokens.unwrapped(symbol) == symbol} - set(table.native)
    assert not [symbol for symbol in sorted(bare) if table.token_class(symbol) == "unknown"]
    unknown = table.curator["unknown"]
    names = {share.curator.split(" (")[0].split(",")[0] for share in tokens.shares.values()}
    assert not [name for name in sorted(names) if table.judged("curator", name) is unknown]


def test_a_family_of_several_kinds_is_judged_by_its_oldest_or_by_the_class_that_lists_it() -> None:
    assert known_of("curve", DAY).kind == "amm"
    assert hazard("protocol:fluid").basis.startswith("lending prior")


# --- point in time ------------------------------------------------------------------------------------------------


def test_later_exploits_depegs_launches_and_priors_are_not_seen() -> None:
    tomorrow = DAY + dt.timedelta(days=1)
    assert hazard("protocol:aave", hack("Aave V3", tomorrow, 1e9)) == hazard("protocol:aave")
    assert hazard("protocol:aave", hack("Aave V3", DAY, 1e9)).rate > hazard("protocol:aave").rate
    eve, day = dt.date(2023, 3, 10), dt.date(2023, 3, 11)
    assert "0 depegs known" in hazard("token:USDC", day=eve).basis
    assert "1 depeg known" in hazard("token:USDC", day=day).basis
    early = hazard("protocol:ethena", day=dt.date(2024, 2, 18)).basis
    assert early.startswith("unknown protocol")
    assert "launch unknown" in early
    assert "prior 1.4 %" in hazard("protocol:aave", day=dt.date(2024, 12, 31)).basis
    assert "prior 1.1 %" in hazard("protocol:aave", day=dt.date(2025, 1, 1)).basis


def test_before_the_first_prior_the_first_counts_and_says_so() -> None:
    assert hazard("protocol:aave", day=dt.date(2022, 6, 1)).basis.endswith("no prior is older than that of 2024-01-01")


def test_what_a_record_says_of_a_judged_class_names_no_later_year() -> None:
    table = load_hazards()
    for kind in ("issuer", "curator", "bridge", "chain", "oracle", "unknown"):
        for group in getattr(table, kind).values():
            assert "2024" not in group.says
            assert "2025" not in group.says


# --- overrides ----------------------------------------------------------------------------------------------------


def test_an_override_replaces_the_range_and_keeps_the_severity() -> None:
    own, usual = hazard("protocol:aave", overrides={"protocol:Aave": 0.01}), hazard("protocol:aave")
    assert (own.rate_low, own.rate, own.rate_high, own.basis) == (0.01, 0.01, 0.01, "set by the user")
    assert (own.severity_low, own.severity_high) == (usual.severity_low, usual.severity_high)
    assert hazard("token:USDC", overrides={"token:usdc": 0.0}).rate == 0.0
    assert hazard("token:ETH", overrides={"token:ETH": 0.02}).rate == 0.02
    assert hazard("protocol:lido", overrides={"protocol:aave": 0.5}) == hazard("protocol:lido")


@pytest.mark.parametrize(
    ("node", "rate"),
    [("aave", 0.1), ("pool:x", 0.1), ("token:USDC", -0.1), ("token:USDC", math.nan), ("token:USDC", math.inf),
     ("token:USDC", True), ("token:USDC", "0.1")],
)  # fmt: skip
def test_an_override_that_is_none_is_refused_by_name(node: str, rate: Any) -> None:
    with pytest.raises(UsageError, match=node):
        Hazards(DAY, [], {node: rate})


@pytest.mark.parametrize("tvl", [-1.0, math.nan, math.inf])
def test_a_tvl_that_is_no_amount_is_refused(tvl: float) -> None:
    with pytest.raises(ValueError, match="'aave'"):
        Hazards(DAY, [], tvl_usd={"aave": tvl})


# --- the data files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("[protocol.lending]", "[protocol.lendng]", "the class protocol.lending is missing"),
        ("[issuer.unknown]", "[issuer.others]", "the class issuer.unknown is missing"),
        ("rate = [0.0005, 0.002, 0.01]", "rate = [0.0005, 0.02, 0.01]", "rate must be [low, central, high]"),
        ("severity = [0.0, 0.06]", "severity = [0.1, 0.06]", "severity must be [low, high]"),
        ("severity = [0.0, 0.06]", "severity = [0.0, 1.06]", "less than or equal to 1"),
        ("strength_years = 20.0", "strength_years = 0.0", "protocol.lending.strength_years"),
        ("USDC = 2018-09-26", 'USDC = "2018"', "token.fiat_backed.tokens.USDC"),
        ('undated = ["USDTB", "M"]', 'undated = ["DAI", "M"]', "DAI stands in two classes of tokens"),
        ("native =", "natives =", "native"),
        ("[protocol.lending]", "[protocol.lending", "cannot read the hazards"),
    ],
)
def test_a_wrong_file_of_hazards_is_refused_by_name(tmp_path: Path, old: str, new: str, named: str) -> None:
    text = HAZARDS.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "hazards.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UsageError, match=r"hazards\.toml") as refused:
        load_hazards(path)
    assert named in str(refused.value)


@pytest.mark.parametrize("line", ["2023-13-11,USDC,0.9,x,y", "2023-03-11,USDC,1.1,x,y", "2023-03-11,USDC,nan,x,y",
                                  "2023-03-11,,0.9,x,y", "2023-03-11,USDC,0.9,x,", "2023-03-11,USDC"])  # fmt: skip
def test_a_wrong_depeg_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "depegs.csv"
    path.write_text(f"day,token,low,venue,source\n{line}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"depegs\.csv"):
        load_depegs(path)


def test_every_depeg_is_one_by_the_rule_and_of_a_token_with_a_class() -> None:
    table = load_hazards()
    for depeg in load_depegs(DEPEGS):
        assert depeg.low <= 0.95
        assert depeg.day >= table.depegs_since
        assert depeg.source.startswith("https://")
        assert table.token_class(depeg.token) != "unknown", depeg.token


@pytest.mark.parametrize(
    ("token", "column"), [("USDC", "usdc"), ("USDT", "usdt"), ("DAI", "dai"), ("USDP", "usdp"), ("UST", "ust")]
)
def test_the_depegs_agree_with_the_recorded_prices(market_folder: Path, token: str, column: str) -> None:
    """Every fall to 0.95 in the prices is listed and every listed one is there; UST's last goes on for good."""
    with (market_folder / "prices" / f"{column}_usd_daily.csv").open(newline="") as file:
        lows = {dt.date.fromisoformat(row["date"]): float(row["low"]) for row in csv.DictReader(file)}
    listed = [depeg for depeg in load_depegs() if depeg.token == token]
    assert all(min(low for day, low in lows.items() if day >= one.day) <= one.low * 1.001 for one in listed)
    for one in listed[:-1] if token == "UST" else listed:
        assert lows[one.day] == pytest.approx(one.low, abs=1e-3)
    fell = [day for day, low in lows.items() if low <= 0.95 and day >= load_hazards().depegs_since]
    if token == "UST":  # its first fall of 2020-12 was a price of its first weeks
        fell = [day for day in fell if dt.date(2021, 2, 1) <= day < dt.date(2022, 5, 9)]
    assert all(any(abs((day - one.day).days) <= 30 for one in listed) for day in fell)


def test_the_hazards_of_a_market_take_less_than_ten_milliseconds(market_folder: Path) -> None:
    hacks = json.loads((market_folder / "hacks.json").read_text())
    nodes = [f"protocol:{family}" for family in list(load_facts())[:80]]
    Hazards(DAY, hacks).of(nodes[0])  # the files and names are read once in a run

    def once() -> float:
        start = time.process_time()
        hazards = Hazards(DAY, hacks)
        for node in nodes:
            hazards.of(node)
        return time.process_time() - start

    assert min(once() for _ in range(5)) < 0.010
