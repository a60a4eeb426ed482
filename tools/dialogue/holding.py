"""What must change nothing: incomes, what others hold, questions about a figure, numbers without a unit."""

from __future__ import annotations

from tools.dialogue.records import Memory
from tools.dialogue.sentences import EVENTS, INCOME, LOSS_IN_MONEY, OF_OTHERS, SAY_WHAT, WITH_ITS_UNIT
from tools.dialogue.subjects import subject_or_none
from tools.question.grammar import Match
from tools.question.line import Line
from tools.records import Mandate

_OURS = frozenset({"and", "i", "we", "&"})
_SMALLEST_AMOUNT = 100.0  # of dollars, where no amount was known
_PLAINLY_MONEY = 1_000.0
_SMALLEST_PART = 0.01  # a number without its unit that leaves less of the amount is something else


def held_back(line: Line, memory: Memory) -> str | None:
    """Return, in a sentence, why a line that sounds like a wish is none; None for every other line."""
    if line.has("talk.why", line.whole) or line.has("talk.why_not_do", line.whole):
        return None
    if any(line.word(match.end) != "work" for match in line.find("talk.income")):
        return INCOME
    if any(_is_theirs(line, match) for match in line.find("talk.of_others")):
        return OF_OTHERS
    if any(is_sum(line, match.captures["sum"]) for match in line.find("talk.money_lost")):
        return LOSS_IN_MONEY
    if len(line.clauses) == 1 and line.has("talk.event_past", line.whole):
        return EVENTS
    feared = line.find("talk.feared_others")
    if feared:
        subject = subject_or_none(line, memory)
        return SAY_WHAT.format(subject.words if subject else line.quote(feared[0].span))
    return None


def is_income(line: Line, mandate: Mandate) -> bool:
    """Tell whether the amount that was read is what is to be earned, and nothing else."""
    amounts = {value for value in (mandate.amount, mandate.amount_usd) if value is not None}
    earned = {at for match in line.find("talk.income") if line.word(match.end) != "work" for at in match.span}
    places = [at for at in line.whole if {line.lexemes[at].get("num"), line.lexemes[at].get("usd")} & amounts]
    return bool(places) and earned.issuperset(places)


def is_sum(line: Line, place: int) -> bool:
    """Tell a number of money from one of something else, such as pools: it has a sign, a multiplier, or thousands."""
    lexeme = line.lexemes[place]
    return "usd" in lexeme.readings or "scaled" in lexeme.flags or lexeme.get("num") >= _PLAINLY_MONEY


def _is_theirs(line: Line, match: Match) -> bool:
    """Tell ``my wife has`` from ``my wife and I have``."""
    return _OURS.isdisjoint(line.word(at) for at in match.span)


def only_asks(line: Line) -> bool:
    """Tell a question about a figure or a choice (``should I exclude Tether?``) from a wish put as a question."""
    skipped, opens = line.words.words("talk.question_skips"), line.words.words("talk.question_opens")
    at = next((at for at in line.whole if line.word(at) not in skipped), None)
    if at is None or line.word(at) not in opens:
        return False
    asked = line.sentence_of(at)
    if not (line.word(asked.stop) == "?" or _inverts(line, at)):
        return False
    if any(line.word(place) not in line.words.words("talk.courtesy") for place in range(asked.stop, line.whole.stop)):
        return False
    stays = line.words.words("talk.question_stays")
    if line.has("talk.question_offers", line.whole):
        return False
    return not line.has("intent.what_if", line.whole) and all(line.word(place) not in stays for place in asked)


def _inverts(line: Line, at: int) -> bool:
    """Tell ``should I exclude Tether`` without its mark from ``do it with less`` and ``so I want less``."""
    return line.word(at) not in {"do", "so", "have"} and line.word(at + 1) in line.words.words("talk.question_you")


def lacks_unit(line: Line, before: Mandate, after: Mandate) -> str | None:
    """Return what to say where a bare number would leave next to nothing of the amount before."""
    if before.asset != after.asset or after.amount is None or before.amount == after.amount:
        return None
    unknown = _SMALLEST_AMOUNT if before.asset == "USD" else 0.0
    if after.amount >= (_SMALLEST_PART * before.amount if before.amount else unknown):
        return None
    places = [at for at in line.whole if line.lexemes[at].get("num") == after.amount]
    bare = all(_is_bare(line, at) for at in places)
    return WITH_ITS_UNIT if places and bare else None


def _is_bare(line: Line, place: int) -> bool:
    """Tell a number without a sign, a multiplier, or a coin beside it."""
    beside = (at for at in (place - 1, place + 1) if 0 <= at < len(line.lexemes))
    return "scaled" not in line.lexemes[place].flags and not any(line.asset_at(at) for at in beside)
