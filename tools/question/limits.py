"""The user's limits: largest weight, number of pools, smallest TVL and APY, largest drawdown and VaR.

A number gets its meaning from the words of its clause: what they are about (a pool, the yield, a loss, the size) and in which
direction they run (at least, no more than). Where that leaves two meanings, the words become a note.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tools.errors import MandateError
from tools.question.grammar import Match
from tools.question.line import Draft, Line

_ABOUT = ("each_pool", "cap", "venue_cap", "apy", "other_period", "relative", "drawdown", "var", "cvar", "tvl", "size", "il")
_NOUNS = ("cap", "venue_cap", "apy", "drawdown", "var", "cvar", "tvl")
_DIRECTIONS = ("at_least", "above", "at_most", "below")
_LOWER, _UPPER = frozenset({"at_least", "above"}), frozenset({"at_most", "below"})
_SMALLEST_TVL = 1_000.0  # "TVL over 50" could be dollars or millions
_DEEP_POOL = 1_000_000.0
_NEIGHBOUR, _TAIL = 7, 4  # words of the clause before a number, and of the one behind it, that may say what it is about
_BEFORE_PERIOD = frozenset({"for", "over", "next", "coming", "during", "one", "per", "every", "each", "this"})


@dataclass(frozen=True)
class Context:
    """What the words around a number say: what they are about, and the direction (None: neither lower nor upper limit)."""

    place: int
    span: range
    about: frozenset[str]
    direction: str | None

    @property
    def lower(self) -> bool:
        """Tell whether the number is a lower limit."""
        return self.direction in _LOWER

    @property
    def upper(self) -> bool:
        """Tell whether the number is an upper limit."""
        return self.direction in _UPPER


@dataclass(frozen=True)
class AmountCap:
    """An upper limit per pool in money or coins, which becomes a weight once the amount is known."""

    value: float
    unit: str
    span: range


def read_limits(line: Line, draft: Draft) -> list[AmountCap]:
    """Read every limit of the line into the draft; return the caps that are stated as amounts.

    Raises MandateError for a limit that cannot be: a share above 100 %, a cap of zero, a negative limit.
    """
    _read_counts(line, draft)
    caps = []
    for place in line.numbers(range(len(line.lexemes))):
        if place in line.used:
            continue
        lexeme = line.lexemes[place]
        if {"pct", "share"} & lexeme.readings.keys():
            _read_share(line, draft, place)
        elif {"usd", "num"} & lexeme.readings.keys():
            cap = _read_money(line, draft, place) or _read_bare(line, draft, place)
            caps += [cap] if cap else []
    return caps


def context_of(line: Line, place: int) -> Context:
    """Return what is said around a number: in its clause up to the next numbers; where that says nothing, in the clauses beside it."""
    span = _segment(line, place)
    about = _about(line, span)
    if not about - {"other_period"}:
        about |= _about_neighbours(line, place)
    return Context(place, span, about, _direction(line, span, place) or _at_the_end(line, place))


def _at_the_end(line: Line, place: int) -> str | None:
    """Return the direction that ends the clause of its only percentage: ``5% a year on 10 BTC at least``."""
    clause = line.clause_of(place)
    if sum("pct" in line.lexemes[number].readings for number in clause) != 1 or "pct" not in line.lexemes[place].readings:
        return None
    last = [name for name in _DIRECTIONS for match in line.find(f"direction.{name}", clause) if match.end == clause.stop]
    return last[0] if last else None


def _segment(line: Line, place: int) -> range:
    clause = line.clause_of(place)
    numbers = line.numbers(clause)
    at = numbers.index(place)
    start = _boundary(line, clause, numbers[at - 1], place) if at > 0 else clause.start
    stop = _boundary(line, clause, place, numbers[at + 1]) if at + 1 < len(numbers) else clause.stop
    return range(start, stop)


def _boundary(line: Line, clause: range, left: int, right: int) -> int:
    """Share out the words between two numbers of one clause; return where those of the right one start.

    Words of direction open the right number, unless they close the left one. What the first noun says belongs to the left number, unless
    that is an amount or has a noun before it; further nouns belong to the right one.
    """
    turns = _turns(line, range(left + 1, right))
    if turns and _trails(line, left, turns[0], right, more=len(turns) > 1):
        turns = turns[1:]
    lead = turns[0].start if turns else right
    nouns = _nouns(line, range(left + 1, lead))
    if not nouns:
        return lead
    before = range(max([clause.start, *(number + 1 for number in line.numbers(clause) if number < left)]), left)
    if _is_amount(line, left):
        own = nouns[0][1] == "tvl" and nouns[0][0].start <= left + 2
    else:
        own = not _nouns(line, before) and not _opens_right(line, clause, before, nouns, lead, right)
    later = [match.start for match, name in nouns if name != nouns[0][1]]
    return (later[0] if later else lead) if own else nouns[0][0].start


def _turns(line: Line, span: range) -> list[Match]:
    """Return the words of direction within a span, in order, the longer of two that overlap."""
    found = [match for name in _DIRECTIONS for match in line.find(f"direction.{name}", span)]
    return sorted((m for m in found if not any(_inside(m, other) for other in found)), key=lambda match: match.start)


def _nouns(line: Line, span: range) -> list[tuple[Match, str]]:
    """Return what the numbers of a span may be about, in order."""
    found = [(match, name) for name in (*_NOUNS, "each_pool") for match in line.find(f"about.{name}", span)]
    return sorted(((m, n) for m, n in found if not any(_inside(m, other) for other, _ in found)), key=lambda item: item[0].start)


def _opens_right(line: Line, clause: range, before: range, nouns: list[tuple[Match, str]], lead: int, right: int) -> bool:
    """Tell whether a noun runs into the right number (``at least 5% VaR under 1%``): that is a share without a noun of its own behind it."""
    share = not {"pct", "share"}.isdisjoint(line.lexemes[right].readings)
    runs = nouns[-1][0].end == lead < right and nouns[-1][1] in _NOUNS
    behind = range(right + 1, min([number for number in line.numbers(clause) if number > right], default=clause.stop))
    return share and runs and bool(_turns(line, before)) and not _nouns(line, behind)


def _trails(line: Line, left: int, turn: Match, right: int, *, more: bool) -> bool:
    """Tell whether words of direction close the left number (``8% minimum on 10k``) and do not open the right one (``min TVL 10m``)."""
    if more and turn.start <= left + 2 or (turn.start <= left + 2 and _is_amount(line, right) and not _is_amount(line, left)):
        return True
    opens = any(match.start == turn.end for match, _ in _nouns(line, range(turn.end, right)))
    return turn.start == left + 1 and turn.end < right and not opens


def _is_amount(line: Line, place: int) -> bool:
    return "usd" in line.lexemes[place].readings or _coin_behind(line, place) is not None


def _about(line: Line, span: range) -> frozenset[str]:
    found = [(match, name) for name in _ABOUT for match in line.find(f"about.{name}", span)]
    return frozenset(name for match, name in found if not any(_inside(match, other) for other, _ in found))


def _inside(match: Match, other: Match) -> bool:
    """Tell whether a match is a smaller part of another: the loss of impermanent loss."""
    return other.start <= match.start and match.end <= other.end and len(match.span) < len(other.span)


def _about_neighbours(line: Line, place: int) -> frozenset[str]:
    at = line.clauses.index(line.clause_of(place))
    sentence = line.sentence_of(place)
    for beside in (at - 1, at + 1):
        if not 0 <= beside < len(line.clauses):
            continue
        clause = line.clauses[beside]
        longest = _NEIGHBOUR if beside < at else _TAIL
        near = clause.start in sentence and len(clause) <= longest and not line.numbers(clause) and line.used.isdisjoint(clause) and not line.has("risk.low", clause)
        about = _about(line, clause) - {"il", "size", "other_period"} if near else frozenset[str]()
        if about:
            return about
    return frozenset()


def _direction(line: Line, span: range, place: int) -> str | None:
    """Return the direction whose words stand nearest to the number; of overlapping phrases the longest counts."""
    found = [(match, name) for name in _DIRECTIONS for match in line.find(f"direction.{name}", span)]
    whole = [(match, name) for match, name in found if not any(_inside(match, other) for other, _ in found)]
    nearest = min(whole, key=lambda item: (_distance(item[0], place), item[0].start, item[1]), default=None)
    return nearest[1] if nearest else None


def _distance(match: Match, place: int) -> int:
    return place - match.end if match.end <= place else match.start - place


# ---------------------------------------------------------------- shares


def _read_share(line: Line, draft: Draft, place: int) -> None:
    lexeme = line.lexemes[place]
    if "days" in lexeme.readings and line.word(place - 1) in _BEFORE_PERIOD | {"a"} and line.word(place - 1 - (line.word(place - 1) == "a")) in _BEFORE_PERIOD:
        return
    context = context_of(line, place)
    value = lexeme.get("pct") if "pct" in lexeme.readings else lexeme.get("share")
    name = _meaning(line, context, is_percent="pct" in lexeme.readings)
    if name is not None:
        _set_share(draft, name, value)
        _use_words(line, context.span)
    elif "pct" in lexeme.readings or context.about & {"each_pool", "venue_cap", "cap"}:
        _leave(line, draft, context)


def _meaning(line: Line, context: Context, *, is_percent: bool) -> str | None:
    """Return the field that a share sets, None when it could be something else."""
    about = context.about
    if line.has("about.condition", line.sentence_of(context.place)) or about & {"relative", "cvar"} or about <= {"il", "size"} and about:
        return None
    if about & {"var", "drawdown"}:
        return None if "other_period" in about else "max_var_95" if "var" in about else "max_drawdown"
    if "apy" in about and context.lower and is_percent:
        return None if "other_period" in about else "min_apy"
    if about & {"each_pool", "cap"} and "apy" not in about:
        return "max_weight" if _is_cap(line, context) else None
    nothing = not about - {"size"} and is_percent and context.lower
    return "min_apy" if nothing and not _has_name(line, context.span, "{protocol}", "{chain}", "pools") else None


def _is_cap(line: Line, context: Context) -> bool:
    """A share is a cap on a pool when it is an upper limit, or stated per pool; a cap on a protocol or chain is another thing."""
    if "venue_cap" in context.about or _has_name(line, context.span, "{protocol}", "{chain}"):
        return False
    return context.upper or (context.direction is None and ("cap" in context.about or "per" in [line.word(p) for p in context.span]))


def _has_name(line: Line, span: range, *keys: str) -> bool:
    """Tell whether a name stands right behind the number's preposition, as in ``25% in Aave``."""
    return any(not line.lexemes[place].keys.isdisjoint(keys) and line.word(place - 1) in {"in", "on", "into", "to", "of"} for place in span)


