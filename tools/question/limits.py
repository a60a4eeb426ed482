"""The user's limits: largest weight, number of pools, smallest TVL and APY, largest drawdown and VaR.

A number gets its meaning from the words around it (see ``context``). Where they leave two meanings, they become a note.
"""

from __future__ import annotations

from dataclasses import dataclass

from tools.errors import MandateError
from tools.question.context import LOWER, UPPER, Context, context_of, direction_of, is_amount, segment_of
from tools.question.grammar import Match
from tools.question.line import Draft, Line
from tools.records import Asset
from tools.units import from_percent

_SMALLEST_TVL = 1_000.0  # "TVL over 50" could be dollars or millions
_DEEP_POOL = 1_000_000.0
_MOST_POOLS = 1_000
_MOST_PERCENT = 100.0  # up to here, a bare number per pool is a percentage
_LABELS = {
    "max_weight": "the largest weight of a pool",
    "max_drawdown": "the largest drawdown",
    "max_var_95": "the largest VaR",
    "min_apy": "the smallest APY",
    "min_pools": "the smallest number of pools",
    "max_pools": "the largest number of pools",
}


@dataclass(frozen=True)
class AmountCap:
    """An upper limit per pool in money or coins, which becomes a weight once the amount is known."""

    value: float
    unit: Asset
    span: range


def read_limits(line: Line, draft: Draft, counted: Asset | None = None) -> list[AmountCap]:
    """Read every limit of the line into the draft; return the caps that are stated as amounts.

    ``counted`` is what numbers without a unit count, where that was said before.

    Raises MandateError for a limit that cannot be: a share above 100 %, a cap of zero, a negative limit.
    """
    _read_counts(line, draft)
    caps = []
    for place in line.numbers(line.whole):
        if place in line.used:
            continue
        lexeme = line.lexemes[place]
        if {"pct", "share"} & lexeme.readings.keys():
            _read_share(line, draft, place)
        elif {"usd", "num"} & lexeme.readings.keys():
            cap = _read_money(line, draft, place, counted)
            caps += [cap] if cap else []
            _read_bare(line, draft, place)
    return caps


# ---------------------------------------------------------------- shares


def _read_share(line: Line, draft: Draft, place: int) -> None:
    lexeme = line.lexemes[place]
    context = context_of(line, place)
    value = lexeme.get("pct") if "pct" in lexeme.readings else lexeme.get("share")
    name = _meaning(line, context, is_percent="pct" in lexeme.readings)
    if name is not None:
        _set_share(draft, name, value)
        _use_words(line, context.span)
    elif "pct" in lexeme.readings or context.about & {"each_pool", "venue_cap", "cap"}:
        draft.note(line, context.span)


def _meaning(line: Line, context: Context, *, is_percent: bool) -> str | None:
    """Return the field that a share sets, None when it could be something else."""
    about = context.about
    hypothetical = line.has("about.condition", line.sentence_of(context.place))
    if hypothetical or about & {"relative", "cvar"} or ("il" in about and about <= {"il", "size"}):
        return None
    if about & {"var", "drawdown"}:
        return None if "other_period" in about else "max_var_95" if "var" in about else "max_drawdown"
    if "apy" in about and context.lower and is_percent:
        return None if "other_period" in about else "min_apy"
    if about & {"each_pool", "cap"} and "apy" not in about:
        return "max_weight" if _is_cap(line, context) else None
    bare = not about - {"size"} and is_percent and context.lower
    return "min_apy" if bare and not _is_share_of(line, context, "{protocol}", "{chain}", "pools") else None


def _is_cap(line: Line, context: Context) -> bool:
    """Tell a cap on each pool, an upper limit or stated per pool, from a cap on a protocol or chain."""
    if "venue_cap" in context.about or _is_share_of(line, context, "{protocol}", "{chain}"):
        return False
    if line.has("about.cap_of_name", line.clause_of(context.place)):
        return False
    per_pool = "cap" in context.about or "per" in [line.word(place) for place in context.span]
    return context.upper or (context.direction is None and per_pool)


