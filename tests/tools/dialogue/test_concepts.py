"""The glossary: every term can be asked for, its text binds no figure, its pointer leads to one."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from tools.dialogue import Concept, Memory, load_concepts, read_turn
from tools.dialogue.vocabulary import vocabulary
from tools.records import METRIC_KEYS, Candidate, Recommendation
from tools.verify.words import COMPARISON_WORDS, NUMBER_WORDS

CONCEPTS = list(load_concepts().items())
SPOKEN = [(name, alias) for name, concept in CONCEPTS for alias in concept.aliases if re.fullmatch(r"[a-z ]+", alias)]


def test_there_are_enough_terms_and_each_profile_is_one() -> None:
    names = set(load_concepts())
    assert len(names) >= 30
    assert {"ultra_safe", "high_risk", "cvar", "impermanent_loss", "apy", "tripwires", "oracle"} <= names


@pytest.mark.parametrize(("name", "concept"), CONCEPTS, ids=[name for name, _ in CONCEPTS])
def test_a_text_has_a_few_sentences_and_nothing_to_bind(name: str, concept: Concept) -> None:
    words = set(re.findall(r"[a-z]+", concept.text.lower()))
    assert not re.search(r"\d", concept.text)
    assert not words & NUMBER_WORDS
    assert not words & COMPARISON_WORDS.keys()
    assert 2 <= len(re.findall(r"[.!?](?:\s|$)", concept.text)) <= 5


@pytest.mark.parametrize(("name", "concept"), CONCEPTS, ids=[name for name, _ in CONCEPTS])
def test_a_pointer_leads_to_a_figure_of_the_record(name: str, concept: Concept) -> None:
    assert (concept.pointer is None) == (concept.unit is None)
    if concept.pointer is None:
        return
    root: Any = Candidate if concept.pointer.startswith("{choice}/") else Recommendation
    for step in concept.pointer.removeprefix("{choice}").strip("/").split("/"):
        root = _step(root, step)
    assert any(leaf in {float, int, str} or isinstance(leaf, str) for leaf in _leaves(root))


def _leaves(kind: Any) -> list[Any]:
    return [leaf for part in get_args(kind) for leaf in _leaves(part)] if get_args(kind) else [kind]


def _step(kind: Any, step: str) -> Any:
    kind = next((part for part in get_args(kind) if isinstance(part, type) and issubclass(part, BaseModel)), kind)
    if get_origin(kind) is dict:
        assert step in METRIC_KEYS
        return get_args(kind)[1]
    return kind.model_fields[step].annotation


@pytest.mark.parametrize(("name", "alias"), SPOKEN)
def test_every_name_of_a_term_asks_for_it(name: str, alias: str) -> None:
    turn = read_turn(f"explain {alias}", Memory())
    assert (turn.kind, turn.concept) == ("explain", name)


def test_every_phrase_of_the_room_can_be_read() -> None:
    grammar = vocabulary().grammar
    for name in grammar.lists:
        if name.startswith(("talk.", "term.")) and name != "talk.filler":
            grammar.node(name)


def test_reading_a_line_needs_no_heavy_library() -> None:
    script = (
        "import sys, tools.dialogue; print([n for n in ('numpy', 'pandas', 'langgraph', 'scipy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
