"""What the record says of a protocol's score, the caps for what one party decides, and a user's own facts."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tools.errors import UsageError
from tools.market.names import family_of
from tools.risk.hazards import Hazards
from tools.risk.lookup import ProtocolRisks
from tools.risk.protocol import ProtocolAssessment, assess, assess_all
from tools.risk.protocol_facts import FACTS, load_facts
from tools.strategies.tokens import load_tokens

DAY = dt.date(2025, 2, 28)
UNRELATED = {"date": 1_600_000_000, "name": "Nobody's Farm", "amount": 1e6, "targetType": "DeFi Protocol"}


def found(project: str, **more: Any) -> ProtocolAssessment:
    return assess(project, **{"as_of": DAY, "protocol_tvl_usd": 1e12, "hacks": [UNRELATED], **more})


def risks_of(*projects: str, day: dt.date = DAY, tvl_usd: float = 2e8, **more: Any) -> ProtocolRisks:
    """Return the risks of a market with one pool for each project."""
    rows = {f"pool-{project}": SimpleNamespace(project=project) for project in projects}
    families = {family_of(project): tvl_usd for project in projects}
    market: Any = SimpleNamespace(
        rows=rows, screened=tuple(rows), protocol_tvl_usd=families, as_of=day, hacks=[UNRELATED]
    )
    return ProtocolRisks(market, **more)


STRONG = """
[strong]
launch = [{{ value = "v1", since = 2019-01-01, source = "https://example.org/launch" }}]
category = [{{ value = "{category}", since = 2019-01-01, source = "https://example.org/docs" }}]
audit = [{audits}]
bug_bounty_usd = [{{ value = 1_000_000, since = 2019-01-01, source = "https://example.org/docs" }}]
governance = [{{ value = "token_vote", since = 2019-01-01, source = "https://example.org/docs" }}]
admin = [{{ value = "{admin}", since = 2019-01-01, source = "https://example.org/docs" }}]
oracle = [{{ value = "{oracle}", since = 2019-01-01, source = "https://example.org/docs" }}]
"""
AUDITS = ",".join(f'{{ value = "Firm {n}", since = 2019-01-01, source = "https://example.org/{n}" }}' for n in range(9))


def strong(tmp_path: Path, category: str = "lending", admin: str = "timelock", oracle: str = "network") -> Path:
    path = tmp_path / f"{category}-{admin}-{oracle}.toml"
    path.write_text(STRONG.format(category=category, admin=admin, oracle=oracle, audits=AUDITS))
    return path


# --- caps for what one party decides ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "at_least"),
    [
        ({}, None),
        ({"admin": "multisig"}, None),
        ({"admin": "company"}, 0.40),
        ({"admin": "single_key"}, 0.60),
        ({"oracle": "market_chosen"}, None),
        ({"oracle": "own"}, 0.30),
        ({"oracle": "issuer"}, 0.40),
        ({"category": "liquid_staking", "oracle": "own"}, 0.15),
        ({"category": "liquid_staking", "oracle": "issuer"}, 0.40),
        ({"admin": "single_key", "oracle": "own"}, 0.60),
    ],
)
def test_one_key_one_company_and_own_prices_cap_the_best_of_protocols(
    tmp_path: Path, facts: dict[str, str], at_least: float | None
) -> None:
    assessed = found("strong", facts=strong(tmp_path, **facts))
    assert (assessed.caps[0].risk_at_least if assessed.caps else None) == at_least
    assert assessed.risk < 0.15 if at_least is None else assessed.risk == at_least


def test_the_caps_leave_the_low_risk_universe_of_the_day_in_place() -> None:
    projects = ("aave-v3", "compound-v3", "fluid-lending", "morpho-v1", "curve-dex", "lido", "sparklend", "sky-lending")
    for project in projects:
        assert found(project, protocol_tvl_usd=2e9).risk <= 0.34, project
    assert found("sky-lending").risk == 0.30
    assert found("lido").risk == 0.15


# --- evidence -----------------------------------------------------------------------------------------------------


def test_the_evidence_recomputes_to_the_risk() -> None:
    risks = risks_of("aave-v3", "lido", "stream-finance")
    for project in ("aave-v3", "lido", "stream-finance"):
        record = risks.evidence(project)
        score = math.fsum(part.weight * part.score for part in record.components.values())
        expected = max([1.0 - score, *(cap.risk_at_least for cap in record.caps)])
        assert record.risk == risks.project(project) == pytest.approx(expected, abs=1e-11)
        assert list(record.components) == ["tvl", "audits", "community", "technical"]
        assert math.fsum(part.weight for part in record.components.values()) == pytest.approx(1.0)


def test_the_evidence_names_sources_and_days_and_none_that_is_later() -> None:
    record = risks_of("aave-v3").evidence("aave-v3")
    assert (record.project, record.family) == ("aave-v3", "aave")
    assert record.known
    for part in record.components.values():
        assert part.evidence
        assert part.sources
        assert part.known_since is not None
        assert dt.date.fromisoformat(part.known_since) <= DAY
    assert record.components["tvl"].known_since == "2025-02-28"


def test_the_evidence_of_an_issuer_leaves_the_tvl_out() -> None:
    risks = risks_of("aave-v3")
    record = risks.issuer_evidence("Lido")
    assert record is not None
    assert record.risk == risks.issuer("Lido")
    assert list(record.components) == ["audits", "community", "technical"]
    assert math.fsum(part.weight for part in record.components.values()) == pytest.approx(1.0)
    assert risks.issuer_evidence("Circle") is risks.issuer("Circle") is None


def test_an_issuer_is_judged_by_all_versions_of_its_family() -> None:
    risks = risks_of("lido")
    assert (risks.issuer("Aave") or 1.0) < 0.30
    assert risks.issuer("Aave") == risks.issuer("aave v3")


def test_an_issuer_of_several_products_is_judged_by_the_riskiest_kind() -> None:
    record = risks_of("lido").issuer_evidence("Ether.fi")  # restaking, and vaults steered by curators since
    assert record is not None
    assert [cap.reason for cap in record.caps if cap.risk_at_least == 0.35] == ["restaking"]
    assert record.risk >= 0.35


def test_evidence_round_trips_as_json() -> None:
    record = risks_of("aave-v3").evidence("aave-v3")
    assert type(record).model_validate_json(record.model_dump_json()) == record


# --- the profile of Stream's xUSD ---------------------------------------------------------------------------------


def test_the_profile_of_stream_is_not_safe() -> None:
    day = dt.date(2025, 11, 2)
    risks = risks_of("stream-finance", day=day)  # 200 million dollars, whatever it pays
    record = risks.evidence("stream-finance")
    assert record.risk >= 0.75
    assert not record.known
    assert not load_tokens().allowed("USD", load_tokens().tokens_of("stream-finance", "XUSD"))


def test_what_is_lent_against_the_token_of_an_unknown_protocol_is_as_risky_as_that() -> None:
    risks = risks_of("aave-v3", day=dt.date(2025, 11, 2))
    assert (risks.issuer("Stream Finance") or 0.0) >= 0.75
    record = risks.issuer_evidence("Stream Finance")
    assert record is not None
    assert not record.known


# --- a user's own facts -------------------------------------------------------------------------------------------


def test_facts_of_ones_own_add_families_and_stand_beside_those_of_known_ones(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        strong(tmp_path).read_text() + "[aave]\n"
        'launch = [{ value = "v9", since = 2025-01-01, covers = ["aave-v9"], source = "https://example.org/a" }]\n'
        'admin = [{ value = "single_key", since = 2025-01-01, source = "https://example.org/b" }]\n'
    )
    assert found("strong").known is False
    assert found("strong", extra=own).risk < 0.15
    assert found("aave-v9").known is False
    assert found("aave-v9", extra=own).known
    assert found("aave-v3", extra=own).risk == 0.60
    assert found("aave-v3", extra=own, as_of=dt.date(2024, 12, 31)).risk < 0.30
    assert found("aave-v3").risk < 0.30
    assert len(load_facts(FACTS, own)) == len(load_facts()) + 1


def test_of_two_facts_of_a_day_the_users_own_counts(tmp_path: Path) -> None:
    shipped = load_facts()["aave"].admin[0]
    own = tmp_path / "own.toml"
    own.write_text(
        "[aave]\n"
        'launch = [{ value = "v3", since = 2022-03-16, covers = ["aave-v3"], source = "https://example.org/a" }]\n'
        f'admin = [{{ value = "company", since = {shipped.since}, source = "https://example.org/b" }}]\n'
    )
    assert found("aave-v3", extra=own).risk == 0.40


def test_facts_of_ones_own_reach_the_risks_of_a_market_and_the_hazards(tmp_path: Path) -> None:
    own = strong(tmp_path)
    assert risks_of("strong", extra=own).project("strong") < 0.30 < risks_of("strong").project("strong")
    aave = tmp_path / "aave.toml"
    launch = 'launch = [{ value = "v3", since = 2022-03-16, covers = ["aave-v3"], source = "https://example.org/a" }]'
    key = 'admin = [{ value = "single_key", since = 2025-01-01, source = "https://example.org/b" }]'
    aave.write_text(f"[aave]\n{launch}\n{key}\n")
    assert risks_of("lido", extra=aave).issuer("Aave") == 0.60
    with_facts, without = (Hazards(DAY, [], extra=extra).of("protocol:strong") for extra in (own, None))
    assert with_facts is not None
    assert without is not None
    assert with_facts.basis.startswith("lending prior")
    assert with_facts.rate < without.rate


def test_a_wrong_file_of_ones_own_is_refused_by_its_name(tmp_path: Path) -> None:
    own = tmp_path / "mine.toml"
    own.write_text('[aave]\nlaunch = [{ value = "v3", since = 2022-03-16 }]\n')
    with pytest.raises(UsageError, match=r"mine\.toml: aave\.launch\.0\.source"):
        assess_all({"aave-v3": 1e9}, as_of=DAY, hacks=[], extra=own)
