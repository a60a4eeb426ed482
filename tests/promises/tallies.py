"""What the promise suites count: cases and violations, and how often a promise may be broken in spite of none seen."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from scipy.stats import beta

T = TypeVar("T")

FULL = os.environ.get("PROMISES") == "full"
OUT = os.environ.get("PROMISES_OUT")  # a folder: each suite leaves a file there
SEED = int(os.environ.get("PROMISES_SEED", "5"))
MOST_EXAMPLES = 100


def upper_bound(violations: int, cases: int, confidence: float = 0.95) -> float:
    """Return the exact one-sided upper bound (Clopper and Pearson 1934) of a rate; 1 where there are no cases.

    Of none in n this is 1 - 0.05 ** (1 / n), which the rule of three approximates by 3 / n.
    """
    if violations >= cases:
        return 1.0
    return float(beta.ppf(confidence, violations + 1, cases - violations))


@dataclass
class Tally:
    """How often a promise was put to the test and how often it was broken, by kind of case.

    ``promise`` false: what is counted is a cost and no promise, such as honest answers that are refused.
    """

    suite: str
    what: str
    cases: int = 0
    violations: int = 0
    promise: bool = True
    kinds: dict[str, list[int]] = field(default_factory=dict)
    """kind → cases, violations"""
    examples: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def add(self, kind: str, faults: Iterable[str], case: str = "") -> None:
        """Count a case; it is one violation however many faults it shows."""
        found = list(faults)
        of_kind = self.kinds.setdefault(kind, [0, 0])
        self.cases += 1
        of_kind[0] += 1
        if found:
            self.violations += 1
            of_kind[1] += 1
            if len(self.examples) < MOST_EXAMPLES:
                self.examples.append(f"{kind}: {case or found[0]}")

    @property
    def upper(self) -> float:
        """Return the upper bound of the rate of violations at 95 %."""
        return upper_bound(self.violations, self.cases)

    def line(self) -> str:
        """Return the result as a line."""
        return f"{self.suite}: {self.what}: {self.violations} of {self.cases} (95 % upper bound {self.upper:.2%})"


@dataclass
class Ledger:
    """The tallies of one run of the suites."""

    tallies: list[Tally] = field(default_factory=list)

    def open(self, suite: str, what: str, *, promise: bool = True, **facts: Any) -> Tally:
        """Begin to count something."""
        self.tallies.append(Tally(suite, what, promise=promise, facts=facts))
        return self.tallies[-1]

    def write(self, folder: Path, name: str) -> None:
        """Write what was counted as JSON."""
        folder.mkdir(parents=True, exist_ok=True)
        entries = [asdict(tally) | {"upper_95": tally.upper} for tally in self.tallies]
        (folder / f"{name}.json").write_text(
            json.dumps({"seed": SEED, "full": FULL, "tallies": entries}, indent=1, ensure_ascii=False) + "\n",
            encoding="utf-8",
        )


def some(cases: Sequence[T], few: int) -> list[T]:
    """Return all cases in the full run, else a few of them, the same on every run with the same seed."""
    return list(cases) if FULL or len(cases) <= few else random.Random(SEED).sample(list(cases), few)
