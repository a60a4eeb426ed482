"""What is held: the asset and the amount, in the asset or in dollars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tools.errors import MandateError
from tools.question.context import context_of
from tools.question.limits import AmountCap
from tools.question.line import Draft, Line
from tools.question.names import Names

_JOINS = frozenset({"and", "plus", "+", "&", ",", "also", "as", "well"})
_YEARS = range(1990, 2101)
_BARE = 1_000.0
_OPEN_INTENTS = frozenset({"compare", "explain", "out_of_scope"})


@dataclass(frozen=True)
class Held:
    """A number of something: the asset, the symbol as it was named (None for dollars), and where it stands."""

    value: float
    asset: str
    symbol: str | None
    place: int
    end: int


def read_amounts(
    line: Line, draft: Draft, names: Names, intent: str, parts: Sequence[Held], caps: Sequence[AmountCap]
) -> None:
    """Read asset, ``amount`` and ``amount_usd``; numbers that fit nothing are left for the notes.

    Raises MandateError for an amount that is negative or zero, two different amounts, or two assets.
    """
    held = list(parts) or _counted(line)
    dollars = [] if parts else _dollars(line)
    for item in (*held, *dollars):
        _check_positive(item, line)
    mentioned = _mentioned(line, names, {item.place for item in held})
    asset, as_value = _decide(line, held, dollars, mentioned, intent)
    if asset is None:
        return
    draft.values["asset"] = asset
    own = [item for item in held if item.asset == asset] + ([] if as_value or asset != "USD" else dollars)
    own = own or _bare(line, asset)
    if own:
        draft.values["amount"] = _one_amount(line, own)
    if as_value and dollars:
        draft.values["amount_usd"] = _one_amount(line, dollars)
    for item in (*own, *dollars):
        line.use(range(item.place, item.end))
    _apply_caps(line, draft, caps, asset)


def _check_positive(item: Held, line: Line) -> None:
    what = line.quote(range(item.place, item.end))
    if item.value < 0:
        raise MandateError(f"the amount is negative ({what}); give a positive one")
    if item.value == 0:
        raise MandateError(f"the amount is zero ({what}); give a positive one")


# ---------------------------------------------------------------- what is counted


def read_parts(line: Line) -> list[Held]:
    """Read ``20 of my 100 ETH``, ``half of my 100 ETH``, ``half a bitcoin``; a share that is a limit (at most 10% of it) is left alone."""
    found = []
    for match in line.fresh("amount.part_of"):
        if _is_limit(line, match.captures["part"]):
            continue
        part, whole = line.lexemes[match.captures["part"]], line.lexemes[match.captures["whole"]]
        total = whole.get("num") if "num" in whole.readings else whole.get("usd")
        value = next((part.get(kind) for kind in ("num", "usd") if kind in part.readings), None)
        share = part.get("share") if "share" in part.readings else part.get("pct")
        asset = "USD" if "usd" in whole.readings else line.asset_at(match.end - 1)
        if asset and (value if value is not None else share) is not None:
            found.append(Held(value if value is not None else share * total, asset, None, match.start, match.end))
            line.use(match.span)
    for match in line.fresh("amount.part_of_coin"):
        asset = line.asset_at(match.end - 1)
        if asset and not found:
            found.append(Held(line.lexemes[match.captures["part"]].get("share"), asset, None, match.start, match.end))
            line.use(match.span)
    return found


def _is_limit(line: Line, place: int) -> bool:
    context = context_of(line, place)
    return context.direction is not None or bool(context.about & {"each_pool", "cap", "venue_cap", "drawdown", "var"})


def _counted(line: Line) -> list[Held]:
    """Read every number that counts coins or tokens: ``250 ETH``, ``2 million in stablecoins``, ``USDC 40k``."""
    found: list[Held] = []
    for place in line.numbers(line.whole):
        lexeme = line.lexemes[place]
        if place in line.used or "num" not in lexeme.readings or "other_unit" in lexeme.flags:
            continue
        if "sats" in lexeme.flags:
            found.append(Held(lexeme.get("num"), "BTC", "BTC", place, place + 1))
            continue
        coin = _coin_after(line, place)
        if coin is None:
            coin = _coin_before(line, place)
        if coin is None:
            continue
        named = line.lexemes[coin]
        symbol = named.get("token") or named.get("coin")
        asset = line.asset_at(coin)
        if asset:
            found.append(Held(lexeme.get("num"), asset, symbol, min(place, coin), max(place, coin) + 1))
    return found


def _coin_after(line: Line, place: int) -> int | None:
    for at in range(place + 1, min(place + 5, len(line.lexemes))):
        if line.asset_at(at) and at not in line.used:
            return at
        if line.word(at) not in _FILLERS or line.lexemes[at].is_number:
            return None
    return None


def _coin_before(line: Line, place: int) -> int | None:
    """Find the coin of ``BTC 0.75`` and ``USDC: 40k``, unless it has a number of its own."""
    at = place - 1
    while at >= 0 and line.word(at) in _BETWEEN:
        at -= 1
    if at < 0 or not line.asset_at(at) or line.lexemes[at].is_number:
        return None
    taken = at > 0 and line.lexemes[at - 1].is_number
    behind = place + 1 < len(line.lexemes) and bool(line.lexemes[place + 1].readings.keys() & {"foreign"})
    closes = place + 1 == line.clause_of(place).stop
    near = "scaled" in line.lexemes[place].flags or place == at + 1 or line.word(at + 1) in {":", "="} or closes
    return at if not taken and not behind and near else None


def _dollars(line: Line) -> list[Held]:
    places = [
        place for place in line.numbers(line.whole) if "usd" in line.lexemes[place].readings and place not in line.used
    ]
    return [Held(line.lexemes[place].get("usd"), "USD", None, place, place + 1) for place in places]


def _bare(line: Line, asset: str) -> list[Held]:
    """Read numbers without a unit: after ``amount:``, or large ones where the asset is dollars (``10k to put into stables``)."""
    labelled = {match.captures.get("num") for match in line.fresh("amount.labelled")}
    found = []
    for place in line.numbers(line.whole):
        lexeme = line.lexemes[place]
        if place in line.used or "num" not in lexeme.readings or "other_unit" in lexeme.flags:
            continue
        value = lexeme.get("num")
        year = value in _YEARS and "scaled" not in lexeme.flags
        large = asset == "USD" and not year and ("scaled" in lexeme.flags or value >= _BARE)
        if place in labelled or large:
            found.append(Held(value, asset, None, place, place + 1))
    for item in found:
        _check_positive(item, line)
    return found


def _mentioned(line: Line, names: Names, counted: set[int]) -> list[str]:
    """Return the assets that are named outside what is kept out, in the order of the question."""
    found = []
    for place, lexeme in enumerate(line.lexemes):
        asset = line.asset_at(place) if not lexeme.is_number else None
        if asset and place not in names.excluded | names.chains and asset not in found:
            found.append(asset)
    return found


# ---------------------------------------------------------------- which asset


def _decide(
    line: Line, held: list[Held], dollars: list[Held], mentioned: list[str], intent: str
) -> tuple[str | None, bool]:
    """Return the asset, and whether the dollars are the value of an ETH or BTC holding."""
    assets = list(dict.fromkeys(item.asset for item in held))
    if len(assets) > 1:
        return _several(assets, intent)
    if assets:
        return _beside_dollars(line, assets[0], dollars, intent)
    coins = [asset for asset in mentioned if asset != "USD"]
    if dollars:
        if not coins or ("USD" in mentioned and not _worth_of_coin(line, dollars)):
            return "USD", False
        return (coins[0], True) if len(coins) == 1 else _several(coins, intent)
    return (mentioned[0], False) if len(mentioned) == 1 else _several(mentioned, intent)


def _beside_dollars(line: Line, asset: str, dollars: list[Held], intent: str) -> tuple[str | None, bool]:
    """Beside 250 ETH a sum of dollars is its value when it is said so or stands in brackets; else it is a second holding."""
    if asset == "USD" or not dollars:
        return asset, False
    worth = {place for match in line.find("amount.worth") for place in match.span}
    if all(
        item.place - 1 in worth
        or line.word(item.place - 1) in {"(", "=", "-", "or", ","}
        or line.word(item.place - 2) == "("
        for item in dollars
    ):
        return asset, True
    return _several([asset, "USD"], intent)


def _worth_of_coin(line: Line, dollars: list[Held]) -> bool:
    """Tell whether the dollars are followed by a coin: ``$250k worth of ETH``, ``$250k in BTC``."""
    for item in dollars:
        at = _coin_after(line, item.place)
        if at is not None and line.asset_at(at) != "USD":
            return True
    return False


def _several(assets: Sequence[str], intent: str) -> tuple[str | None, bool]:
    if not assets or intent in _OPEN_INTENTS:
        return None, False
    raise MandateError(f"the question names more than one asset ({', '.join(sorted(assets))}); ask about one at a time")


def _one_amount(line: Line, items: Sequence[Held]) -> float:
    """Return the one amount; different tokens of one asset joined by ``and`` add up, and what is put to work comes before what is had.

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
    symbols = {item.symbol for item in items}
    return len(symbols) == len(items) and all(
        all(line.word(place) in _JOINS for place in range(left.end, right.place))
        for left, right in zip(items, items[1:], strict=False)
    )


def _apply_caps(line: Line, draft: Draft, caps: Sequence[AmountCap], asset: str) -> None:
    """Turn a cap in coins or dollars into a weight where the amount is known in the same unit; else it becomes a note."""
    for cap in caps:
        total = (
            draft.values.get("amount")
            if cap.unit == asset
            else draft.values.get("amount_usd")
            if cap.unit == "USD"
            else None
        )
        if total and 0 < cap.value <= total:
            draft.put("max_weight", round(cap.value / total, 12), "the largest weight of a pool")
        else:
            draft.note(line, cap.span)
