"""The words that the checker reads as numbers and as comparisons.

Whoever writes a rationale avoids them, or binds them.

Words are compared without case, after Unicode compatibility folding, and with Markdown emphasis inside a word taken
away (``tw**ent**y``).
"""

from __future__ import annotations

UP, DOWN, EITHER = "up", "down", "either"


def _words(text: str) -> list[str]:
    return text.split()


_CARDINALS = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")
_ORDINALS = _words(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
    "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth thirtieth hundredth thousandth"
)
_OTHERS = _words(
    "hundred hundreds thousand thousands million millions billion billions trillion trillions dozen dozens "
    "half halves halve halved halving thirds quarter quarters fifths tenths hundredths "
    "once twice thrice double doubles doubled doubling triple triples tripled tripling quadruple quadrupled "
    "twofold threefold fourfold fivefold sixfold sevenfold eightfold ninefold tenfold hundredfold "
    "sixths sevenths eighths ninths thirtieth fortieth fiftieth sixtieth seventieth eightieth ninetieth millionth "
    "billionth quadrillion quintupled couple nil naught doubly halfway"
)

CARDINAL_VALUES: dict[str, int] = {
    **{word: number for number, word in enumerate(_CARDINALS)},
    **{word: 20 + 10 * number for number, word in enumerate(_TENS)},
}
"""Words that a figure of unit ``count`` or ``days`` may be written with, alone or as ``twenty-one``."""

NUMBER_WORDS: frozenset[str] = frozenset([*_CARDINALS, *_TENS, *_ORDINALS, *_OTHERS])
"""Words that are numbers: outside a figure each is a difference.

``both``, ``single``, ``pair`` and ``seconds`` are not among them.
"""

COMPARISON_WORDS: dict[str, str] = {
    **dict.fromkeys(_words("more greater higher larger bigger above exceed exceeds exceeded beat beats"), UP),
    **dict.fromkeys(_words("most greatest highest largest biggest"), UP),
    **dict.fromkeys(_words("less fewer lower smaller below"), DOWN),
    **dict.fromkeys(_words("least fewest lowest smallest"), DOWN),
    **dict.fromkeys(
        _words(
            "than twice better worse best worst tighter tightest equals weakest strongest safest safer riskier "
            "riskiest cheaper cheapest superior inferior outperforms surpasses"
        ),
        EITHER,
    ),
}
"""Words that compare: each must lie within a claim.

The direction is that of the claim's operator, its left side being what the sentence is about; ``at least`` reads as
up, ``at most`` as down, and a ``not`` or ``no`` up to two words before turns the direction round.
"""

COMPARISONS_BEFORE_A_FIGURE: dict[str, str] = {
    **dict.fromkeys(("over", ">", ">=", "≥"), UP),
    **dict.fromkeys(("under", "<", "<=", "≤"), DOWN),
}
"""Words and signs that compare only directly before a figure (``over $2m``, not ``over the horizon``).

``over`` and ``under`` not before days or dates either. A ``>`` that begins a line is a quotation.
"""

VAGUE_BEFORE_A_FIGURE: frozenset[str] = frozenset(_words("about around roughly approximately nearly almost circa"))
"""Words that make a figure a guess: never directly before one."""

SUPERLATIVES: frozenset[str] = frozenset(
    _words(
        "most greatest highest largest biggest least fewest lowest smallest best worst tightest weakest strongest "
        "safest riskiest cheapest"
    )
)
"""Comparisons that also hold with ``==`` (the largest equals the maximum)."""

NOT_COMPARING: frozenset[tuple[str, str]] = frozenset([("most", "recent"), ("most", "recently")])
"""Words that compare nothing before the word beside them: they speak of time."""

NEGATIONS: frozenset[str] = frozenset(["not", "no", "never", "nor", "neither", "cannot"])