def _set_share(draft: Draft, name: str, value: float) -> None:
    labels = {"max_weight": "the largest weight of a pool", "max_drawdown": "the largest drawdown", "max_var_95": "the largest VaR", "min_apy": "the smallest APY"}
    if value < 0:
        raise MandateError(f"{labels[name]} is negative ({value:.12g}); give a positive percentage")
    if name != "min_apy" and value > 1:
        raise MandateError(f"{labels[name]} is {100 * value:.12g} %, above 100 %; give at most 100 %")
    if name != "min_apy" and value == 0:
        raise MandateError(f"{labels[name]} is zero, which leaves nothing to hold; give more than 0 %")
    draft.put(name, value, labels[name])


def _use_words(line: Line, span: range) -> None:
    """Mark a span as understood, but for the names in it: ``on Base above 4%`` speaks of Base as well."""
    others = {"chain", "protocol", "token", "coin", "days", "unit"}
    line.use(place for place in span if line.lexemes[place].is_number or not others & line.lexemes[place].readings.keys())


def _leave(line: Line, draft: Draft, context: Context) -> None:
    """Keep as a note what cannot be turned into a field."""
    draft.note(line, context.span)


# ---------------------------------------------------------------- money and bare numbers


def _read_money(line: Line, draft: Draft, place: int) -> AmountCap | None:
    """Read a smallest TVL, or a cap per pool in money or coins."""
    lexeme = line.lexemes[place]
    value = lexeme.get("usd") if "usd" in lexeme.readings else lexeme.get("num")
    coin = _coin_behind(line, place)
    context = context_of(line, place)
    pools = line.has("pool", range(max(context.span.start - 3, line.clause_of(place).start), context.span.stop))
    if "each_pool" in context.about and context.upper and "tvl" not in context.about and (coin or "usd" in lexeme.readings):
        _use_words(line, context.span)
        return AmountCap(value, coin or "USD", context.span)
    large = "usd" in lexeme.readings or "scaled" in lexeme.flags or value >= _SMALLEST_TVL
    sized = "tvl" in context.about or (large and (pools and context.lower or "size" in context.about))
    if not sized or coin in {"ETH", "BTC"} or (coin and "tvl" not in context.about and not context.lower):
        return None
    per_pool = "tvl" not in context.about and "each_pool" in context.about and value < _DEEP_POOL
    if not large or context.upper or per_pool or "relative" in context.about:
        _leave(line, draft, context)
        return None
    if value < 0:
        raise MandateError(f"the smallest TVL is negative ({value:,.0f}); give a positive amount of dollars")
    draft.put("min_tvl_usd", float(value), "the smallest TVL of a pool")
    _use_words(line, context.span)
    return None


