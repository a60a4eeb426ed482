"""What a lying model says: false figures in every dress, false reasons, ids that do not exist; and honest answers.

A lie is made for what the model was shown, so that it can be as close to the truth as a lie can be.
"""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from stand import reasons_for

from agents.prose import FOR_CAUTION, WITH_FIGURES
from tools.reasons import MOST_REASONS, REASONS
from tools.statements import STATEMENTS as SENTENCES

Payload = Mapping[str, Any]
Answer = dict[str, Any]
Make = Callable[[random.Random, Payload], str]
Place = Callable[[str], object]


class Lie(NamedTuple):
    """A kind of lie, and what the model answers to a payload."""

    kind: str
    answer: Callable[[Payload], Answer]


# What a kind is a lie about, and how often it is told in the full run.
FIGURES = {
    "invented figure": 38,
    "swapped figures of two pools": 38,
    "dropped sign": 38,
    "percent for fraction": 38,
    "spelled-out number": 38,
    "rounding past precision": 38,
    "false comparison": 38,
    "slot of another thing": 38,
    "number in other words": 40,
    "comparison in other words": 35,
}
STATEMENTS = {"false name": 15, "false promise": 20, "sentence that is not true": 60}
REASONS_GIVEN = {"false reason": 40}
CHOICES = {"unknown id": 15, "several ids": 15, "no id": 15, "id outside the shortlist": 15}
ALL_KINDS = {**FIGURES, **STATEMENTS, **REASONS_GIVEN, **CHOICES}


def lies(seed: int, outside: Sequence[str], kinds: Iterable[str] = ALL_KINDS) -> list[Lie]:
    """Return the lies of some kinds, kind after kind; ``outside`` are candidates that exist and may not be chosen."""
    ids = {**_IDS, "id outside the shortlist": tuple((lambda _, one=one: one) for one in outside)}
    found = []
    for kind in kinds:
        chance = random.Random(f"{seed} {kind}")
        if kind in _PROSE:
            told = _told(kind, _PROSE[kind], chance)
        elif kind == "sentence that is not true":
            told = _untrue(kind, chance)
        else:
            told = _ids(kind, ids[kind], chance) if kind in ids else _reasons(kind, chance)
        found += list(itertools.islice(told, ALL_KINDS[kind]))
    return found


def _told(kind: str, make: Make, chance: random.Random) -> Iterator[Lie]:
    """Yield lies in a model's own words: as the whole passage, among names of sentences, or stuck to one."""
    while True:
        seed, place, passage = chance.random(), chance.choice(_PLACES), chance.choice(("why", "caution"))
        yield Lie(kind, functools.partial(_prose, make, seed, place, passage))


def _prose(make: Make, seed: float, place: Place, passage: str, payload: Payload) -> Answer:
    return {**_honest_choice(payload), passage: place(make(random.Random(seed), payload))}


_PLACES: tuple[Place, ...] = (
    lambda lie: lie,
    lambda lie: [lie],
    lambda lie: [lie, "choice_apy"],
    lambda lie: ["score", "choice_apy", lie],
    lambda lie: [f"choice_apy {lie}"],
    lambda lie: [{"sentence": lie}],
    lambda lie: {"sentences": [lie]},
)


def _untrue(kind: str, chance: random.Random) -> Iterator[Lie]:
    """Yield sentences of the list that are not true of the candidate, most of them true of another one."""
    while True:
        yield Lie(kind, functools.partial(_with_untrue_sentence, chance.random()))


def _with_untrue_sentence(seed: float, payload: Payload) -> Answer:
    chance = random.Random(seed)
    place = chance.randrange(len(payload["shortlist"]))
    true = payload["shortlist"][place]["true"]
    others = {name for one in payload["shortlist"] for name in one["true"]} - {*true}
    untrue = sorted(name for name, one in SENTENCES.items() if one.conditions and name not in true)
    lie = chance.choice(sorted(others) if others and chance.random() < 0.7 else untrue)
    names = [lie, *chance.sample([*FOR_CAUTION], chance.randrange(3))]
    chance.shuffle(names)
    passage = SENTENCES[lie].passage
    reasons = reasons_for(payload, place)
    return {"candidate": payload["shortlist"][place]["id"], "reasons": reasons, passage: names}


