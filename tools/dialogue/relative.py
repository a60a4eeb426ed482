"""Numbers beside what was said before: more pools than the answer has, half of the amount, money wanted back."""

from __future__ import annotations

from tools.dialogue.holding import is_sum
from tools.dialogue.merging import Wishes
from tools.dialogue.records import Memory
from tools.dialogue.rest import Rest
from tools.question.grammar import Match
from tools.question.line import Line
from tools.records import Mandate

_ARTICLES = frozenset({"the", "my", "our", "of"})
_DEEP_POOL = 1_000_000.0
_TIMES = {"double": 2.0, "halve": 0.5, "triple": 3.0}
# What a number of pools becomes, beside that of the last answer: the least, and the most.
_COUNTS = {"one_more_pool": (1, 1), "one_pool_less": (-1, -1), "more_pools": (1, None), "fewer_pools": (None, -1)}


def count_pools(rest: Rest, wishes: Wishes, memory: Memory) -> None:
    """Read ``two more pools`` and ``fewer pools`` beside the pools of the last answer; a note where there is none."""
    for name, sign in (("n_more_pools", 1), ("n_pools_less", -1)):
        for match in rest.take(name):
            step = rest.line.lexemes[match.captures["count"]].get("num")
            _put_counts(rest.line, wishes, memory, match, (sign * step, sign * step))
    for name, steps in _COUNTS.items():
        for match in rest.take(name):
            _put_counts(rest.line, wishes, memory, match, steps)


def _put_counts(
    line: Line, wishes: Wishes, memory: Memory, match: Match, steps: tuple[float | None, float | None]
) -> None:
    now = len(memory.pools)
    counts = [None if step is None else now + step for step in steps]
    if not now or any(count is not None and (count < 1 or count != int(count)) for count in counts):
        wishes.notes.append(line.quote(match.span))
        return
    for name, count in zip(("min_pools", "max_pools"), counts, strict=True):
        wishes.values[name] = None if count is None else int(count)


def move_amount(rest: Rest, wishes: Wishes, before: Mandate) -> None:
    """Read ``double the amount`` and ``another 10k`` beside the amount before; a note where that is not known."""
    for name, factor in _TIMES.items():
        for match in rest.take(name, _speaks_of_amount):
            known = {field: value for field in ("amount", "amount_usd") if (value := getattr(before, field))}
            wishes.values.update({field: value * factor for field, value in known.items()})
            wishes.notes += [] if known else [rest.line.quote(match.span)]
    for name, sign, fits in (("add_amount", 1, None), ("withdraw", -1, _is_money)):
        for match in rest.take(name, fits):
            sum_of = {} if sign < 0 and _only_may(rest.line, match) else _sum(rest.line, match, before, sign)
            wishes.values.update(sum_of)
            wishes.notes += [] if sum_of else [rest.line.quote(match.span)]


def _speaks_of_amount(line: Line, match: Match) -> bool:
    """Tell half of the amount from half of a position, or from what half of it must not do."""
    clause = line.clause_of(match.start)
    names = any(line.is_kind(at, "protocol", "chain", "token") and not line.is_kind(at, "coin") for at in clause)
    if _has_other_noun(line, match):
        return False
    return not names and not line.has("pool", clause) and not line.has("not", range(clause.start, match.start))


def _has_other_noun(line: Line, match: Match) -> bool:
    """Tell ``half the yield`` and ``double the risk``, where an article leads on to something that is no sum."""
    at = match.end
    while line.word(at) in _ARTICLES:
        at += 1
    led = line.word(at - 1) in _ARTICLES
    noun = at < len(line.lexemes) and line.word(at).isalpha() and not line.is_kind(at, "coin")
    return led and noun and line.word(at) not in line.words.words("talk.sums")