def _coin_behind(line: Line, place: int) -> str | None:
    """Return the asset of the coin or token behind a number."""
    if place + 1 >= len(line.lexemes):
        return None
    following = line.lexemes[place + 1]
    return asset_of(following.readings)


def asset_of(readings: Any) -> str | None:
    """Return the asset that a coin or token stands for, None when it is none of ours."""
    from tools.question.lexicon import lexicon

    return readings.get("coin") or lexicon().symbol_assets.get(readings.get("token", ""))


def _read_bare(line: Line, draft: Draft, place: int) -> None:
    """Read a number without a percent sign where the words say that it is a rate or a share: ``min apy 4.5``, ``max weight 0.25``."""
    lexeme = line.lexemes[place]
    value = lexeme.get("num")
    if value is None or place in line.used or _coin_behind(line, place) or "scaled" in lexeme.flags or value > 100:
        return
    context = context_of(line, place)
    if not context.about and context.direction and value == int(value) and _pools_before(line, place):
        _put_count(draft, int(value), context.direction)
        _use_words(line, context.span)
        return
    name = None if line.has("pool", range(place, min(place + 3, context.span.stop))) else _meaning(line, context, is_percent=True)
    if name is None or not context.about & {"apy", "var", "drawdown", "cap", "each_pool"}:
        return
    as_fraction = value < 1 and name in {"max_weight", "max_drawdown"}
    if value < 1 and not as_fraction or (value == 1 and name == "max_weight"):
        _leave(line, draft, context)
        return
    _set_share(draft, name, value if as_fraction else round(value / 100, 12))
    _use_words(line, context.span)


