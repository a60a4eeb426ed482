"""The sentences that a model may name: what is true of the candidate is written and claimed; all else is refused."""

from __future__ import annotations

import math
import random
import string
from collections.abc import Sequence
from typing import Any

import pytest
from small_market import run
from test_seam import plain

from agents.prose import MOST_SENTENCES, PASSAGES, WITH_FIGURES, allowed_in, check_prose, composed
from tools.figures import Ledger
from tools.figures.ledger import UntrueClaim
from tools.reasons import figure_at
from tools.records import Candidate, Recommendation
from tools.statements import STATEMENTS, Condition, holds, true_of
from tools.verify import check_text
from tools.verify.words import COMPARISON_WORDS, NUMBER_WORDS

CONDITIONAL = {name: one for name, one in STATEMENTS.items() if one.conditions}
GENERAL = sorted(STATEMENTS.keys() - CONDITIONAL.keys())
LIES: dict[str, object] = {
    "a sentence": ["This mix keeps to steady lending."],
    "a text": "This mix keeps to steady lending.",
    "a text that is a name": "rates_move",
    "a figure": ["It yields 5.2% a year."],
    "a number in words": ["twelve"],
    "a number in another language": ["zwölf"],
    "a Roman numeral": ["xii"],
    "a comparison without a comparing word": ["The others trail it."],
    "a promise": ["Nothing can go wrong."],
    "an unknown name": ["moon_apy"],
    "a name with spaces": [" rates_move"],
    "a name in capitals": ["RATES_MOVE"],
    "a slot": ["{{choice_apy}}"],
    "an attribute": ["choice_apy.__class__"],
    "a look-alike letter": ["r\u0430tes_move"],
    "a hidden character": ["rates\u200b_move"],
    "markup": ["<script>alert(document)</script>"],
    "a terminal sequence": ["\x1b]52;c;aGk=\x07"],
    "a number": [5.2],
    "a list in the list": [["rates_move"]],
    "an object": {"rates_move": True},
    "nothing in the list": [None],
    "true": True,
    "half a surrogate pair": ["\ud800"],
    "the same twice": ["apy_range", "apy_range"],
    "too many": [*WITH_FIGURES, *STATEMENTS],
}


@pytest.fixture(scope="module")
def found() -> Recommendation:
    return run(None)


@pytest.fixture(scope="module")
def chosen(found: Recommendation) -> Candidate:
    assert found.choice is not None
    return next(one for one in found.candidates if one.id == found.choice.candidate_id)


def test_names_of_sentences_pass(chosen: Candidate) -> None:
    for passage, names in {"why": ["choice_apy", "doing_nothing"], "caution": ["apy_range", "rates_move"]}.items():
        assert check_prose({passage: names}, chosen) == {passage: names}
    with pytest.raises(ValueError, match=r"^caution repeats what why says$"):
        check_prose({"why": ["apy_range"], "caution": ["apy_range"]}, chosen)
    with pytest.raises(ValueError, match=r"^caution holds what is no name"):
        check_prose({"caution": ["score"]}, chosen)
    assert check_prose({"why": [], "caution": None}, chosen) == {}
    assert check_prose({"why": "", "caution": ["rates_move"]}, chosen) == {"caution": ["rates_move"]}


@pytest.mark.parametrize("name", LIES)
@pytest.mark.parametrize("passage", PASSAGES)
def test_anything_else_is_refused_without_being_repeated(name: str, passage: str, chosen: Candidate) -> None:
    with pytest.raises(ValueError, match=f"^{passage} ") as raised:
        check_prose({passage: LIES[name]}, chosen)
    assert not {"steady", "moon_apy", "twelve", "xii", "trail", "document"} & set(str(raised.value).split())


def test_a_sentence_belongs_to_its_passage(chosen: Candidate) -> None:
    for name, one in STATEMENTS.items():
        other = next(passage for passage in PASSAGES if passage != one.passage)
        assert name in allowed_in(one.passage)
        with pytest.raises(ValueError, match=f"^{other} holds what is no name of a sentence for it$"):
            check_prose({other: [name]}, chosen)