def _is_money(line: Line, match: Match) -> bool:
    """Tell money taken out from ``remove 2 pools`` and from money that has to be back on a day."""
    money = "coin" in match.captures or is_sum(line, match.captures["sum"])
    limit = line.has("talk.limit_words", range(match.end, min(match.end + 3, len(line.lexemes))))
    back = any(part.start < match.end < part.end for part in line.find("horizon.part_back"))
    return money and not limit and not back


def _only_may(line: Line, match: Match) -> bool:
    """Tell what may be taken out some day (``can I withdraw 50k``), or out of a single name, from what is taken out."""
    named = range(match.end, min(match.end + 3, line.clause_of(match.end - 1).stop))
    from_one = line.word(match.end) in {"from", "of", "in"} and any(
        line.is_kind(at, "protocol", "chain") for at in named
    )
    return from_one or any(may.start < match.end and match.start < may.end for may in line.find("talk.may_withdraw"))


def _sum(line: Line, match: Match, before: Mandate, sign: int) -> dict[str, float]:
    """Return the amount with what is added or taken out, in the unit that both have; empty where there is none."""
    added = line.lexemes[match.captures["sum"]]
    asset = line.asset_at(match.captures["coin"]) if "coin" in match.captures else None
    dollars = "usd" in added.readings and before.asset != "USD"
    field, value = ("amount_usd", before.amount_usd) if dollars else ("amount", before.amount)
    more = added.get("usd") if "usd" in added.readings else added.get("num")
    fits = asset is None or asset == before.asset
    return {field: value + sign * more} if fits and value is not None and more > 0 and value + sign * more > 0 else {}


def read_least_size(rest: Rest, wishes: Wishes) -> None:
    """Read ``nothing under $100m`` as the least size of a pool; a small sum could be anything and becomes a note."""
    for match in rest.take("least_size"):
        lexeme = rest.line.lexemes[match.captures["size"]]
        size = lexeme.get("usd") if "usd" in lexeme.readings else lexeme.get("num")
        if size >= _DEEP_POOL:
            wishes.values["min_tvl_usd"] = float(size)
        else:
            wishes.notes.append(rest.line.quote(match.span))
    wishes.notes += [rest.line.quote(match.span) for match in rest.take("most_size", _is_whole_clause)]


def _is_whole_clause(line: Line, match: Match) -> bool:
    return match.end == line.clause_of(match.start).stop


def leave_out_old_value(rest: Rest) -> None:
    """Leave out the old share of ``20% instead of 25``, which is no amount."""
    for match in rest.line.find("talk.instead_of"):
        if rest.line.is_kind(match.start - 1, "pct"):
            rest.taken.update(match.span)


def read_bare_amount(line: Line, wishes: Wishes, before: Mandate) -> None:
    """Read ``what if I had 500`` as an amount of what is held, where nothing else has taken the number."""
    if {"amount", "amount_usd"} & wishes.values.keys() or "asset" in wishes.values or before.asset is None:
        return
    for match in line.find("talk.bare_amount"):
        if match.end < line.whole.stop and line.word(match.end) not in line.words.words("talk.behind_amount"):
            continue  # "we have 3 signers" counts something else
        lexeme = line.lexemes[match.captures["amount"]]
        quote = line.quote(match.span).rstrip("?! ")
        noted = [note for note in wishes.notes if quote in note]
        if noted and lexeme.get("num") > 0 and ("scaled" not in lexeme.flags or before.asset == "USD"):
            wishes.values["amount"] = float(lexeme.get("num"))
            wishes.notes = [note for note in wishes.notes if note not in noted]
            return


def read_part_back(line: Line, wishes: Wishes) -> None:
    """Read a part that is wanted back as a horizon as well: the money has to be there on that day."""
    if "horizon_days" in wishes.values:
        return
    for match in line.find("horizon.part_back"):
        periods = [line.lexemes[at].get("days") or line.lexemes[at].get("unit") for at in match.span]
        days = [period for period in periods if period]
        if len(days) == 1:
            wishes.values["horizon_days"] = days[0]