# ---------------------------------------------------------------- number of pools


def _read_counts(line: Line, draft: Draft) -> None:
    for match in line.find("count.not_pools"):
        draft.note(line, line.clause_of(match.start))
    for name in ("count.of_pools", "count.bare"):
        for match in line.fresh(name):
            if not (match.captures.get("num") is not None and line.word(match.captures["num"]) == "one"):
                _read_count(line, draft, match)
    for match in line.fresh("count.one"):
        refused = line.has("not", range(max(match.start - 3, line.clause_of(match.start).start), match.start))
        if not refused and (not line.numbers(line.clause_of(match.start)) or line.word(match.start) in {"everything", "all"}):
            _put_counts(draft, 1, 1)
            line.use(match.span)


def _read_count(line: Line, draft: Draft, match: Match) -> None:
    place = next(iter(match.captures.values()))
    lexeme = line.lexemes[place]
    if "range" in lexeme.readings:
        if lexeme.flags & {"usd", "pct", "days"}:
            return
        low, high = lexeme.get("range")
        direction: str | None = "exact"
    else:
        low = high = lexeme.get("num")
        direction = _count_direction(line, place)
    if "scaled" in lexeme.flags or low != int(low) or high != int(high) or high > 1_000:
        return
    if low == high:
        _put_count(draft, int(low), direction)
    else:
        _put_counts(draft, int(low), int(high))
    _use_words(line, match.span)


def _put_count(draft: Draft, count: int, direction: str | None) -> None:
    """Set a number of pools: a lower limit, an upper limit, or exactly so many; ``more than 3`` means at least 4."""
    if direction in _LOWER:
        _put_counts(draft, count + (direction == "above"), None)
    elif direction in _UPPER:
        _put_counts(draft, None, count - (direction == "below"))
    else:
        _put_counts(draft, count, count)


def _pools_before(line: Line, place: int) -> bool:
    """Tell whether the clause before speaks of pools: ``which pools (three at most)``."""
    at = line.clauses.index(line.clause_of(place))
    return at > 0 and line.clauses[at - 1].start in line.sentence_of(place) and line.has("pool", line.clauses[at - 1])


def _count_direction(line: Line, place: int) -> str | None:
    """``Over`` after ``spread`` is a place, not a limit: spread over four pools means four."""
    direction = _direction(line, _segment(line, place), place)
    sentence = line.sentence_of(place)
    if direction == "above" and line.word(place - 1) == "over" and line.has("direction.spread", range(sentence.start, place)):
        return None
    return direction


def _put_counts(draft: Draft, low: int | None, high: int | None) -> None:
    for name, count, what in (("min_pools", low, "the smallest number of pools"), ("max_pools", high, "the largest number of pools")):
        if count is None:
            continue
        if count < 1:
            raise MandateError(f"{what} is {count}; give at least one pool")
        draft.put(name, count, what)