def _is_share_of(line: Line, context: Context, *keys: str) -> bool:
    """Tell whether a name stands right behind the number and its preposition, as in ``25% in Aave``."""
    place = context.place
    behind = range(place + 1, min(place + 5, context.span.stop))
    named = next((at for at in behind if not line.lexemes[at].keys.isdisjoint(keys)), None)
    if named is None:
        return False
    between = [line.word(at) for at in range(place + 1, named)]
    return not {"in", "on", "into", "to", "of"}.isdisjoint(between) and not line.has("pool", range(place + 1, named))


def _set_share(draft: Draft, name: str, value: float) -> None:
    what = _LABELS[name]
    if name in {"max_drawdown", "max_var_95"}:
        value = abs(value)  # a drawdown of -5% is one of 5%
    if value < 0:
        raise MandateError(f"{what} is negative ({100 * value:.12g} %); give a positive percentage")
    if name != "min_apy" and value > 1:
        raise MandateError(f"{what} is {100 * value:.12g} %, above 100 %; give at most 100 %")
    if name != "min_apy" and value == 0:
        raise MandateError(f"{what} is zero, which leaves nothing to hold; give more than 0 %")
    draft.put(name, value, what)


def _use_words(line: Line, span: range) -> None:
    """Mark a span as understood, but for the names in it: ``on Base above 4%`` speaks of Base as well."""
    others = {"chain", "protocol", "token", "coin", "days", "unit"}
    numbers = set(line.numbers(span))
    line.use(place for place in span if place in numbers or not others & line.lexemes[place].readings.keys())


# ---------------------------------------------------------------- money and bare numbers


def _read_money(line: Line, draft: Draft, place: int, counted: Asset | None) -> AmountCap | None:
    """Read a smallest TVL into the draft, or return a cap per pool in money or coins."""
    lexeme = line.lexemes[place]
    value = lexeme.get("usd") if "usd" in lexeme.readings else lexeme.get("num")
    context = context_of(line, place)
    unit: Asset | None = line.coin_behind(place) or ("USD" if "usd" in lexeme.readings else None)
    if "scaled" in lexeme.flags or value > _MOST_PERCENT:
        unit = unit or counted
    if unit and context.upper and "each_pool" in context.about and "tvl" not in context.about:
        _use_words(line, context.span)
        return AmountCap(value, unit, context.span)
    if _is_tvl(line, context, value):
        _set_tvl(line, draft, context, value)
    return None


def _is_tvl(line: Line, context: Context, value: float) -> bool:
    """Tell whether a number is a TVL: it is called so, or pools are said to be larger than it."""
    coin = line.coin_behind(context.place)
    if "tvl" in context.about:
        return coin in {None, "USD"}
    near = range(max(context.span.start - 3, line.clause_of(context.place).start), context.span.stop)
    larger = (context.lower and line.has("pool", near)) or "size" in context.about
    return larger and _is_large(line, context.place, value) and (coin is None or (coin == "USD" and context.lower))


def _is_large(line: Line, place: int, value: float) -> bool:
    lexeme = line.lexemes[place]
    return "usd" in lexeme.readings or "scaled" in lexeme.flags or value >= _SMALLEST_TVL


def _set_tvl(line: Line, draft: Draft, context: Context, value: float) -> None:
    """Set the smallest TVL; an upper limit, a small sum per pool or a number without its unit becomes a note."""
    position = "tvl" not in context.about and "each_pool" in context.about and value < _DEEP_POOL
    if context.upper or position or "relative" in context.about or not _is_large(line, context.place, value):
        draft.note(line, context.span)
        return
    if value < 0:
        raise MandateError(f"the smallest TVL is negative ({value:,.0f}); give a positive amount of dollars")
    draft.put("min_tvl_usd", float(value), "the smallest TVL of a pool")
    _use_words(line, context.span)


def _read_bare(line: Line, draft: Draft, place: int) -> None:
    """Read a number without a unit where the words say what it is: ``min apy 4.5``, ``max weight 0.25``."""
    lexeme = line.lexemes[place]
    value = lexeme.get("num")
    if value is None or place in line.used or line.coin_behind(place) or "scaled" in lexeme.flags or value > 100:
        return
    context = context_of(line, place)
    if not context.about and context.direction and value == int(value) and _pools_before(line, place):
        _put_count(draft, int(value), context.direction)
        _use_words(line, context.span)
        return
    counts_pools = line.has("pool", range(place, min(place + 3, context.span.stop)))
    name = None if counts_pools else _meaning(line, context, is_percent=True)
    if name and context.about & {"apy", "var", "drawdown", "cap", "each_pool"}:
        _set_bare(line, draft, context, name, value)


