"""What kind of question it is, and what Plimsoll does not advise on."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import get_args

from tools.question.grammar import Match
from tools.question.lexicon import lexicon
from tools.question.line import Line
from tools.records import ProfileId


@dataclass(frozen=True)
class Refusal:
    """Why a question is out of scope: the phrase list that says so, and a sentence with what can be done instead."""

    name: str
    reason: str


_REFUSALS = (
    (
        Refusal(
            "elsewhere",
            "shares, metals, property and funds are out of scope: Plimsoll compares what ETH, BTC and dollars can earn "
            "in decentralised finance",
        ),
        (),
    ),
    (
        Refusal(
            "sending",
            "sending money is out of scope: Plimsoll holds no keys and sends no transactions; it says what to hold, "
            "and you or your wallet do it",
        ),
        (),
    ),
    (
        Refusal(
            "prediction",
            "price predictions are out of scope: Plimsoll says what an asset can earn at today's rates, with the range "
            "of what can happen to it",
        ),
        ("not_prediction",),
    ),
    (
        Refusal(
            "guarantee",
            "no return can be guaranteed: Plimsoll gives the chance of a loss and the size of a bad one beside every "
            "yield, and the Treasury bill as the comparison",
        ),
        ("not_guarantee",),
    ),
    (
        Refusal(
            "laundering",
            "help with laundering money or getting around sanctions and checks of identity is out of scope: Plimsoll "
            "advises on earning with money whose origin is in order",
        ),
        (),
    ),
    (
        Refusal(
            "tax_evasion",
            "help with evading tax or the law is out of scope: Plimsoll's record states every amount, rate and date, "
            "which is what an honest tax return or an adviser on tax needs",
        ),
        (),
    ),
    (
        Refusal(
            "attack",
            "attacks on protocols or users are out of scope: Plimsoll shows what an exploit would cost you, and which "
            "protocols have had one; a weakness belongs with the protocol's own bug bounty",
        ),
        ("not_attack",),
    ),
    (
        Refusal(
            "trading",
            "trading and leverage are out of scope: Plimsoll looks for yield on what you hold, without borrowing "
            "against it",
        ),
        ("not_trading",),
    ),
)
_OR = frozenset({"or", "vs", "versus", "v", "/"})
_EXPLAIN = ("intent.explain_start", "intent.concept_only")


def refusal(line: Line) -> Refusal | None:
    """Return why the question is out of scope by what it asks for, None when it is not."""
    for refused, exceptions in _REFUSALS:
        excused = {place for other in exceptions for match in line.find(f"intent.{other}") for place in match.span}
        if any(excused.isdisjoint(match.span) for match in line.find(f"intent.{refused.name}")):
            return refused
    return None


def foreign_assets(line: Line) -> list[str]:
    """Return what the question names that Plimsoll does not advise on, as it stands there."""
    return [line.quote(range(place, place + 1)) for place in line.whole if _is_foreign(line, place)]


def foreign_reason(name: str) -> str:
    """Return the sentence for an asset that Plimsoll does not advise on."""
    return f"{name}: Plimsoll advises on ETH, BTC and US dollars only"


def _is_foreign(line: Line, place: int) -> bool:
    """Tell whether a lexeme is another asset, or a protocol or chain whose coin is counted: ``100 AAVE``."""
    if line.is_kind(place, "foreign"):
        return True
    counted = line.is_kind(place - 1, "num") and line.is_kind(place, "protocol", "chain", "token")
    pools = line.has("pool", range(place, min(place + 3, len(line.lexemes))))
    return counted and line.asset_at(place) is None and not pools


def intent_of(line: Line) -> str | None:
    """Return ``what_if``, ``compare`` or ``explain`` when the words say so, else None.

    A question for a recommendation that also asks why is a recommendation: an explanation has no amount, and starts
    its sentence.
    """
    if line.has("intent.what_if", line.whole):
        return "what_if"
    if line.has("intent.compare", line.whole) and _names_several(line):
        return "compare"
    amount = any({"num", "usd"} & lexeme.readings.keys() for lexeme in line.lexemes)
    if _explains(line) and not amount:
        return "explain"
    if _compares(line):
        return "compare"
    return None


def _names_several(line: Line) -> bool:
    """Tell whether two protocols, chains or profiles are named."""
    kinds = ("protocol", "chain")
    values = {lexeme.get(kind) for lexeme in line.lexemes for kind in kinds if kind in lexeme.readings}
    return len(values) > 1 or len({name for name, _ in _profiles(line)}) > 1


def _profiles(line: Line) -> list[tuple[str, Match]]:
    """Return the profiles that are named, in order."""
    found = [(name, match) for name in get_args(ProfileId) for match in line.find(f"profile.{name}")]
    return sorted(found, key=lambda item: item[1].start)


def _explains(line: Line) -> bool:
    """Tell whether a sentence starts as an explanation does, after a greeting; or the question is just a concept."""
    for sentence in line.sentences:
        begins = [match.start for name in _EXPLAIN for match in line.find(name, sentence)]
        if any(start <= _first_word(line, sentence) for start in begins):
            return not line.has("intent.recommend", sentence)
    match = line.match_at("concept", line.whole)
    return match is not None and match.end >= len(line.lexemes) - 1 and not any(lex.readings for lex in line.lexemes)


def _first_word(line: Line, sentence: range) -> int:
    """Return the place of the first word after a greeting."""
    greetings = lexicon().words("intent.greeting")
    return next((at for at in sentence if line.word(at) not in greetings), sentence.start)


def _compares(line: Line) -> bool:
    if line.has("intent.compare", line.whole):
        return True
    for (_, left), (_, right) in pairwise(_profiles(line)):
        if line.word(left.end) in _OR and right.start - left.end <= 2:
            return True
    asks = "?" in {lexeme.word for lexeme in line.lexemes}
    pairs = [match for match in line.find("intent.compare_names") if _stands_free(line, match.start)]
    return any(asks or line.word(match.start + 1) in _OR - {"or", "/"} for match in pairs)


def _stands_free(line: Line, start: int) -> bool:
    """Tell whether no word such as on, only, no stands before the names: ``on Aave or Compound`` is no comparison."""
    if line.match_at("names.only_after", range(start + 3, len(line.lexemes))):
        return False
    return not any(line.word(start - 1) in lexicon().words(f"names.{name}") for name in ("place", "only", "refuse"))
