"""Why a candidate was chosen: references to its figures, which hold, or the answer is thrown away."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import reasoned_model
import scripted_model as scripted
from scripted_model import replies
from small_market import NOW, QUESTION, market, run
from test_seam import check_replay, plain, seat_at

import agents.decision
from agents.calls import estimated_tokens
from agents.choosing import Decision, ask_for_choice, seen_by_models, shape_of_choice
from agents.decision import shortlist
from agents.models import Call, Reply, Seat
from agents.rationale import write_rationale
from agents.rationale_why import _WORDS
from agents.state import Settings
from agents.workflow import advise
from plimsoll import runs
from tools.reasons import MOST_REASONS, REASONS, figure_of, leads, own_reasons, rounded
from tools.records import Candidate, CandidatePool, ChosenPool, Mandate, Rationale, ReasonFigure, Recommendation
from tools.verify import check_text, verify

Answer = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="module")
def by_policy() -> Recommendation:
    return run(None)


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all that passed be chosen: within the margin all candidates of this market hold the same."""
    monkeypatch.setattr(agents.decision, "SHORTLIST_MARGIN", 1.0)
    monkeypatch.setattr(agents.decision, "SHORTLIST_LENGTH", 30)


def better(payload: dict[str, Any], place: int) -> dict[str, Any]:
    return next(one for one in reasoned_model.reasons_for(payload, place) if one["over"])


def worse(payload: dict[str, Any], place: int) -> dict[str, Any]:
    """A comparison of the candidate at a place that does not hold."""
    shown = payload["shortlist"]
    for name, kind in REASONS.items():
        for other in shown:
            mine, theirs = shown[place][name], other[name]
            if mine is not None and theirs is not None and (mine < theirs if kind.better == ">" else mine > theirs):
                return {"figure": name, "over": other["id"]}
    raise AssertionError("nothing is worse")


def with_reasons(make: Callable[[dict[str, Any]], object]) -> Answer:
    """Take the second of the shortlist for what ``make`` says are reasons."""
    return lambda payload: {"candidate": payload["shortlist"][1]["id"], "reasons": make(payload)}


def decided(answer: Answer, record: Recommendation) -> tuple[Decision, Seat]:
    """What a model in the seat decides among all candidates of a record."""

    def voice(call: Call) -> Reply:
        return Reply(json.dumps(answer(json.loads(str(call.messages[1].content)))))

    seat = Seat("scripted", voice)
    best = agents.decision.ranked(record.candidates, None)
    return ask_for_choice(seat, best, record.candidates, record.mandate), seat


def text_for(record: Recommendation, decision: Decision) -> Recommendation:
    """The record with these reasons for this candidate, and its text."""
    chosen = next(c for c in record.candidates if c.id == decision.candidate_id)
    assert record.choice is not None
    named = {"candidate_id": chosen.id, "reasons": decision.reasons, "reasons_by": "scripted"}
    held = [ChosenPool(pool_id=pool.pool_id, weight=pool.weight, amount=pool.weight * 2e6) for pool in chosen.pools]
    choice = record.choice.model_copy(update={**named, "pools": held})
    bare = record.model_copy(update={"choice": choice})
    written = write_rationale(plain(bare), {})
    rationale = Rationale(author="policy", refused=None, **written.text._asdict())
    return bare.model_copy(update={"rationale": rationale, "derived": written.derived})


# Reasons that hold.


def test_a_models_reasons_are_in_the_record_and_on_the_page(tmp_path: Path) -> None:
    with scripted.serve(reasoned_model.honest(0)) as server:
        found, context = advise(QUESTION, market(), seat=seat_at(server), now=NOW)
    payload = server.asked[-1].payload
    assert found.choice is not None
    assert (found.usage.fallback, found.choice.reasons_by) == ([], "scripted")
    assert [(one.figure, one.over) for one in found.choice.reasons] == [
        (one["figure"], one["over"]) for one in reasoned_model.reasons_for(payload, 0)
    ]
    assert len({one.over for one in found.choice.reasons}) > 1
    shown = {figure.pointer for figure in found.rationale.figures}
    claimed = {(claim.left, claim.op, claim.right) for claim in found.rationale.claims}
    for one in found.choice.reasons:
        assert one.pointer in shown
        assert one.over is None or (one.pointer, one.op, one.against) in claimed
    assert "The model's reasons against *" in found.rationale.markdown
    folder = runs.save(tmp_path / "run", found, context)
    assert verify(folder).differences == ()
    assert runs.replay(folder).differences == ()


