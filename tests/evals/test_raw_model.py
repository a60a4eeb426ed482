"""A bare model is asked once, over HTTP alone, and whatever comes back is weights or none."""

from __future__ import annotations

import json

import pytest
from scripted_model import answers, floods, quotes_the_request, resets, says, serve

from evals.records import Endpoint
from evals.regret import raw_model as module
from evals.regret.markets import cases_of, load_markets
from evals.regret.raw_model import raw_model, read_weights, table_of

CASE = next(case for case in cases_of(load_markets()) if case.id == "usd-headline-bait@1000000")
KEY = "sk-of-nobody-1234567890"
GOOD = {"usd-headline-bait-02": 0.5, "usd-headline-bait-05": 0.5}


def test_it_is_shown_the_whole_case_and_its_weights_are_taken() -> None:
    with serve(says(f"Certainly!\n```json\n{json.dumps({'weights': GOOD})}\n```")) as model:
        advice = raw_model(Endpoint("m", model.url, KEY))(CASE)
    assert dict(advice.weights) == GOOD
    assert (advice.calls, advice.input_tokens, advice.output_tokens) == (1, 11, 7)
    (asked,) = model.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    shown = json.loads(asked.request["messages"][1]["content"])
    assert shown == table_of(CASE)
    assert shown["amount_usd"] == 1e6
    assert {pool["id"]: pool["max_weight"] for pool in shown["pools"]} == CASE.caps()
    assert all("curve" in pool and "apy_now" in pool for pool in shown["pools"])


@pytest.mark.parametrize(
    "mode",
    [
        says("I cannot advise on that."),
        says(None),
        says('{"weights": {}}'),
        says('{"weights": {"a": "half"}}'),
        says('{"weights": {"a": NaN}}'),
        says('{"weights": {"a": true}}'),
        says('{"weights": [1]}'),
        says("{" * 5000),
        answers(500),
        answers(200, b"<html>"),
        answers(200, b"[]"),
        answers(200, b'{"choices": []}'),
        answers(302, Location="http://203.0.113.1/"),
        quotes_the_request,
        resets(0),
        resets(20),
        floods,
    ],
)
def test_what_is_no_answer_leaves_the_money_idle_with_a_reason_of_our_own(mode) -> None:
    with serve(mode) as model:
        advice = raw_model(Endpoint("m", model.url, KEY))(CASE)
    assert advice.weights == {}
    assert advice.reason
    assert KEY not in advice.reason
    assert "html" not in advice.reason
    assert advice.calls == 1


def test_a_server_that_never_answers_is_given_up(monkeypatch) -> None:
    from scripted_model import hangs

    monkeypatch.setattr(module, "SECONDS", 0.2)
    with serve(hangs) as model:
        assert raw_model(Endpoint("m", model.url, None))(CASE).reason == "no answer: ReadTimeout"


def test_strange_usage_counts_as_none() -> None:
    content = json.dumps({"weights": GOOD})
    with serve(says(content, usage={"prompt_tokens": -1, "completion_tokens": "many"})) as model:
        advice = raw_model(Endpoint("m", model.url, KEY))(CASE)
    assert (advice.input_tokens, advice.output_tokens) == (0, 0)


def test_weights_are_taken_as_they_are_and_judged_later() -> None:
    assert read_weights('{"weights": {"a": 50, "b": -1}}') == ({"a": 50.0, "b": -1.0}, None)


def test_a_key_is_not_in_the_words_for_an_endpoint() -> None:
    assert KEY not in repr(Endpoint("m", "http://localhost/v1", KEY))
