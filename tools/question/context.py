"""What the words around a number say: what it is about (a pool, the yield, a loss) and in which direction it runs.

A clause can hold several numbers; ``segment_of`` shares its words out among them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from tools.question.grammar import Match
from tools.question.line import Line

_NOUNS = ("cap", "venue_cap", "apy", "drawdown", "var", "cvar", "tvl")
_ABOUT = (*_NOUNS, "each_pool", "other_period", "relative", "size", "il")
_DIRECTIONS = ("at_least", "above", "at_most", "below")
LOWER, UPPER = frozenset({"at_least", "above"}), frozenset({"at_most", "below"})
_ARTICLES = frozenset({"a", "an", "the", "of", "to", "at"})
_BEFORE, _BEHIND = 7, 4  # so long may the clause before a number and the one behind it be that say what it is about


@dataclass(frozen=True)
class Context:
    """What the words around a number are about, and the direction (None: neither a lower nor an upper limit)."""

    place: int
    span: range
    about: frozenset[str]
    direction: str | None

    @property
    def lower(self) -> bool:
        """Tell whether the number is a lower limit."""
        return self.direction in LOWER

    @property
    def upper(self) -> bool:
        """Tell whether the number is an upper limit."""
        return self.direction in UPPER


def context_of(line: Line, place: int) -> Context:
    """Return what is said around a number: in its part of the clause, else in the clauses beside it."""
    span = segment_of(line, place)
    about = _about(line, span)
    if not about - {"other_period"}:
        about |= _about_neighbours(line, place)
    return Context(place, span, about, direction_of(line, span, place) or _at_the_end(line, place))


def _at_the_end(line: Line, place: int) -> str | None:
    """Return the direction that ends the clause of its only percentage: ``5% a year on 10 BTC at least``."""
    clause = line.clause_of(place)
    if [number for number in clause if "pct" in line.lexemes[number].readings] != [place]:
        return None
    found = ((match, name) for name in _DIRECTIONS for match in line.find(f"direction.{name}", clause))
    return next((name for match, name in found if match.end == clause.stop), None)


def segment_of(line: Line, place: int) -> range:
    """Return the part of a clause that speaks of one number; words between two are shared out from left to right."""
    if place not in line.segments:
        clause = line.clause_of(place)
        numbers = line.numbers(clause)
        start = clause.start
        for left, right in pairwise(numbers):
            boundary = _boundary(line, range(start, clause.stop), left, right)
            line.segments[left] = range(start, boundary)
            start = boundary
        line.segments[numbers[-1]] = range(start, clause.stop)
    return line.segments[place]


def _boundary(line: Line, rest: range, left: int, right: int) -> int:
    """Return where the words of the right number start; ``rest`` is what the numbers before have left of the clause.

    Words of direction open the right number, unless they close the left one. A noun belongs to the left number if that
    can be about it and has none before it; further nouns belong to the right one.
    """
    turns = _turns(line, range(left + 1, right))
    if turns and _trails(line, left, turns[0], right, more=len(turns) > 1):
        turns = turns[1:]
    lead = turns[0].start if turns else right
    counted = line.has("pool", range(left + 1, min(left + 2, lead))) and "num" in line.lexemes[left].readings
    nouns = _nouns(line, range(left + 1 + counted, lead))
    if not nouns:
        return lead
    before = range(rest.start, left)
    later = [match.start for match, name in nouns if name != nouns[0][1]]
    own = nouns[0][1] in _takes(line, left, before, nouns[0][0]) and not _nouns(line, before)
    own = own and (bool(later) or not _opens_right(line, rest, before, nouns, lead, right))
    return (later[0] if later else lead) if own else nouns[0][0].start


def _takes(line: Line, place: int, before: range, noun: Match) -> frozenset[str]:
    """Return what a noun behind a number can say of it.

    Counted coins take only, as a limit, a pool (``at most 25 ETH per pool``); money also its TVL; counted pools none.
    """
    lexeme = line.lexemes[place]
    pool = {"each_pool"} if _turns(line, before) else set()
    if line.coin_behind(place):
        return frozenset(pool)
    if "usd" in lexeme.readings or "scaled" in lexeme.flags:
        return frozenset(pool | ({"tvl"} if noun.start <= place + 2 else set()))
    if "num" in lexeme.readings and line.has("pool", range(place + 1, min(place + 2, len(line.lexemes)))):
        return frozenset()
    return frozenset({*_NOUNS, "each_pool"})


def _turns(line: Line, span: range) -> list[Match]:
    """Return the words of direction within a span, in order, the longer of two that overlap."""
    found = [match for name in _DIRECTIONS for match in line.find(f"direction.{name}", span)]
    found = [match for match in found if not _is_time(line, match.end)]
    return sorted((m for m in found if not any(_inside(m, other) for other in found)), key=lambda match: match.start)


def _is_time(line: Line, place: int) -> bool:
    """Tell whether a period stands at a place: the ``over`` of ``over a year`` is no limit."""
    following = line.lexemes[place].keys if place < len(line.lexemes) else frozenset()
    to_come = line.word(place) in {"next", "coming"} or (line.word(place), line.word(place + 1)) == ("the", "next")
    return to_come or not following.isdisjoint({"{days}", "{unit}"})


def _nouns(line: Line, span: range) -> list[tuple[Match, str]]:
    """Return what the numbers of a span may be about, in order."""
    return _subjects(line, span, (*_NOUNS, "each_pool"))


def _opens_right(line: Line, rest: range, before: range, nouns: list[tuple[Match, str]], lead: int, right: int) -> bool:
    """Tell whether a noun runs into the right number: ``at least 5% VaR under 1%``, a share with no noun behind it."""
    share = not {"pct", "share"}.isdisjoint(line.lexemes[right].readings)
    runs = nouns[-1][0].end == lead < right and nouns[-1][1] in _NOUNS
    behind = [match for match, _ in _nouns(line, range(right + 1, rest.stop)) if match.start == right + 1]
    own = behind and not any(turn.start == behind[0].end for turn in _turns(line, range(behind[0].end, rest.stop)))
    return share and runs and bool(_turns(line, before)) and not own


def _trails(line: Line, left: int, turn: Match, right: int, *, more: bool) -> bool:
    """Tell whether words of direction close the left number (``8% minimum on 10k``) or open the right one."""
    amount = is_amount(line, right) and not is_amount(line, left)
    if turn.start <= left + 2 and (more or amount or line.word(turn.start) in {"+", "or"}):
        return True
    opens = any(match.start == turn.end for match, _ in _nouns(line, range(turn.end, right)))
    apart = any(line.word(place) not in _ARTICLES for place in range(turn.end, right))
    return turn.start == left + 1 and apart and not opens


def is_amount(line: Line, place: int) -> bool:
    """Tell whether a number is a sum of dollars or counts coins."""
    return "usd" in line.lexemes[place].readings or line.coin_behind(place) is not None


def _about(line: Line, span: range) -> frozenset[str]:
    return frozenset(name for _, name in _subjects(line, span, _ABOUT))


def _subjects(line: Line, span: range, names: Iterable[str]) -> list[tuple[Match, str]]:
    """Return what a span speaks of, in order; a part of a longer phrase (the loss of impermanent loss) is not heard."""
    found = [(match, name) for name in dict.fromkeys((*names, "il")) for match in line.find(f"about.{name}", span)]
    masks = [*(match for match, _ in found), *line.find("risk.low", span)]
    heard = [(m, name) for m, name in found if name in names and not any(_inside(m, other) for other in masks)]
    return sorted(heard, key=lambda item: (item[0].start, item[1]))


def _inside(match: Match, other: Match) -> bool:
    """Tell whether a match is a smaller part of another: the loss of impermanent loss."""
    return other.start <= match.start and match.end <= other.end and len(match.span) < len(other.span)


def _about_neighbours(line: Line, place: int) -> frozenset[str]:
    at = line.clauses.index(line.clause_of(place))
    for beside, longest in ((at - 1, _BEFORE), (at + 1, _BEHIND)):
        if 0 <= beside < len(line.clauses) and line.clauses[beside].start in line.sentence_of(place):
            clause = line.clauses[beside]
            silent = len(clause) > longest or line.numbers(clause) or line.has("risk.low", clause)
            about = _about(line, clause) - {"il", "size", "other_period"}
            if about and not silent and line.used.isdisjoint(clause):
                return about
    return frozenset()


def direction_of(line: Line, span: range, place: int) -> str | None:
    """Return the direction (a list of ``direction``) whose words stand nearest; of overlapping ones the longest."""
    found = [(match, name) for name in _DIRECTIONS for match in line.find(f"direction.{name}", span)]
    whole = [(match, name) for match, name in found if not any(_inside(match, other) for other, _ in found)]
    nearest = min(whole, key=lambda item: (_distance(item[0], place), item[0].start, item[1]), default=None)
    return nearest[1] if nearest else None


def _distance(match: Match, place: int) -> int:
    return place - match.end if match.end <= place else match.start - place