def test_all_that_is_wrong_is_said_at_once(chosen: Candidate) -> None:
    false = next(name for name, one in CONDITIONAL.items() if one.passage == "why" and not holds(one, chosen))
    with pytest.raises(ValueError, match=rf"^why says what is not true of the candidate: {false}; caution repeats it"):
        check_prose({"why": [false], "caution": ["rates_move", "rates_move"]}, chosen)


# Truth.


def altered(candidate: Candidate, path: str, value: float | None) -> Candidate:
    """The candidate with another number at a path."""
    found: Candidate = _with(candidate, path.strip("/").split("/"), value)
    return found


def _with(node: Any, keys: Sequence[str], value: float | None) -> Any:
    inner = node[keys[0]] if isinstance(node, dict) else getattr(node, keys[0])
    changed = {keys[0]: _with(inner, keys[1:], value) if keys[1:] else value}
    return {**node, **changed} if isinstance(node, dict) else node.model_copy(update=changed)


def bound(condition: Condition, candidate: Candidate) -> float:
    right = 1.0 if condition.right is None else figure_at(candidate, condition.right)
    assert right is not None
    return right * condition.times


def met(conditions: Sequence[Condition], candidate: Candidate) -> Candidate:
    """The candidate with figures that just meet these conditions."""
    for condition in conditions:
        assert condition.order in ("<=", ">=")
        candidate = altered(candidate, condition.left, bound(condition, candidate))
    return candidate


def test_where_the_split_into_rewards_is_not_known_none_is_told(chosen: Candidate) -> None:
    known = altered(altered(chosen, "/risk/reward_share", 0.0), "/risk/reward_share_known_weight", 1.0)
    assert holds(STATEMENTS["few_rewards"], known)
    assert not holds(STATEMENTS["few_rewards"], altered(known, "/risk/reward_share_known_weight", 0.5))


@pytest.mark.parametrize("name", CONDITIONAL)
def test_a_sentence_is_true_on_one_side_of_its_bound_alone(name: str, chosen: Candidate) -> None:
    condition = CONDITIONAL[name].conditions[0]
    chosen = met(CONDITIONAL[name].conditions[1:], chosen)
    at = bound(condition, chosen)
    step = max(abs(at), 1.0) * 1e-6
    below, on, above = (altered(chosen, condition.left, value) for value in (at - step, at, at + step))
    expected = {
        "<": (True, False, False),
        "<=": (True, True, False),
        ">": (False, False, True),
        ">=": (False, True, True),
    }
    got = tuple(holds(CONDITIONAL[name], one) for one in (below, on, above))
    assert got == expected[condition.order]
    assert [name in true_of(one) for one in (below, on, above)] == [*got]
    with pytest.raises(ValueError, match=f"not true of the candidate: {name}"):
        check_prose({CONDITIONAL[name].passage: [name]}, (below, on, above)[got.index(False)])


@pytest.mark.parametrize("name", CONDITIONAL)
def test_of_a_figure_that_is_not_known_nothing_is_said(name: str, chosen: Candidate) -> None:
    condition = CONDITIONAL[name].conditions[0]
    chosen = met(CONDITIONAL[name].conditions[1:], chosen)
    assert not holds(CONDITIONAL[name], altered(chosen, condition.left, None))
    assert not holds(CONDITIONAL[name], altered(chosen, condition.left, math.nan))