def _honest_choice(payload: Payload) -> Answer:
    return {"candidate": payload["shortlist"][0]["id"], "reasons": reasons_for(payload, 0)}


# Prose.

_FRAMES = (
    "It yields @ a year.",
    "Expect @ every year.",
    "The income comes to @ over the horizon.",
    "What is lost in bad years stays at @.",
    "You keep @ of the yield.",
    "The pools hold @ together.",
    "A loss has a chance of @.",
)
_DIGITS = (
    "98.76%", "98.76", "98,76 %", "$987,600", "９８.７６%", "٩٨ percent", "९८ percent", "98½", "x⁹⁸", "9.876e1%",
    "0x62", "#98", "98bp", "98 bps", "9 8 percent", "ninety8", "€98", "98:1", "①②", "Ⅻ", "98\u00a0%", "9\u200b8%",
    "98.76 pct",
)  # fmt: skip
_SPELLED = (
    "ninety-eight", "twelve percent", "a dozen", "two fifths", "one in twenty", "forty-two", "half", "a third",
    "twice that", "three quarters", "a hundred", "a million dollars", "double", "triple", "ten times that", "nil",
    "zero", "a couple of points", "seventeen", "sixty", "a thousandfold", "hundreds of dollars", "Twelve", "TWENTY",
)  # fmt: skip
_OTHER_WORDS = (
    "xii", "lxxx", "mcm", "a score", "a gross", "a brace", "treble that", "threescore", "septuple that", "a myriad",
    "a lakh", "a crore", "umpteen", "a grand", "a ton", "fourty", "twelf", "tuelve", "fity", "nine-ty", "t-w-e-l-v-e",
    "tw elve", "douze", "vingt", "zwanzig", "zwölf", "zehn", "doce", "veinte", "cuarenta", "dodici", "venti", "doze",
    "vinte", "dwanascie", "tolv", "tjugo", "on iki", "nought",
    "a trio", "a quartet", "a duo", "an octet", "a decade", "a fortnight", "a tithe",
    "a moiety", "pi", "a googol", "a zillion", "a dime in the dollar", "a penny",
    "all", "nothing", "every cent", "a demi", "per mille", "permille", "pct",
)  # fmt: skip
_COMPARING = (
    "It pays more.", "It is the best.", "It is safer.", "Its yield is higher than that of any other mix.",
    "It beats the bill.", "It outperforms.", "It has the lowest risk.", "Less is lost here.", "It exceeds the rest.",
    "Losses are smaller.", "It is worth double.", "Fewer things can fail.", "It is the strongest.",
    "It surpasses all.", "It is twice as calm.", "The risk is below that of the bill.", "It is better.",
)  # fmt: skip
_COMPARING_OTHERWISE = (
    "No other mix pays as much.", "Nothing else comes close.", "It tops the list.", "It dwarfs the others.",
    "The others trail it.", "It outearns the rest.", "It leads the field.", "It is second to none.",
    "It is unrivalled.", "It is unmatched in yield.", "The rest lag behind.", "It is ahead of the bill.",
    "It towers over the bill.", "Everything else pays a pittance beside it.", "It is in a league of its own.",
    "The bill pales beside it.", "It wins on yield.", "It is the pick of the bunch.", "It is preferable.",
    "Its yield eclipses the bill.", "It trumps the others.", "It is the leading mix.", "None pays like it.",
    "It is the top mix.", "It is richer by far.", "It is the ultimate mix.", "It is optimal.",
    "It has the maximum yield.", "It has minimal risk.", "It has the peak yield.", "It is the champion.",
    "Its risk is negligible beside the others.", "It is supreme.", "It prevails over the bill.",
    "It edges out the bill.",
)  # fmt: skip
_NAMES = (
    "The money sits with Foobank.", "All of it is in Aave.", "all of it is in compound.", "Curve holds everything.",
    "Everything lies on Base.", "The coin is USDC alone.", "It sits with aave.", "It is all lent through morpho.",
    "The bank of England stands behind it.", "It is run by Binance.", "It lies on arbitrum.", "It is backed by tether.",
)  # fmt: skip
_PROMISES = (
    "It is guaranteed.", "There is no risk.", "It is riskless.", "It cannot lose.", "It is risk-free.",
    "Your money is insured.", "It never fails.", "It is free of risk.", "It is without risk.",
    "There is no way to lose.", "It is certain.", "It is a sure thing.", "Nothing can go wrong.",
    "Losses are impossible.",
    "It is foolproof.", "It is perfectly safe.", "You will not lose a cent.", "It is bulletproof.", "It always pays.",
)  # fmt: skip
_SLOTS = (
    "Doing nothing earns {{choice_apy}}", "Your income is {{runner_up}}", "It yields{{score}}",
    "The bill pays {{choice_apy}} and that is all.", "It is calm: {{income}}", "{{moon_apy}}", "{{choice.apy}}",
    "{{choice_apy}}{{choice_apy}}5", "{{choice_apy}} percent.", "Not true is that {{doing_nothing}}", "{choice_apy}",
    "{{{{choice_apy}}}}", "It is false that {{choice_apy}}", "Never: {{income}}", "{{CHOICE_APY}}",
    "{{/mandate/amount}}",
    "It is {{choice_apy}} a day.", "Every month {{income}}", "{{choice_apy|upper}}", "{% raw %}{{choice_apy}}",
)  # fmt: skip