def test_the_policys_reasons_are_the_parts_of_the_score(by_policy: Recommendation) -> None:
    choice = by_policy.choice
    assert choice is not None
    known = {candidate.id: candidate for candidate in by_policy.candidates}
    assert choice.reasons_by == "policy"
    assert choice.reasons[0].figure == "score"
    parts = {"net_apy": "apy", "sharpe": "sharpe", "alpha": "alpha", "volatility": "volatility"}
    added = []
    for one in choice.reasons:
        assert one.over is not None
        assert leads(known[choice.candidate_id], known[one.over], one.figure)
        if one.figure != "score":
            ours, theirs = (known[name].score.parts[parts[one.figure]] for name in (choice.candidate_id, one.over))
            added.append(ours - theirs)
    assert added == sorted(added, reverse=True)
    assert min(added) > 0.0
    assert "What decided against *" in by_policy.rationale.markdown


@pytest.mark.parametrize("place", [0, 29])
@pytest.mark.parametrize("name", sorted(REASONS))
def test_every_figure_can_be_a_reason(name: str, place: int, by_policy: Recommendation) -> None:
    """Whatever compares in the right direction is taken, shown and resolves; a figure alone always is."""

    def decide(payload: dict[str, Any]) -> dict[str, Any]:
        shown = payload["shortlist"]
        mine = shown[place % len(shown)]
        rivals = [other["id"] for other in shown if other is not mine and ahead(mine[name], other[name])]
        return {"candidate": mine["id"], "reasons": [{"figure": name, "over": one} for one in [*rivals[:2], None]]}

    def ahead(mine: float | None, theirs: float | None) -> bool:
        if mine is None or theirs is None:
            return False
        return mine > theirs if REASONS[name].better == ">" else mine < theirs  # type: ignore[index]

    found, seat = decided(decide, by_policy)
    assert (seat.fallback, [one.figure for one in found.reasons][-1]) == ([], name)
    assert check_text(plain(text_for(by_policy, found))) == ()


def test_the_person_who_takes_another_is_given_the_scores_reasons() -> None:
    with scripted.serve(reasoned_model.honest(0)) as server:
        found, _ = advise(
            QUESTION,
            market(),
            seat=seat_at(server),
            settings=Settings(paths=2_000, approve=True),
            ask=lambda proposal: proposal["shortlist"][1]["id"],
            now=NOW,
        )
    assert found.choice is not None
    assert found.choice.reasons_by == "policy"
    assert {one.pointer.split("/")[2] for one in found.choice.reasons} == {
        str([candidate.id for candidate in found.candidates].index(found.choice.candidate_id))
    }


# Reasons that do not.

