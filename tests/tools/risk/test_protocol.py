"""The protocol risk score: point in time, unknown is never safe, caps, and what the data file must be."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.errors import UsageError
from tools.market.names import family_of, is_family_name
from tools.risk import protocol, protocol_facts
from tools.risk.protocol import ProtocolAssessment, assess, assess_all, family_tvl
from tools.risk.protocol_facts import FACTS, load_facts

DAY = dt.date(2025, 2, 28)
UNRELATED = {"date": 1_600_000_000, "name": "Nobody's Farm", "amount": 1e6, "targetType": "DeFi Protocol"}


def seconds(day: dt.date) -> int:
    return int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp())


def hack(name: str, day: dt.date, amount: object = 5e6, **more: object) -> dict[str, Any]:
    return {"date": seconds(day), "name": name, "amount": amount, "targetType": "DeFi Protocol", **more}


def risk_of(
    project: str, *hacks: dict[str, Any], day: dt.date = DAY, tvl: float | None = 2e9, facts: Path | None = None
) -> float:
    return assess(project, as_of=day, protocol_tvl_usd=tvl, hacks=[UNRELATED, *hacks], facts=facts).risk


FACTS_OF_ONE = """
[aave]
launch = [{ value = "v3", since = 2022-03-16, source = "https://example.org/launch" }]
category = [{ value = "lending", since = 2022-03-16, source = "https://example.org/docs" }]
audit = [
  { value = "First", since = 2022-01-01, source = "https://example.org/a" },
  { value = "Second", since = 2024-01-01, source = "https://example.org/b" },
]
"""


@pytest.fixture
def facts_file(tmp_path: Path) -> Path:
    path = tmp_path / "facts.toml"
    path.write_text(FACTS_OF_ONE)
    return path


# --- unknown never counts as safe ---------------------------------------------------------------------------------


def test_an_unknown_protocol_is_never_safe_however_large() -> None:
    found = assess("never-heard-of", as_of=DAY, protocol_tvl_usd=1e12, hacks=[UNRELATED])
    assert found.risk >= 0.75
    assert not found.known
    assert found.components["audits"].score == found.components["technical"].score == 0.0
    assert found.caps[0].risk_at_least == 0.75


def test_a_version_that_the_file_does_not_name_is_unknown() -> None:
    assert risk_of("aave-v9") >= 0.75
    assert risk_of("aave-v3") < 0.30


def test_unknown_tvl_scores_as_the_smallest() -> None:
    assert risk_of("aave-v3", tvl=None) == risk_of("aave-v3", tvl=0.0) > risk_of("aave-v3", tvl=1e9)


def test_no_known_audit_cannot_be_safe() -> None:
    found = assess("binance-staked-eth", as_of=DAY, protocol_tvl_usd=1e11, hacks=[UNRELATED])
    assert found.known
    assert found.risk >= 0.60
    assert "no audit known" in [cap.reason for cap in found.caps]


def test_the_audit_of_a_forked_code_is_not_an_audit() -> None:
    found = assess("sushiswap-v3", as_of=DAY, protocol_tvl_usd=1e10, hacks=[UNRELATED])
    assert 0 < found.components["audits"].score < 0.5
    assert found.risk >= 0.60


def test_every_missing_fact_costs(tmp_path: Path, facts_file: Path) -> None:
    fuller = tmp_path / "fuller.toml"
    source = 'since = 2022-03-16, source = "https://example.org/x"'
    more = {"governance": '"token_vote"', "admin": '"immutable"', "oracle": '"none"', "bug_bounty_usd": "1000000"}
    for kind, value in more.items():
        fuller.write_text(facts_file.read_text() + f"{kind} = [{{ value = {value}, {source} }}]\n")
        load_facts.cache_clear()
        protocol._standing.cache_clear()
        assert risk_of("aave-v3", facts=fuller) < risk_of("aave-v3", facts=facts_file)


def test_without_a_list_of_exploits_there_is_no_clean_record() -> None:
    listed = assess("aave-v3", as_of=DAY, protocol_tvl_usd=1e9, hacks=[UNRELATED])
    unlisted = assess("aave-v3", as_of=DAY, protocol_tvl_usd=1e9, hacks=[])
    assert unlisted.risk > listed.risk


@pytest.mark.parametrize("tvl", [math.nan, math.inf, -1.0])
def test_a_tvl_that_is_no_amount_is_refused(tvl: float) -> None:
    with pytest.raises(ValueError, match="finite and not negative"):
        assess("aave-v3", as_of=DAY, protocol_tvl_usd=tvl, hacks=[])


# --- point in time ------------------------------------------------------------------------------------------------


def test_facts_after_the_day_are_not_seen(facts_file: Path) -> None:
    before, after = dt.date(2023, 12, 31), dt.date(2024, 1, 1)
    early = assess("aave-v3", as_of=before, protocol_tvl_usd=1e9, hacks=[], facts=facts_file).components["audits"]
    late = assess("aave-v3", as_of=after, protocol_tvl_usd=1e9, hacks=[], facts=facts_file).components["audits"]
    assert "Second" not in early.evidence
    assert "Second" in late.evidence
    assert early.score == pytest.approx(0.3)
    assert late.score == pytest.approx(0.51)
    assert early.known_since == dt.date(2022, 1, 1)


def test_a_fact_about_the_version_comes_before_a_later_one_about_the_family(facts_file: Path) -> None:
    of_v3 = '{ value = "immutable", since = 2022-03-16, covers = ["aave-v3"], source = "https://example.org/x" }'
    of_all = '{ value = "company", since = 2024-01-01, source = "https://example.org/x" }'
    facts_file.write_text(FACTS_OF_ONE + f"admin = [{of_v3}, {of_all}]\n")
    for project, words in (("aave-v3", "nobody can change the code"), ("aave-v2", "one company can change it")):
        found = assess(project, as_of=DAY, protocol_tvl_usd=1e9, hacks=[], facts=facts_file)
        assert words in found.components["technical"].evidence


def test_a_protocol_is_unknown_before_its_launch() -> None:
    assert not assess("ethena-usde", as_of=dt.date(2024, 2, 18), protocol_tvl_usd=1e9, hacks=[]).known
    assert assess("ethena-usde", as_of=dt.date(2024, 2, 19), protocol_tvl_usd=1e9, hacks=[]).known


def test_no_assessment_rests_on_a_later_fact() -> None:
    day = dt.date(2023, 7, 26)
    for family, facts in load_facts().items():
        slugs = {slug for fact in facts.each() for slug in fact.covers} | {family}
        for slug in slugs:
            found = assess(slug, as_of=day, protocol_tvl_usd=1e9, hacks=[])
            assert all(part.known_since is None or part.known_since <= day for part in found.components.values())


def test_exploits_after_the_day_are_not_seen() -> None:
    tomorrow = hack("Aave V3", DAY + dt.timedelta(days=1), 1e9)
    same_day = hack("Aave V3", DAY, 1e9)
    assert risk_of("aave-v3", tomorrow) == risk_of("aave-v3")
    assert risk_of("aave-v3", same_day) >= 0.75


# --- caps ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "tvl", "at_least"),
    [
        (43_000.0, 2e9, 0.45),
        (2e6, 2e9, 0.50),
        (2e7, 1e10, 0.60),
        (9e6, 8.5e8, 0.60),
        (1e8, 1e11, 0.75),
        (5e6, 4e7, 0.75),
        (None, 2e9, 0.75),
        ("5", 2e9, 0.75),
        (True, 2e9, 0.75),
        (math.nan, 2e9, 0.75),
        (1e3, None, 0.75),
        (1e3, 0.0, 0.75),
    ],
)
def test_an_exploit_of_the_last_year_caps_by_its_size(amount: object, tvl: float | None, at_least: float) -> None:
    found = assess("lido", as_of=DAY, protocol_tvl_usd=tvl, hacks=[hack("Lido", dt.date(2024, 9, 1), amount)])
    assert found.caps[0].risk_at_least == at_least
    assert found.risk >= at_least
    if tvl and tvl >= 2e9:
        assert found.risk == at_least


def test_an_exploit_of_more_than_a_year_ago_only_lowers_the_record() -> None:
    old = hack("Aave V3", DAY - dt.timedelta(days=366), 1e9)
    edge = hack("Aave V3", DAY - dt.timedelta(days=365), 1e9)
    assert risk_of("aave-v3") < risk_of("aave-v3", old) < 0.30
    assert risk_of("aave-v3", edge) == 0.75


def test_an_exploit_of_unknown_date_counts() -> None:
    assert risk_of("aave-v3", {"date": None, "name": "Aave V3", "amount": 2e6}) >= 0.50


@pytest.mark.parametrize(
    ("project", "name", "parent"),
    [
        ("gmx-v2-perps", "GMX V1 Perps", "parent#gmx"),
        ("yearn-finance", "Yearn Ether", "parent#yearn"),
        ("curve-dex", "Curve DEX", "parent#curve-finance"),
        ("venus-core-pool", "Venus Core Pool", "parent#venus-finance"),
        ("bedrock-unieth", "uniBTC", None),
        ("inverse-finance-firm", "Inverse Finance Frontier", "parent#inverse-finance"),
        ("sushiswap", "SushiSwap", None),
        ("sky-lending", "MakerDAO (Oasis)", None),
    ],
)
def test_an_exploit_is_matched_to_its_family(project: str, name: str, parent: str | None) -> None:
    caps = assess(project, as_of=DAY, protocol_tvl_usd=1e9, hacks=[hack(name, DAY, parentProtocolId=parent)]).caps
    assert any(name in cap.reason for cap in caps)


@pytest.mark.parametrize(
    ("project", "name", "kind"),
    [
        ("morpho-v1", "LeadBlock's Morpho Blue Market", "DeFi Protocol"),
        ("compound-v3", "Compounder Finance", "DeFi Protocol"),
        ("compound-v3", "Corepound", "DeFi Protocol"),
        ("pendle", "Penpie", "DeFi Protocol"),
        ("spark", "Sparkster", "DeFi Protocol"),
        ("coinbase-wrapped-staked-eth", "Coinbase", "CEX"),
        ("aave-v3", "Aave V3", "CEX"),
        ("aave-v3", "", "DeFi Protocol"),
    ],
)
def test_an_exploit_of_somebody_else_is_not_counted(project: str, name: str, kind: str) -> None:
    caps = assess(project, as_of=DAY, protocol_tvl_usd=1e9, hacks=[hack(name, DAY, 1e9, targetType=kind)]).caps
    assert not any("exploited" in cap.reason for cap in caps)


def test_the_young_are_not_safe() -> None:
    launch = dt.date(2025, 1, 30)
    young = assess("uniswap-v4", as_of=launch + dt.timedelta(days=179), protocol_tvl_usd=1e10, hacks=[UNRELATED])
    older = assess("uniswap-v4", as_of=launch + dt.timedelta(days=180), protocol_tvl_usd=1e10, hacks=[UNRELATED])
    assert young.risk == 0.60
    assert older.risk < 0.30


@pytest.mark.parametrize("project", ["ethena-usde", "resolv", "solv-basis-trading"])
def test_basis_trading_stays_above_half(project: str) -> None:
    assert 0.50 <= risk_of(project, tvl=1e11, day=dt.date(2025, 9, 26)) < 0.60


def test_curated_vaults_stand_above_the_protocol_that_they_use() -> None:
    assert risk_of("morpho-v1") > risk_of("morpho-blue")


# --- the score ----------------------------------------------------------------------------------------------------


@given(small=st.floats(0, 1e12), more=st.floats(0, 1e12), exploited=st.booleans())
def test_more_tvl_never_raises_the_risk(small: float, more: float, exploited: bool) -> None:
    hacks = [hack("Aave V3", DAY, 3e6)] if exploited else []
    assert risk_of("aave-v3", *hacks, tvl=small + more) <= risk_of("aave-v3", *hacks, tvl=small)
    assert risk_of("aave-v3", *hacks, tvl=small) <= risk_of("aave-v3", *hacks, tvl=None)


def test_the_risk_is_one_minus_the_weighted_score_unless_capped() -> None:
    found = assess("aave-v3", as_of=DAY, protocol_tvl_usd=1e8, hacks=[UNRELATED])
    assert list(found.components) == ["tvl", "audits", "community", "technical"]
    assert [part.weight for part in found.components.values()] == [0.30, 0.40, 0.15, 0.15]
    assert found.caps == ()
    assert found.components["tvl"].score == pytest.approx(0.5)
    assert found.components["audits"].score == pytest.approx(1 - 0.7**11)
    assert found.components["technical"].score == pytest.approx(0.5 * 0.85 + 0.3 * 0.8 + 0.2 * 0.75)
    age = math.log1p((DAY - dt.date(2022, 3, 16)).days / 365) / math.log(5)
    assert found.components["community"].score == pytest.approx(0.4 * age + 0.6)
    assert found.risk == pytest.approx(1 - sum(part.weight * part.score for part in found.components.values()))


def test_each_part_says_why_and_according_to_whom() -> None:
    for part in assess("aave-v3", as_of=DAY, protocol_tvl_usd=1e9, hacks=[UNRELATED]).components.values():
        assert part.evidence
        assert part.sources
        assert part.known_since is not None


def test_the_order_of_exploits_does_not_matter() -> None:
    hacks = [hack("Aave V3", dt.date(2024, month, 1), 1e6 * month) for month in range(1, 13)]
    forward = assess("aave-v3", as_of=DAY, protocol_tvl_usd=1e9, hacks=hacks)
    assert assess("aave-v3", as_of=DAY, protocol_tvl_usd=1e9, hacks=hacks[::-1]) == forward


def test_many_at_once_are_as_one_by_one() -> None:
    hacks = [hack("Lido", dt.date(2024, 9, 1), 2e6)]
    together = assess_all({"lido": 1e9, "aave-v3": None}, as_of=DAY, hacks=hacks)
    assert together["lido"] == assess("lido", as_of=DAY, protocol_tvl_usd=1e9, hacks=hacks)
    assert together["aave-v3"] == assess("aave-v3", as_of=DAY, protocol_tvl_usd=None, hacks=hacks)


def test_tvl_is_summed_by_family_in_any_order() -> None:
    pools = [
        ("aave-v3", 0.1),
        ("lido", 1e10),
        ("aave-v2", 0.2),
        ("aave-v3", 0.3),
        ("aave-v3", 1e16),
        ("aave-v2", -1e16),
    ]
    assert family_tvl(pools) == family_tvl(pools[::-1]) == {"aave": pytest.approx(0.6), "lido": 1e10}


# --- the data file ------------------------------------------------------------------------------------------------


def test_every_fact_has_a_source_and_a_day_and_every_table_is_a_family() -> None:
    families = load_facts()
    assert len(families) >= 60
    for family, facts in families.items():
        assert is_family_name(family)
        assert family_of(family) == family
        for fact in facts.each():
            assert fact.source.startswith("https://")
            assert dt.date(2017, 1, 1) <= fact.since <= dt.date(2026, 1, 1)


def test_no_firm_is_counted_twice_for_a_slug() -> None:
    for family, facts in load_facts().items():
        for slug in {slug for fact in facts.audit for slug in fact.covers}:
            firms = [fact.value for fact in facts.audit if not fact.covers or slug in fact.covers]
            assert len(firms) == len(set(firms)), f"{family}: {slug}"


def test_the_scores_name_exactly_the_values_that_facts_may_have() -> None:
    assert set(protocol.CATEGORIES) == set(get_args(protocol_facts.Kind))
    assert set(protocol.GOVERNANCE) == set(get_args(protocol_facts.Governance))
    assert set(protocol.ADMIN) == set(get_args(protocol_facts.Admin))
    assert set(protocol.ORACLE) == set(get_args(protocol_facts.Oracle))
    for weights in (protocol.WEIGHTS, protocol.COMMUNITY_WEIGHTS, protocol.TECHNICAL_WEIGHTS):
        assert math.fsum(weights.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("since = 2022-03-16, ", "", "aave.launch.0.since"),
        ("since = 2022-03-16", 'since = "2022-03-16"', "aave.launch.0.since"),
        ("since = 2022-03-16", "since = 1822-03-16", "aave.launch.0.since"),
        (', source = "https://example.org/a"', "", "aave.audit.0.source"),
        ("https://example.org/a", "http://example.org/a", "aave.audit.0.source"),
        ('value = "lending"', 'value = "lendng"', "aave.category.0.value"),
        ("category =", "categry =", "aave.categry"),
        ("launch =", "audits =", "aave.launch"),
        ("[aave]", "[Aave]", "'Aave' is not a protocol family"),
        ("[aave]", "[aave-v3]", "'aave-v3' is not a protocol family"),
        ('value = "First"', 'covers = ["lido"], value = "First"', "aave covers 'lido', which belongs to 'lido'"),
        ("[aave]", "[aave", "cannot read the protocol facts facts.toml"),
    ],
)
def test_a_wrong_file_is_refused_by_name(facts_file: Path, old: str, new: str, named: str) -> None:
    text = facts_file.read_text()
    assert old in text
    facts_file.write_text(text.replace(old, new, 1))
    load_facts.cache_clear()
    with pytest.raises(UsageError, match=r"facts\.toml") as refused:
        load_facts(facts_file)
    assert named in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        load_facts(tmp_path / "none.toml")


# --- the recorded market ------------------------------------------------------------------------------------------


def recorded(market_folder: Path, day: dt.date) -> tuple[list[dict[str, Any]], dict[str, ProtocolAssessment]]:
    with gzip.open(market_folder / "pools" / f"{day.isoformat()}.json.gz") as file:
        rows = json.load(file)["data"]
    tvl = family_tvl((row["project"], row["tvlUsd"] or 0.0) for row in rows)
    hacks = json.loads((market_folder / "hacks.json").read_text())
    return rows, assess_all({row["project"]: tvl[family_of(row["project"])] for row in rows}, as_of=day, hacks=hacks)


def test_the_recorded_market_of_dollars(market_folder: Path) -> None:
    _, found = recorded(market_folder, DAY)
    risk = {project: assessment.risk for project, assessment in found.items()}
    assert max(risk[project] for project in ("aave-v3", "lido", "uniswap-v3", "curve-dex")) <= 0.30
    assert 0.25 <= risk["morpho-v1"] <= 0.40
    assert 0.25 <= risk["fluid-lending"] <= 0.40
    assert 0.30 <= risk["pancakeswap-amm-v3"] <= 0.60
    assert 0.50 <= risk["ethena-usde"] <= 0.60
    assert risk["euler-v2"] == 0.60  # 177 days old; the exploit of 2023 was of its predecessor
    assert min(assessment.known for assessment in found.values())


def test_the_recorded_market_of_ether(market_folder: Path) -> None:
    _, found = recorded(market_folder, dt.date(2025, 9, 26))
    risk = {project: assessment.risk for project, assessment in found.items()}
    assert 0.30 <= risk["fluid-dex"] <= 0.50
    assert 0.35 <= risk["aerodrome-slipstream"] <= 0.50
    assert risk["lido"] < risk["curve-dex"] < risk["aerodrome-slipstream"]


def test_the_whole_recorded_market_is_mostly_known(market_folder: Path) -> None:
    rows, found = recorded(market_folder, dt.date(2025, 11, 3))
    tvl: Counter[str] = Counter()
    for row in rows:
        tvl[row["project"]] += row["tvlUsd"] or 0.0
    large = {
        project: total for project, total in tvl.items() if total > 20e6 and project != "merkl"
    }  # merkl lists campaigns
    known = math.fsum(total for project, total in large.items() if found[project].known)
    assert known / math.fsum(large.values()) > 0.93
    assert found["balancer-v2"].risk >= 0.75  # 128 million dollars lost on the day
    assert found["stream-finance"].risk >= 0.75  # nothing known of it; it failed the day after
    assert all(0.0 <= assessment.risk <= 1.0 for assessment in found.values())
    assert all(assessment.risk >= 0.75 for assessment in found.values() if not assessment.known)


def test_the_data_file_is_part_of_the_package() -> None:
    assert FACTS.parent.parent == Path(protocol.__file__).parent