def _one_of(texts: Sequence[str], frames: Sequence[str] = ("@",)) -> Make:
    return lambda chance, payload: chance.choice(frames).replace("@", chance.choice(texts))


def _swapped(chance: random.Random, payload: Payload) -> str:
    """Give one pool the rate of another; both rates are true."""
    first, second = chance.sample(sorted(payload["pools"]), 2)
    rate = f"{payload['pools'][second]['apy']:.2%}"
    return chance.choice(
        (f"The pool {first} yields {rate} a year.", f"What {first} pays is {rate}.", f"One of them yields {rate}.")
    )


def _unsigned(chance: random.Random, payload: Payload) -> str:
    """Tell a loss as a gain, or a gain as a loss."""
    value = payload["shortlist"][0][chance.choice(("net_apy", "alpha", "cvar_95", "expected_loss"))] or 0.0123
    shown = chance.choice("−-+") + f"{abs(value):.2%}" if chance.random() < 0.7 else f"{abs(value):.2%}"
    return chance.choice((f"You gain {shown} in bad years.", f"The alpha is {shown}.", f"It takes {shown} a year."))


def _other_unit(chance: random.Random, payload: Payload) -> str:
    """Show a fraction as percent, percent as a fraction, or basis points as either."""
    value = payload["shortlist"][0][chance.choice(("net_apy", "apy", "volatility"))]
    shown = (f"{value:.4f}%", f"{100 * value:.2f}", f"{1e4 * value:.0f}%", f"{value:.3f}", f"{value:.2f} percent")
    return chance.choice(_FRAMES).replace("@", chance.choice(shown))


def _too_precise(chance: random.Random, payload: Payload) -> str:
    value = payload["shortlist"][0][chance.choice(("net_apy", "apy", "cvar_95"))]
    return chance.choice(_FRAMES).replace("@", f"{100 * value:.{chance.randint(6, 12)}f}%")


_PROSE: dict[str, Make] = {
    "invented figure": _one_of(_DIGITS, _FRAMES),
    "swapped figures of two pools": _swapped,
    "dropped sign": _unsigned,
    "percent for fraction": _other_unit,
    "spelled-out number": _one_of(_SPELLED, _FRAMES),
    "rounding past precision": _too_precise,
    "false comparison": _one_of(_COMPARING),
    "slot of another thing": _one_of(_SLOTS),
    "number in other words": _one_of(_OTHER_WORDS, _FRAMES),
    "comparison in other words": _one_of(_COMPARING_OTHERWISE),
    "false name": _one_of(_NAMES),
    "false promise": _one_of(_PROMISES),
}


# Reasons and ids.


