"""The independent checker of a saved recommendation. Standard library only: it shares no code with what it checks."""

from tools.verify.answer import is_answer, verify_answer
from tools.verify.checker import verify
from tools.verify.report import Difference, Report
from tools.verify.text import check_text
from tools.verify.words import (
    CARDINAL_VALUES,
    COMPARISON_WORDS,
    COMPARISONS_BEFORE_A_FIGURE,
    DOWN,
    EITHER,
    NUMBER_WORDS,
    SUPERLATIVES,
    UP,
    VAGUE_BEFORE_A_FIGURE,
)

__all__ = [
    "CARDINAL_VALUES",
    "COMPARISONS_BEFORE_A_FIGURE",
    "COMPARISON_WORDS",
    "DOWN",
    "EITHER",
    "NUMBER_WORDS",
    "SUPERLATIVES",
    "UP",
    "VAGUE_BEFORE_A_FIGURE",
    "Difference",
    "Report",
    "check_text",
    "is_answer",
    "verify",
    "verify_answer",
]
