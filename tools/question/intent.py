"""What kind of question it is, and what Plimsoll does not advise on."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

from tools.question.lexicon import lexicon
from tools.question.line import Line
from tools.records import ProfileId

_REFUSALS = (
    ("prediction", (), "price predictions are out of scope"),
    ("guarantee", ("not_guarantee",), "no return can be guaranteed"),
    ("tax_evasion", (), "help with evading tax or the law is out of scope"),
    ("attack", ("not_attack",), "attacks on protocols or users are out of scope"),
    ("trading", ("not_trading",), "trading and leverage are out of scope"),
)


_BETWEEN = frozenset({"or", "vs", "versus", "v", "/"})


def refusal(line: Line) -> str | None:
    """Return why the question is out of scope by what it asks for, None when it is not."""
    for name, exceptions, reason in _REFUSALS:
        excused = {place for other in exceptions for match in line.find(f"intent.{other}") for place in match.span}
        if any(excused.isdisjoint(match.span) for match in line.find(f"intent.{name}")):
            return reason
    return None


def foreign_assets(line: Line) -> list[str]:
    """Return what the question names that Plimsoll does not advise on, as it stands there."""
    return [line.quote(range(place, place + 1)) for place in line.whole if _is_foreign(line, place)]


def _is_foreign(line: Line, place: int) -> bool:
    """Tell whether a lexeme is another asset, or a protocol or chain whose coin is counted: ``100 AAVE``."""
    readings = line.lexemes[place].readings
    if "foreign" in readings:
        return True
    counted = place > 0 and "num" in line.lexemes[place - 1].readings
    own = line.asset_at(place) is not None or not {"protocol", "chain", "token"} & readings.keys()
    return counted and not own and not line.has("pool", range(place, min(place + 3, len(line.lexemes))))


def intent_of(line: Line) -> str | None:
    """Return ``what_if``, ``compare`` or ``explain`` when the words say so, else None.

    A question for a recommendation that also asks why is a recommendation: an explanation has no amount, and starts
    its sentence.
    """
    whole = line.whole
    if line.has("intent.what_if", whole):
        return "what_if"
    if line.has("intent.compare", whole) and _names_several(line):
        return "compare"
    amount = any({"num", "usd"} & lexeme.readings.keys() for lexeme in line.lexemes)
    if _explains(line) and not amount:
        return "explain"
    if _compares(line):
        return "compare"
    return None


def _names_several(line: Line) -> bool:
    """Tell whether two protocols, chains or profiles are named."""
    values = {
        str(lexeme.get(kind)) for lexeme in line.lexemes for kind in ("protocol", "chain") if kind in lexeme.readings
    }
    profiles = {name for name in get_args(ProfileId) if line.has(f"profile.{name}", line.whole)}
    return len(values) > 1 or len(profiles) > 1


def _explains(line: Line) -> bool:
    for sentence in line.sentences:
        starts = [
            match.start for name in ("explain_start", "concept_only") for match in line.find(f"intent.{name}", sentence)
        ]
        polite = _without_greeting(line, sentence)
        if any(start <= polite for start in starts):
            return not line.has("intent.recommend", sentence)
        whole = line.find("concept", sentence)
        if (
            len(line.sentences) == 1
            and any(match.start == sentence.start and match.end == sentence.stop for match in whole)
            and not _is_asset(line)
        ):
            return True
    return False


def _is_asset(line: Line) -> bool:
    return any(lexeme.readings for lexeme in line.lexemes)


def _without_greeting(line: Line, sentence: range) -> int:
    greetings = {
        "hi",
        "hello",
        "hey",
        "please",
        "pls",
        "so",
        "ok",
        "and",
        "but",
        "can",
        "could",
        "you",
        "would",
        ",",
        "gm",
        "well",
        "also",
        "now",
        "quick",
        "question",
        ":",
        "then",
    }
    at = sentence.start
    while at < sentence.stop - 1 and line.word(at) in greetings:
        at += 1
    return at


def _compares(line: Line) -> bool:
    whole = line.whole
    if line.has("intent.compare", whole):
        return True
    named = sorted((match.start, match.end) for name in get_args(ProfileId) for match in line.find(f"profile.{name}"))
    if any(line.word(left[1]) in _BETWEEN and right[0] - left[1] <= 2 for left, right in pairwise(named)):
        return True
    asks = "?" in {lexeme.word for lexeme in line.lexemes}
    return any(
        asks or line.word(match.start + 1) in {"vs", "versus", "v"}
        for match in line.find("intent.compare_names")
        if _stands_free(line, match.start)
    )


def _stands_free(line: Line, start: int) -> bool:
    """Tell whether no word such as on, only, no stands before the names: ``on Aave or Compound`` is no comparison."""
    grammar = lexicon().grammar
    taken = {
        word
        for name in ("names.place", "names.only", "names.refuse")
        for phrase in grammar.lists[name]
        for word in phrase.split()
    }
    return line.word(start - 1) not in taken