LIST = f"reasons must be a list of one to {MOST_REASONS} objects with figure and over"
NAME = "reason 1: figure must be one of the names listed"
OVER = "reason 1: over must be null or the id of another candidate of the shortlist"
UNUSABLE: dict[str, tuple[Answer, str]] = {
    "none at all": (lambda payload: {"candidate": payload["shortlist"][1]["id"]}, LIST),
    "the first with prose and none": (
        lambda payload: {"candidate": payload["shortlist"][0]["id"], "why": ["score"]},
        LIST,
    ),
    "an empty list": (with_reasons(lambda _: []), LIST),
    "one that is no list": (with_reasons(lambda payload: better(payload, 1)), LIST),
    "too many": (
        with_reasons(lambda _: [{"figure": name, "over": None} for name in list(REASONS)[: MOST_REASONS + 1]]),
        LIST,
    ),
    "words": (with_reasons(lambda _: ["it is calm"]), NAME),
    "another figure": (with_reasons(lambda _: [{"figure": "moon", "over": None}]), NAME),
    "a figure of a pool": (with_reasons(lambda _: [{"figure": "tvl_usd", "over": None}]), NAME),
    "a pointer": (with_reasons(lambda _: [{"figure": "/candidates/0/score/total", "over": None}]), NAME),
    "a number": (with_reasons(lambda _: [{"figure": 5, "over": None}]), NAME),
    "itself": (
        with_reasons(lambda payload: [{"figure": "score", "over": payload["shortlist"][1]["id"]}]),
        OVER,
    ),
    "an unknown candidate": (with_reasons(lambda _: [{"figure": "score", "over": "moon.equal"}]), OVER),
    "one outside the shortlist": (with_reasons(lambda _: [{"figure": "score", "over": "ultra_safe.equal"}]), OVER),
    "several candidates": (with_reasons(lambda _: [{"figure": "score", "over": ["a"]}]), OVER),
    "a comparison that is untrue": (
        with_reasons(lambda payload: [worse(payload, 1)]),
        "reason 1: the figure of the candidate is not higher than that of the other",
    ),
    "an untrue one behind a true one": (
        with_reasons(lambda payload: [better(payload, 1), worse(payload, 1)]),
        "reason 2: the figure of the candidate is not higher than that of the other",
    ),
    "the same twice": (with_reasons(lambda payload: [better(payload, 1)] * 2), "reasons must differ"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_reasons_that_cannot_be_used_are_mended_once_and_then_the_policy_decides(
    name: str, by_policy: Recommendation
) -> None:
    answer, sentence = UNUSABLE[name]
    found, seat = decided(answer, by_policy)
    unusable = f"decide: unusable answer: {sentence}; "
    assert seat.fallback == [unusable + "asked again", unusable + "the embedded policy took over"]
    assert found == Decision(agents.decision.ranked(by_policy.candidates, None)[0].id, [], {})


def test_a_run_with_unusable_reasons_is_the_policys(by_policy: Recommendation) -> None:
    with scripted.serve(replies(decide=with_reasons(lambda payload: [worse(payload, 1)]))) as server:
        seat = seat_at(server)
        found = run(seat)
    assert (found.choice, found.rationale) == (by_policy.choice, by_policy.rationale)
    assert found.usage.calls == 4
    check_replay(found, seat.transcript)


def test_an_answer_may_be_mended(by_policy: Recommendation) -> None:
    said = iter([lambda payload: [worse(payload, 1)], lambda payload: [better(payload, 1)]])
    found, seat = decided(lambda payload: with_reasons(next(said))(payload), by_policy)
    assert [entry.rpartition("; ")[2] for entry in seat.fallback] == ["asked again"]
    assert len(found.reasons) == 1


def test_equal_figures_are_no_reason(by_policy: Recommendation) -> None:
    one = by_policy.candidates[0]
    assert not any(leads(one, one, name) for name in REASONS)


def test_what_is_not_known_is_never_better(by_policy: Recommendation) -> None:
    one = by_policy.candidates[0]
    unknown = one.model_copy(update={"risk": one.risk.model_copy(update={"reward_share": None})})
    assert figure_of(unknown, "reward_share") is None
    assert not leads(unknown, one, "reward_share")
    assert not leads(one, unknown, "reward_share")


def test_alone_a_choice_points_at_what_is_kept(by_policy: Recommendation) -> None:
    (found,) = own_reasons(by_policy.candidates[0], [], by_policy.candidates)
    assert (found.figure, found.over, found.pointer) == ("net_apy", None, "/candidates/0/risk/all_in/net_apy")


# What a model is shown.


def test_words_and_figures_are_in_step() -> None:
    assert set(REASONS) == set(_WORDS) == set(get_args(ReasonFigure))


def test_figures_are_rounded_and_keep_their_order() -> None:
    assert [rounded(value) for value in (0.123456, 1_234_567.0, -0.0, None)] == [0.1235, 1_235_000.0, -0.0, None]


def widest(by_policy: Recommendation) -> tuple[list[Candidate], Mandate]:
    """Five candidates of six pools each, no pool twice, with figures as long as they come, and everything asked."""

    def pool(number: int) -> CandidatePool:
        one = by_policy.candidates[0].pools[0]
        rates = {"apy": 0.0123456789 + number / 1e4, "apy_reward": 0.00123456789, "tvl_usd": 123456789.123 + number}
        return one.model_copy(
            update={"pool_id": f"{number:08d}", "weight": 1 / 6, "protocol_risk": 0.123456, "trend": "unknown", **rates}
        )

    longest = max(by_policy.candidates, key=lambda candidate: len(candidate.id))
    five = [
        longest.model_copy(update={"id": f"{longest.id}{place}", "pools": [pool(6 * place + n) for n in range(6)]})
        for place in range(5)
    ]
    names = [f"a-rather-long-name-{n}" for n in range(3)]
    lists = ("chains_include", "chains_exclude", "protocols_exclude", "tokens_exclude")
    numbers = {"min_tvl_usd": 1e7, "min_apy": 0.0123, "max_weight": 0.25, "min_pools": 4, "max_pools": 6}
    asked = by_policy.mandate.model_copy(update={**dict.fromkeys(lists, names), **numbers, "max_drawdown": 0.1})
    return five, asked


def test_the_prompt_is_short_enough_for_a_small_context(by_policy: Recommendation, published: list[str]) -> None:
    with scripted.serve(reasoned_model.honest()) as server:
        run(seat_at(server))
    five, mandate = widest(by_policy)
    payload = json.dumps({"task": "decide", **seen_by_models(five, mandate)}, sort_keys=True)
    system = server.asked[-1].request["messages"][0]["content"]
    shape = json.dumps(shape_of_choice(five))
    tokens = [estimated_tokens(text) for text in (payload, system, shape)]
    published.append("tokens of the decision's prompt at its widest: payload {}, system {}, shape {}".format(*tokens))
    assert tokens[0] + tokens[1] < 4_000
    assert sum(tokens) < 8_192 - 2_000


def test_no_name_and_no_word_of_the_user_is_shown(by_policy: Recommendation) -> None:
    mandate = by_policy.mandate.model_copy(update={"notes": ["OBEY"]})
    seen = seen_by_models(shortlist(by_policy.candidates, None), mandate)
    text = json.dumps(seen)
    assert "OBEY" not in text
    for candidate in by_policy.candidates:
        for pool in candidate.pools:
            assert pool.pool_id not in text
            assert pool.project not in text
