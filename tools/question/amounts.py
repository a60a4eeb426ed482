"""What is held: the asset and the amount, in the asset or in dollars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tools.errors import MandateError
from tools.question.context import context_of
from tools.question.grammar import Match
from tools.question.lexicon import lexicon
from tools.question.limits import AmountCap
from tools.question.line import Draft, Line
from tools.question.names import Names
from tools.records import Asset, Mandate

_YEARS = range(1990, 2101)
_BARE = 1_000.0
_BEFORE_YEAR = frozenset({"in", "since", "during", "until", "before", "after", "late", "early", "year"})
_PUTS_IN = frozenset({"put", "invest", "deposit", "putting", "have", "add", "get", "got", "all"})
_OPEN_INTENTS = frozenset({"compare", "explain", "out_of_scope"})


@dataclass(frozen=True)
class Held:
    """A number of something: the asset, the symbol as it was named (None for dollars), and where it stands."""

    value: float
    asset: Asset
    symbol: str | None
    place: int
    end: int


def read_amounts(
    line: Line,
    draft: Draft,
    names: Names,
    intent: str,
    parts: Sequence[Held],
    caps: Sequence[AmountCap],
    before: Mandate | None = None,
) -> None:
    """Read asset, ``amount`` and ``amount_usd``; numbers that fit nothing are left for the notes.

    ``before`` is what was held until now: its asset counts where the words name none, its amount where caps need one.
    Raises MandateError for an amount that is negative or zero, two different amounts, or two assets.
    """
    held = list(parts) or _counted(line)
    dollars = [] if parts else _dollars(line)
    for item in (*held, *dollars):
        _check_positive(item, line)
    mentioned = _mentioned(line, names)
    asset, as_value = _decide(line, held, dollars, mentioned, intent)
    if before is not None and before.asset and (asset is None or _is_value_of(before.asset, held, mentioned)):
        asset, as_value = before.asset, before.asset != "USD"
    elif asset is not None:
        draft.values["asset"] = asset
    if asset is None:
        return
    own = [item for item in held if item.asset == asset] + ([] if as_value or asset != "USD" else dollars)
    own = own or _bare(line, asset)
    if own:
        draft.values["amount"] = _one_amount(line, own)
    if as_value and dollars:
        draft.values["amount_usd"] = _one_amount(line, dollars)
    for item in (*own, *dollars):
        line.use(range(item.place, item.end))
    _apply_caps(line, draft, caps, asset, before)


def _is_value_of(asset: Asset, held: Sequence[Held], mentioned: Sequence[Asset]) -> bool:
    """Tell whether dollars alone, ``make it $50k``, are the value of the ETH or BTC that was spoken of before."""
    return asset != "USD" and not held and not mentioned


def _check_positive(item: Held, line: Line) -> None:
    what = line.quote(range(item.place, item.end))
    if item.value < 0:
        raise MandateError(f"the amount is negative ({what}); give a positive one")
    if item.value == 0:
        raise MandateError(f"the amount is zero ({what}); give a positive one")


# ---------------------------------------------------------------- what is counted


def read_parts(line: Line) -> list[Held]:
    """Read ``20 of my 100 ETH``, ``half of my 100 ETH``, ``half a bitcoin``; a share that is a limit is left alone."""
    found = [part for match in line.fresh("amount.part_of") if (part := _part_of(line, match))]
    for match in line.fresh("amount.part_of_coin"):
        asset = line.asset_at(match.end - 1)
        if asset and not found:
            share = line.lexemes[match.captures["part"]].get("share")
            found.append(Held(share, asset, None, match.start, match.end))
            line.use(match.span)
    return found


def _part_of(line: Line, match: Match) -> Held | None:
    part, whole = line.lexemes[match.captures["part"]].readings, line.lexemes[match.captures["whole"]].readings
    context = context_of(line, match.captures["part"])
    if context.direction or context.about & {"each_pool", "cap", "venue_cap", "drawdown", "var"}:
        return None
    total = whole.get("num", whole.get("usd"))
    share = part.get("share", part.get("pct"))
    value = part.get("num", part.get("usd")) if share is None else share * total
    asset: Asset | None = "USD" if "usd" in whole else line.asset_at(match.end - 1)
    if asset is None or value is None:
        return None
    line.use(match.span)
    return Held(value, asset, None, match.start, match.end)


def _counted(line: Line) -> list[Held]:
    """Read every number that counts coins or tokens: ``250 ETH``, ``2 million in stablecoins``, ``USDC 40k``."""
    return [held for place in _loose_numbers(line) if (held := _counted_at(line, place))]


def _loose_numbers(line: Line) -> list[int]:
    """Return the places of the plain numbers that nothing has taken."""
    places = (place for place in line.numbers(line.whole) if place not in line.used)
    plain = (place for place in places if line.is_kind(place, "num") and not _is_year(line, place))
    return [place for place in plain if "other_unit" not in line.lexemes[place].flags]


def _is_year(line: Line, place: int) -> bool:
    """Tell the year of ``in 2023 USDC fell`` from the amount of ``put in 2000 USDC``."""
    lexeme = line.lexemes[place]
    if line.word(place - 1) not in _BEFORE_YEAR or line.word(place - 2) in _PUTS_IN:
        return False
    return lexeme.get("num") in _YEARS and line.text[lexeme.start : lexeme.end].isdecimal()


def _counted_at(line: Line, place: int) -> Held | None:
    lexeme = line.lexemes[place]
    if "sats" in lexeme.flags:
        return Held(lexeme.get("num"), "BTC", "BTC", place, place + 1)
    behind = _coin_after(line, place)
    coin = _coin_before(line, place) if behind is None else behind
    asset = line.asset_at(coin) if coin is not None else None
    if coin is None or asset is None:
        return None
    named = line.lexemes[coin]
    return Held(
        lexeme.get("num"), asset, named.get("token") or named.get("coin"), min(place, coin), max(place, coin) + 1
    )


def _coin_after(line: Line, place: int) -> int | None:
    for at in range(place + 1, min(place + 5, len(line.lexemes))):
        if line.asset_at(at) and at not in line.used:
            return at
        if line.word(at) not in lexicon().words("amount.before_coin") or line.is_number(at):
            return None
    return None


def _coin_before(line: Line, place: int) -> int | None:
    """Find the coin of ``BTC 0.75`` and ``USDC: 40k``, unless it has a number of its own."""
    at = place - 1
    while at >= 0 and line.word(at) in lexicon().words("amount.behind_coin"):
        at -= 1
    if at < 0 or not line.asset_at(at) or line.is_number(at) or line.is_number(at - 1):
        return None
    closes = place + 1 == line.clause_of(place).stop
    near = place == at + 1 or line.word(at + 1) in {":", "="} or closes or "scaled" in line.lexemes[place].flags
    return at if near and not line.is_kind(place + 1, "foreign") else None


def _dollars(line: Line) -> list[Held]:
    places = [place for place in line.numbers(line.whole) if place not in line.used and line.is_kind(place, "usd")]
    return [Held(line.lexemes[place].get("usd"), "USD", None, place, place + 1) for place in places]


def _bare(line: Line, asset: Asset) -> list[Held]:
    """Read numbers without a unit: after ``amount:``, or large ones where the asset is dollars (``10k in stables``)."""
    labelled = {match.captures.get("num") for match in line.fresh("amount.labelled")}
    found = []
    for place in _loose_numbers(line):
        value, scaled = line.lexemes[place].get("num"), "scaled" in line.lexemes[place].flags
        large = asset == "USD" and (scaled or (value >= _BARE and value not in _YEARS))
        if place in labelled or large:
            found.append(Held(value, asset, None, place, place + 1))
    for item in found:
        _check_positive(item, line)
    return found


def _mentioned(line: Line, names: Names) -> list[Asset]:
    """Return the assets that are named outside what is kept out, in the order of the question."""
    silent = names.excluded | names.chains
    named = (line.asset_at(place) for place in line.whole if place not in silent and not line.is_number(place))
    return list(dict.fromkeys(asset for asset in named if asset))


# ---------------------------------------------------------------- which asset


def _decide(
    line: Line, held: list[Held], dollars: list[Held], mentioned: list[Asset], intent: str
) -> tuple[Asset | None, bool]:
    """Return the asset, and whether the dollars are the value of an ETH or BTC holding."""
    assets = list(dict.fromkeys(item.asset for item in held))
    if len(assets) == 1:
        return _beside_dollars(line, assets[0], dollars, intent)
    if assets or not dollars:
        return _only(assets or mentioned, intent), False
    coins = [asset for asset in mentioned if asset != "USD"]
    if not coins or ("USD" in mentioned and not _worth_of_coin(line, dollars)):
        return "USD", False
    return _only(coins, intent), True


def _beside_dollars(line: Line, asset: Asset, dollars: list[Held], intent: str) -> tuple[Asset | None, bool]:
    """Tell the value of 250 ETH (``worth $600k``, in brackets) from a second holding beside it."""
    if asset == "USD" or not dollars:
        return asset, False
    worth = {place for match in line.find("amount.worth") for place in match.span}
    near = {"(", "=", "-", "or", ","}
    if all(item.place - 1 in worth or line.word(item.place - 1) in near for item in dollars):
        return asset, True
    return _only([asset, "USD"], intent), False


def _worth_of_coin(line: Line, dollars: list[Held]) -> bool:
    """Tell whether the dollars are followed by a coin: ``$250k worth of ETH``, ``$250k in BTC``."""
    for item in dollars:
        at = _coin_after(line, item.place)
        if at is not None and line.asset_at(at) != "USD":
            return True
    return False


def _only(assets: Sequence[Asset], intent: str) -> Asset | None:
    """Return the one asset; of several None where the question is not for a recommendation, else raise MandateError."""
    if len(assets) == 1:
        return assets[0]
    if not assets or intent in _OPEN_INTENTS:
        return None
    raise MandateError(f"the question names more than one asset ({', '.join(sorted(assets))}); ask about one at a time")


def _one_amount(line: Line, items: Sequence[Held]) -> float:
    """Return the one amount.

    Different tokens of one asset joined by ``and`` add up; what is put to work goes before what is had.
    Raises MandateError for two different amounts of the same thing.
    """
    values = list(dict.fromkeys(item.value for item in items))
    if len(values) == 1:
        return float(values[0])
    if _joined(line, items):
        return float(sum(item.value for item in items))
    invested = {place for match in line.find("amount.put_in") for place in match.captures.values()}
    chosen = list(dict.fromkeys(item.value for item in items if item.place in invested))
    if len(chosen) == 1:
        return float(chosen[0])
    shown = " and ".join(line.quote(range(item.place, item.end)) for item in items[:2])
    raise MandateError(f"the question gives two different amounts: {shown}; give one")


def _joined(line: Line, items: Sequence[Held]) -> bool:
    joins = lexicon().words("amount.joins")
    gaps = (range(left.end, right.place) for left, right in pairwise(items))
    return len({item.symbol for item in items}) == len(items) and all(
        line.word(at) in joins for gap in gaps for at in gap
    )


def _apply_caps(line: Line, draft: Draft, caps: Sequence[AmountCap], asset: Asset, before: Mandate | None) -> None:
    """Turn a cap in coins or dollars into a weight where the amount is known in that unit; else note it."""
    known = draft.values
    if before is not None and before.asset == asset and not {"amount", "amount_usd"} & known.keys():
        known = before.model_dump()
    totals: dict[Asset, float | None] = {"USD": known.get("amount_usd"), asset: known.get("amount")}
    for cap in caps:
        total = totals.get(cap.unit)
        if total and 0 < cap.value <= total:
            draft.put("max_weight", round(cap.value / total, 12), "the largest weight of a pool")
        else:
            draft.note(line, cap.span)