def _set_bare(line: Line, draft: Draft, context: Context, name: str, value: float) -> None:
    """Take 25 for 25 % and a weight or drawdown of 0.25 for a fraction; a rate of 0.05 could be either: a note."""
    as_fraction = value < 1 and name in {"max_weight", "max_drawdown"}
    if (value < 1 and not as_fraction) or (value == 1 and name == "max_weight"):
        draft.note(line, context.span)
        return
    _set_share(draft, name, value if as_fraction else from_percent(value))
    _use_words(line, context.span)


# ---------------------------------------------------------------- number of pools


def _read_counts(line: Line, draft: Draft) -> None:
    for match in line.find("count.not_pools"):
        draft.note(line, line.clause_of(match.start))
    for name in ("count.of_pools", "count.bare"):
        for match in line.fresh(name):
            _read_count(line, draft, match)
    for match in line.fresh("count.one"):
        if _is_only_one(line, match):
            _put_counts(draft, 1, 1)
            line.use(match.span)


def _is_only_one(line: Line, match: Match) -> bool:
    """Tell ``everything in one pool`` from ``not all in one pool`` and ``25% in one pool``."""
    clause = line.clause_of(match.start)
    refused = line.has("not", range(max(match.start - 3, clause.start), match.start))
    return not refused and (not line.numbers(clause) or line.word(match.start) in {"everything", "all"})


def _read_count(line: Line, draft: Draft, match: Match) -> None:
    place = next(iter(match.captures.values()))
    lexeme = line.lexemes[place]
    low, high = lexeme.get("range") or (lexeme.get("num"), lexeme.get("num"))
    whole = low == int(low) and high == int(high) <= _MOST_POOLS
    if not whole or lexeme.word == "one" or lexeme.flags & {"usd", "pct", "days", "scaled"}:
        return
    if line.coin_behind(place) and not _has_amount_beside(line, place):
        return
    if low < high:
        _put_counts(draft, int(low), int(high))
    else:
        _put_count(draft, int(low), _count_direction(line, place))
    _use_words(line, match.span)


def _has_amount_beside(line: Line, place: int) -> bool:
    """Tell whether another number is an amount: in ``20 bitcoin pools`` alone it is the 20."""
    others = (other for other in line.numbers(line.whole) if other != place and other not in line.used)
    return any(is_amount(line, other) for other in others)


def _put_count(draft: Draft, count: int, direction: str | None) -> None:
    """Set a number of pools: a lower limit, an upper limit, or exactly so many; ``more than 3`` means at least 4."""
    if direction in LOWER:
        _put_counts(draft, count + (direction == "above"), None)
    elif direction in UPPER:
        _put_counts(draft, None, count - (direction == "below"))
    else:
        _put_counts(draft, count, count)


def _pools_before(line: Line, place: int) -> bool:
    """Tell whether the clause before speaks of pools: ``which pools (three at most)``."""
    at = line.clauses.index(line.clause_of(place))
    return at > 0 and line.clauses[at - 1].start in line.sentence_of(place) and line.has("pool", line.clauses[at - 1])


def _count_direction(line: Line, place: int) -> str | None:
    """Return the direction of a number of pools; the ``over`` of ``spread over four pools`` is none."""
    direction = direction_of(line, segment_of(line, place), place)
    spread = line.has("direction.spread", range(line.sentence_of(place).start, place))
    return None if direction == "above" and line.word(place - 1) == "over" and spread else direction


def _put_counts(draft: Draft, low: int | None, high: int | None) -> None:
    for name, count in (("min_pools", low), ("max_pools", high)):
        if count is not None and count < 1:
            raise MandateError(f"{_LABELS[name]} is {count}; give at least one pool")
        if count is not None:
            draft.put(name, count, _LABELS[name])