def test_sentences_that_contradict_each_other_are_never_both_true(chosen: Candidate) -> None:
    chance = random.Random(3)
    apart = [
        ("few_rewards", "rewards_can_stop"), ("several_risks", "shared_risks"),
        ("spread_over_issuers", "hangs_on_an_issuer"), ("small_position", "large_position"),
        ("sound_protocols", "weak_protocol"), ("large_pools", "small_pools"), ("long_record", "short_record"),
        ("narrow_range", "wide_range"), ("no_spike", "spike"), ("keeps_yield", "failures_cost"),
        ("losses_rare", "losses_happen"), ("mild_bad_years", "bad_years"),
    ]  # fmt: skip
    alone = {"hangs_on_a_protocol"}  # a share of a protocol's own pools tells of no spread: others may lean on it
    assert {name for pair in apart for name in pair} | alone == CONDITIONAL.keys()
    for first, second in apart:
        left, right = CONDITIONAL[first].conditions[0], CONDITIONAL[second].conditions[0]
        assert (left.left, left.right) == (right.left, right.right)
        for _ in range(50):
            one = altered(chosen, left.left, bound(left, chosen) * chance.uniform(0.0, 4.0))
            assert not (holds(CONDITIONAL[first], one) and holds(CONDITIONAL[second], one))


@pytest.mark.parametrize("name", STATEMENTS)
def test_sentences_hold_no_number_and_compare_nothing_unclaimed(name: str) -> None:
    sentence = STATEMENTS[name].sentence
    words = set("".join(c if c.isalpha() else " " for c in sentence.lower()).split())
    assert not words & NUMBER_WORDS
    assert not any(character.isdigit() for character in sentence)
    assert sentence.endswith(".")
    assert STATEMENTS[name].conditions or not words & COMPARISON_WORDS.keys()


# The text.


@pytest.mark.parametrize("name", sorted({*WITH_FIGURES, *STATEMENTS}))
def test_every_true_sentence_is_written_claimed_and_resolves(name: str, found: Recommendation) -> None:
    from agents.rationale import write_rationale

    passage = STATEMENTS[name].passage if name in STATEMENTS else "why"
    record = plain(found)
    assert found.choice is not None
    index = next(i for i, one in enumerate(found.candidates) if one.id == found.choice.candidate_id)
    if name in CONDITIONAL and not holds(CONDITIONAL[name], found.candidates[index]):
        with pytest.raises(UntrueClaim):
            write_rationale(record, {passage: [name]})
        return
    written = write_rationale(record, {passage: [name]})
    text = {
        "markdown": written.text.markdown,
        "figures": [figure.model_dump() for figure in written.text.figures],
        "claims": [claim.model_dump() for claim in written.text.claims],
    }
    derived = {key: entry.model_dump() for key, entry in written.derived.items()}
    assert check_text({**record, "derived": derived, "rationale": text}) == ()
    if name in CONDITIONAL:
        condition = CONDITIONAL[name].conditions[-1]
        assert f"/candidates/{index}{condition.left}" in {claim["left"] for claim in text["claims"]}


def test_sentences_stand_in_the_order_of_their_names(found: Recommendation) -> None:
    ledger = Ledger(plain(found))
    shown = composed(["estimates", "choice_apy", "rates_move"], ledger, "/candidates/0", {"choice_apy": "It pays."})
    first, second = STATEMENTS["estimates"].sentence, STATEMENTS["rates_move"].sentence
    assert shown == f"{first} It pays. {second}"
    assert composed([], ledger, "/candidates/0", {}) is None


def test_no_word_of_a_model_gets_into_a_passage(chosen: Candidate, published: list[str]) -> None:
    """Two thousand random answers: what passes is names of the list, and nothing else."""
    chance, accepted, names = random.Random(7), 0, [*WITH_FIGURES, *STATEMENTS]
    pieces = [*names, *"0123456789", "ten", "dozen", "xii", "half", "better", "safe", " ", "{{", "}}", "\u200b", *"<>|"]
    for _ in range(2_000):
        word = "".join(chance.choices([*pieces, *string.ascii_letters], k=chance.randint(1, 4)))
        answer = [word, *chance.sample(names, chance.randint(0, MOST_SENTENCES - 1))]
        chance.shuffle(answer)
        try:
            passed = check_prose({"why": answer}, chosen)["why"]
        except ValueError:
            continue
        accepted += 1
        assert set(passed) <= set(allowed_in("why"))
    published.append(f"answers with a word of the model's own that were shown: 0 of 2,000 ({accepted} named sentences)")
