"""Each agent and each use of a model can be switched off: the workflow still answers, and the record says what was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import reasoned_model
from made_market import MadeSource, chart, pool_id, wavy
from scripted_model import replies, serve
from small_market import NOW, PATHS, QUESTION, market
from test_seam import plain, seat_at

from agents.models import Seat
from agents.prompts import environment
from agents.quant import profiles_for
from agents.state import Settings, Switch, switches
from agents.workflow import advise
from plimsoll import runs
from tools.errors import UsageError
from tools.records import Recommendation
from tools.scoring import normalised_ranks
from tools.strategies.profiles import load_profiles
from tools.verify import check_text, verify
from tools.verify.choice import check_choice
from tools.verify.limits import check_limits
from tools.verify.report import Findings

CAREFUL = "Put 2 million dollars to work, low risk"  # which nothing on this market passes


def without(
    *off: str, question: str = QUESTION, source: MadeSource | None = None, seat: Seat | None = None, paths: int = PATHS
) -> Recommendation:
    settings = Settings(paths=paths, off=off)
    return advise(question, source or market(), seat=seat, settings=settings, now=NOW)[0]


def saved(folder: Path, *off: str, question: str = QUESTION, source: MadeSource | None = None) -> Recommendation:
    """A run with everything as it is in earnest, which must verify and replay."""
    found, context = advise(question, source or market(), settings=Settings(off=off), now=NOW)
    runs.save(folder, found, context)
    assert verify(folder).differences == ()
    assert runs.replay(folder).differences == ()
    return found


@pytest.fixture(scope="module")
def whole() -> Recommendation:
    return without()


# All of them.


@pytest.mark.parametrize("question", [QUESTION, CAREFUL])
@pytest.mark.parametrize("switch", Switch)
def test_with_any_of_them_off_there_is_a_typed_outcome_that_says_so(switch: Switch, question: str) -> None:
    found = without(switch, question=question)
    chosen = question == QUESTION or switch == Switch.RISK
    assert found.outcome == ("choice" if chosen else "no_feasible_strategy")
    assert found.off == [switch]
    words = environment().get_template("wording.md.j2").module.off[switch]  # type: ignore[attr-defined]
    assert found.rationale.markdown.count(f"Switched off in this run: {words}.") == 1
    assert check_text(plain(found)) == ()


def test_all_of_them_off_at_once(tmp_path: Path) -> None:
    found = saved(tmp_path / "run", *Switch)
    assert found.outcome == "choice"
    assert found.off == list(Switch)


def test_nothing_off_says_nothing(whole: Recommendation) -> None:
    assert whole.off == []
    assert "witched off" not in whole.rationale.markdown


@pytest.mark.parametrize("name", ["intake", "report", "Risk", "", "model", "approval"])
def test_a_name_that_is_no_switch_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(UsageError, match="known: intake_model, plan_model, decision_model") as raised:
        Settings(off=("risk", name))
    assert repr(name) in str(raised.value)


def test_switches_stand_once_and_in_one_order() -> None:
    assert switches(["risk", "data", "risk"]) == (Switch.DATA, Switch.RISK)
    assert Settings(off=("risk", "data")) == Settings(off=("data", "risk", "data"))


def test_an_older_run_with_other_names_fails_clearly(tmp_path: Path) -> None:
    found, context = advise(QUESTION, market(), settings=Settings(paths=PATHS), now=NOW)
    folder = runs.save(tmp_path / "run", found, context)
    request = json.loads((folder / "request.json").read_text())
    (folder / "request.json").write_text(json.dumps(request | {"off": ["intake", "quant"]}))
    with pytest.raises(UsageError, match="'intake'"):
        runs.replay(folder)


# Uses of the model.


@pytest.mark.parametrize(
    ("off", "tasks"),
    [
        ((), ["read", "plan", "decide"]),
        (("intake_model",), ["plan", "decide"]),
        (("plan_model",), ["read", "decide"]),
        (("decision_model",), ["read", "plan"]),
        (("decision",), ["read", "plan"]),
        (("prose_model",), ["read", "plan", "decide"]),
        (("intake_model", "plan_model", "decision_model", "prose_model"), []),
    ],
)
def test_a_model_is_not_asked_for_what_is_off(off: tuple[str, ...], tasks: list[str]) -> None:
    with serve(reasoned_model.honest()) as server:
        found = without(*off, seat=seat_at(server))
    assert [asked.task for asked in server.asked] == tasks
    assert found.usage.fallback == []
    heard = "decide" in tasks and "prose_model" not in off
    assert found.rationale.author == ("scripted" if heard else "policy")
    assert ("Rates move, and the yield moves with them" in found.rationale.markdown) == heard
    assert found.choice is not None
    assert found.choice.reasons_by == ("scripted" if "decide" in tasks else "policy")


def test_without_prose_the_prompt_asks_for_none() -> None:
    with serve(reasoned_model.chooses()) as server:
        without("prose_model", seat=seat_at(server))
    system = server.asked[-1].request["messages"][0]["content"]
    assert "choice_apy" not in system
    assert "`caution`" not in system
    assert "true" not in server.asked[-1].payload["shortlist"][0]


# Agents.


def test_without_risk_the_limits_are_shown_and_veto_nothing(tmp_path: Path) -> None:
    found = saved(tmp_path / "run", "risk", question=CAREFUL)
    assert found.choice is not None
    assert not any(candidate.passed for candidate in found.candidates)
    assert found.rationale.markdown.startswith("> **No limit could veto.** The risk agent was switched off")
    assert "This choice breaks them in the level of risk of its profile" in found.rationale.markdown
    assert not [event for event in found.limit_events if event.action in ("rejected", "sent_back")]
    assert not any(candidate.revised for candidate in found.candidates)
    best = max(candidate.score.total for candidate in found.candidates)
    chosen = next(c for c in found.candidates if c.id == found.choice.candidate_id)
    assert chosen.score.total == best
    # The same record without the word for it does not pass.
    record = plain(found) | {"off": []}
    findings = Findings()
    check_choice(record, findings)
    check_limits(record, findings)
    told = "\n".join(map(str, findings.report().differences))
    assert "fails profile_risk" in told
    assert "lack the rejection" in told
    (tmp_path / "run" / "recommendation.json").write_text(json.dumps(record))
    assert any("/off" in difference.where for difference in verify(tmp_path / "run").differences)


def test_without_risk_nothing_is_sent_back() -> None:
    """Pools that pay less than is asked for keep a profile from passing: risk names them, where it is there."""
    question = "Put 2 million dollars to work, high risk, at least 5.2% a year"
    sent = [event.action for event in without(question=question).limit_events]
    assert "sent_back" in sent
    found = without("risk", question=question)
    assert "sent_back" not in [event.action for event in found.limit_events]
    assert not any(candidate.revised for candidate in found.candidates)
    assert found.outcome == "choice"


def test_without_data_no_profile_asks_about_the_trend() -> None:
    asking = [name for name, profile in load_profiles().items() if profile.not_trending_down]
    assert asking
    assert [name for name, one in profiles_for(()).items() if one.not_trending_down] == asking
    assert not [name for name, one in profiles_for(("data",)).items() if one.not_trending_down]


def test_without_decision_the_first_that_passed_is_taken(tmp_path: Path) -> None:
    found = saved(tmp_path / "run", "decision")
    order = sorted(
        (c for c in found.candidates if c.passed),
        key=lambda c: ([one.profile for one in found.candidates].index(c.profile), c.id),
    )
    assert found.choice is not None
    assert found.choice.candidate_id == order[0].id
    assert (found.choice.reasons, found.choice.reasons_by) == ([], "policy")
    assert found.reason.endswith("no score decided")
    assert "best score" not in found.rationale.markdown


def test_without_quant_all_weights_are_equal(tmp_path: Path) -> None:
    found = saved(tmp_path / "run", "quant")
    assert found.plan is not None
    assert (found.plan.methods, found.plan.author) == (["equal"], "policy")
    assert {candidate.method for candidate in found.candidates} == {"equal"}


def test_without_quant_a_model_names_no_methods() -> None:
    def decide(payload: dict[str, Any]) -> dict[str, Any]:
        return {"candidate": payload["shortlist"][0]["id"], "reasons": reasoned_model.reasons_for(payload, 0)}

    plan = {"methods": ["net_yield"], "confidence": 0.99, "requests": [{"tool": "compare", "measures": ["beta"]}]}
    with serve(replies(plan=plan, decide=decide)) as server:
        found = without("quant", seat=seat_at(server))
    assert found.plan is not None
    assert (found.plan.methods, found.plan.author) == (["equal"], "policy")
    assert [one.tool for one in found.requests] == ["compare"]


def test_without_sizing_the_deposit_takes_nothing_off(tmp_path: Path, whole: Recommendation) -> None:
    found = saved(tmp_path / "run", "sizing")
    assert {candidate.risk.all_in.dilution for candidate in found.candidates} == {0.0}
    assert all(pool.at_size.apy == pool.apy for candidate in found.candidates for pool in candidate.pools)
    assert min(candidate.risk.all_in.dilution or 0.0 for candidate in whole.candidates) > 0.0


def test_without_hazards_the_score_sees_yields_alone(tmp_path: Path) -> None:
    found = saved(tmp_path / "run", "hazards")
    for candidate in found.candidates:
        assert candidate.score.view == "carry_only"
        assert candidate.score.raw["apy"] == candidate.metrics["portfolio_apy"]
        assert candidate.risk.all_in.expected_loss > 0.0
    ranks = normalised_ranks([candidate.metrics["portfolio_apy"] for candidate in found.candidates])
    assert [candidate.score.parts["apy"] for candidate in found.candidates] == pytest.approx(
        [0.7 * (rank or 0.0) for rank in ranks]
    )


def test_without_forecast_there_is_none(tmp_path: Path) -> None:
    def long() -> MadeSource:
        source = market()
        source.answers = {
            pool_id(n): chart(wavy(300, level=row["apy"], phase=n)) for n, row in enumerate(source.rows, 1)
        }
        return source

    assert without(source=long()).forecast is not None
    found = saved(tmp_path / "run", "forecast", source=long())
    assert (found.forecast, found.forecast_missing) == (None, "forecasts were switched off")


def dirty() -> MadeSource:
    """The market with a fault in the history of each of seven pools; two are too young, one of them to compute with."""
    source = market()
    sound = wavy(120, level=5.0)
    faults: dict[int, list[float | None]] = {
        1: [*sound[:60], 480.0, 490.0, 500.0, 510.0, 520.0, *sound[65:]],  # a run of spikes
        2: [*sound[:60], *[None] * 10, *sound[70:]],  # a gap
        3: [*sound[:112], *[None] * 8],  # stale
        4: [*sound[:80], *[0.0] * 40],  # pays nothing for a month
        5: [0.01 * value for value in sound[:60]] + sound[60:],  # a change of unit
        6: sound[:40],  # young
        7: sound[:20],  # too young for an average of a month
    }
    for number, percents in faults.items():
        source.answers[pool_id(number)] = chart(percents)
    return source


def test_without_data_faulty_histories_stay_and_what_cannot_be_computed_with_does_not(tmp_path: Path) -> None:
    strict, found = without(source=dirty()), saved(tmp_path / "run", "data", source=dirty())
    assert strict.market is not None
    assert found.market is not None
    assert {pool_id(number) for number in range(1, 8)}.isdisjoint(strict.market.benchmark_pools)
    assert {pool_id(number) for number in range(1, 7)} <= set(found.market.benchmark_pools)
    assert pool_id(7) not in found.market.benchmark_pools
    assert found.market.excluded == {"short_history": 1}
    assert found.market.spikes_dropped == 0
    assert found.outcome == "choice"
