"""The words of a conversation: those of a question, with this room's phrases and the terms of the glossary."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

from tools.dialogue.concepts import load_concepts
from tools.question.lexicon import Lexicon, extended
from tools.question.line import Line

# Words that make a name of an ambiguous word behind them, where the talk is of an answer: "why fluid", "leave curve".
_BEFORE_NAMES = (
    "why", "include", "including", "allow", "add", "leave", "pick", "choose", "chosen", "picked", "back", "explain",
    "compare", "want", "isnt", "wasnt", "didnt", "cut", "kick", "ditch", "lose", "dump", "toss", "exit", "wheres",
    "would", "will", "readmit", "permit", "unban", "with", "trust", "have", "scrap", "forget",
)  # fmt: skip
_BEHIND_NAMES = ("would", "may", "can", "could", "should", "ban", "exclusion", "again", "back")
_BEHIND_IS = ("fine", "ok", "okay", "allowed", "acceptable", "alright", "good", "back", "welcome", "missing")


@cache
def vocabulary() -> Lexicon:
    """Return the vocabulary of a conversation, read once."""
    text = (resources.files(__package__) / "data" / "phrases.toml").read_text(encoding="utf-8")
    lists = {
        f"{section}.{name}": phrases
        for section, table in tomllib.loads(text).items()
        for name, phrases in table.items()
    }
    terms = {f"term.{name}": concept.aliases for name, concept in load_concepts().items()}
    beside = {"before": _BEFORE_NAMES, "excluded": _BEHIND_IS, "behind": _BEHIND_NAMES}
    return extended({**lists, **terms}, beside)


def line_of(text: str) -> Line:
    """Return a cleaned text as lexemes in the words of a conversation."""
    return Line(text, vocabulary())