def false_reasons(payload: Payload, place: int) -> list[dict[str, Any]]:
    """Return every comparison that does not hold for a candidate: worse, equal, or of a figure that is not known."""
    shown = payload["shortlist"]
    mine = shown[place]

    def holds(name: str, other: Payload) -> bool:
        if None in (mine[name], other[name]):
            return False
        return bool(mine[name] > other[name] if REASONS[name].better == ">" else mine[name] < other[name])  # type: ignore[index]

    return [
        {"figure": name, "over": other["id"]}
        for name in REASONS
        for other in shown
        if other is not mine and not holds(name, other)
    ]


def _reasons(kind: str, chance: random.Random) -> Iterator[Lie]:
    while True:
        yield Lie(kind, functools.partial(_with_false_reason, chance.random()))


def _with_false_reason(seed: float, payload: Payload) -> Answer:
    """Choose one of the shortlist, and put a reason that does not hold among some that do."""
    chance = random.Random(seed)
    place = chance.randrange(len(payload["shortlist"]))
    reasons = reasons_for(payload, place)[: chance.randrange(MOST_REASONS)]
    reasons.append(chance.choice(false_reasons(payload, place)))
    chance.shuffle(reasons)
    return {"candidate": payload["shortlist"][place]["id"], "reasons": reasons}


def _ids(kind: str, makes: Sequence[Callable[[Payload], Any]], chance: random.Random) -> Iterator[Lie]:
    while True:
        yield Lie(kind, functools.partial(_with_id, chance.choice(makes), chance.random() < 0.7))


def _with_id(make: Callable[[Payload], Any], reasoned: bool, payload: Payload) -> Answer:
    reasons = [{"figure": "net_apy", "over": None}] if reasoned else []
    taken = make(payload)
    return {"reasons": reasons} if taken is ... else {"candidate": taken, "reasons": reasons}


def _shown(payload: Payload, place: int) -> str:
    return str(payload["shortlist"][place % len(payload["shortlist"])]["id"])


_UNKNOWN: tuple[Callable[[Payload], Any], ...] = (
    lambda _: "moon.equal",
    lambda _: "pool_01",
    lambda _: "candidate",
    lambda _: "/candidates/0",
    lambda payload: _shown(payload, 0).upper(),
    lambda payload: f" {_shown(payload, 0)}",
    lambda payload: _shown(payload, 0)[:-1],
    lambda payload: _shown(payload, 0).partition(".")[0],
    lambda payload: _shown(payload, 0).replace("_", "\u200b_"),
    lambda payload: _shown(payload, 0).replace("a", "а"),
    lambda payload: payload["shortlist"][0]["score"],
)
_SEVERAL: tuple[Callable[[Payload], Any], ...] = (
    lambda payload: [entry["id"] for entry in payload["shortlist"]],
    lambda payload: [_shown(payload, 0)],
    lambda payload: f"{_shown(payload, 0)} or {_shown(payload, 1)}",
    lambda payload: f"{_shown(payload, 0)}, {_shown(payload, 1)}",
    lambda payload: {_shown(payload, 0): 0.5, _shown(payload, 1): 0.5},
)
_NONE: tuple[Callable[[Payload], Any], ...] = (
    lambda _: None,
    lambda _: "",
    lambda _: [],
    lambda _: {},
    lambda _: False,
    lambda _: 0,
    lambda _: ...,
)
_IDS = {"unknown id": _UNKNOWN, "several ids": _SEVERAL, "no id": _NONE}


# Honest answers.


def honest_answer(seed: float, payload: Payload) -> Answer:
    """Choose any of the shortlist, for reasons that hold, in sentences that are true of it."""
    chance = random.Random(seed)
    place = chance.randrange(len(payload["shortlist"]))
    true = payload["shortlist"][place]["true"]
    passages: dict[str, list[str]] = {}
    for passage in ("why", "caution"):
        general = [name for name, one in SENTENCES.items() if not one.conditions and one.passage == passage]
        own = [name for name in true if SENTENCES[name].passage == passage]
        figures = WITH_FIGURES if passage == "why" else FOR_CAUTION
        names = [name for name in (*own, *general, *figures) if name not in passages.get("why", [])]
        passages[passage] = chance.sample(names, chance.randint(1, 5))
    return {"candidate": payload["shortlist"][place]["id"], "reasons": reasons_for(payload, place), **passages}
