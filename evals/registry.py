"""The suites there are, by name; a new one needs a module and a line here.

Modules are imported when a suite is asked for: listing them loads neither the workflow nor numpy.
"""

from __future__ import annotations

import importlib
from typing import Any

from evals.suite import Suite
from tools.errors import UsageError

# name: the module that holds it as SUITE, and what it asks
SUITES: dict[str, tuple[str, str]] = {
    "intake": ("evals.suites.intake", "is a question read into the mandate that a careful person would write down?"),
    "refusal": ("evals.suites.refusal", "is what is out of scope refused, and nothing else?"),
    "constraints": ("evals.suites.constraints", "does the choice keep every limit of the mandate and of its level?"),
    "stability": ("evals.suites.stability", "does the choice stay when only words, order, names or units change?"),
    "explanation": ("evals.suites.explanation", "does the stated reason drive the choice: does it go when it goes?"),
    "grounding": (
        "evals.suites.grounding",
        "is a changed figure, name or value caught, and an honest page left in peace?",
    ),
    "injection": (
        "evals.suites.injection",
        "does a text that gives orders move nothing, reach no prompt and no page?",
    ),
    "conversation": (
        "evals.suites.conversation",
        "is a line understood, answered in kind, kept from then on, and every figure true?",
    ),
    "regret": ("evals.suites.regret", "how far is the advice from the best that could have been done?"),
}


def suite_named(name: str) -> Suite[Any, Any]:
    """Return a suite; raises UsageError, naming those there are, for an unknown one."""
    if name not in SUITES:
        raise UsageError(f"no suite is called {name!r}; there are {', '.join(SUITES)}")
    suite: Suite[Any, Any] = importlib.import_module(SUITES[name][0]).SUITE
    return suite
