"""Wishes that were understood but fit no field, in the user's own words."""

from __future__ import annotations

from tools.question.lexicon import lexicon
from tools.question.line import Draft, Line

_LIST_MARKS = range(1, 21)
_YEARS = range(1990, 2101)


def read_notes(line: Line, draft: Draft, intent: str) -> None:
    """Note each clause with a number that nothing has taken, a topic that no field holds, or a wish in new words."""
    if intent == "what_if":
        for match in line.find("notes.event"):
            draft.note(line, line.clause_of(match.start))
    for clause in line.clauses:
        if _has_loose_number(line, clause) or _has_topic(line, clause) or _is_wish(line, clause):
            draft.note(line, clause)


def _has_loose_number(line: Line, clause: range) -> bool:
    if len(clause) == 1 and _is_list_mark(line, clause.start):
        return False
    return any(place not in line.used and not _is_year(line, place) for place in line.numbers(clause))


def _is_list_mark(line: Line, place: int) -> bool:
    """Tell the numbers of a list, ``(1)`` and ``2.``, from the numbers in it."""
    if not line.is_kind(place, "num") or line.lexemes[place].get("num") not in _LIST_MARKS:
        return False
    before, after = line.word(place - 1), line.word(place + 1)
    return (before, after) == ("(", ")") or (after in {")", "."} and before in {"", "\n", ";", ".", ","})


def _is_year(line: Line, place: int) -> bool:
    lexeme = line.lexemes[place]
    return (lexeme.get("num") in _YEARS and "scaled" not in lexeme.flags) or "{share}" in lexeme.keys


def _has_topic(line: Line, clause: range) -> bool:
    quiet = {place for match in line.find("notes.quiet", clause) for place in match.span}
    return any(
        line.used.isdisjoint(match.span) and quiet.isdisjoint(match.span) for match in line.find("notes.topic", clause)
    )


def _is_wish(line: Line, clause: range) -> bool:
    """A wish has a word of wishing and, beside it, a word that means something and that nothing has taken."""
    wishes = [place for match in line.find("notes.wish", clause) for place in match.span]
    return bool(wishes) and any(_is_content(line, place) for place in clause if place > wishes[0])


def _is_content(line: Line, place: int) -> bool:
    lexeme = line.lexemes[place]
    known = lexeme.word in lexicon().plain_words
    return (
        place not in line.used and lexeme.word.isalpha() and len(lexeme.word) > 3 and not lexeme.readings and not known
    )
