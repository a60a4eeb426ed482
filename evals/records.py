"""What an evaluation is made of and what it leaves: scores, the result of a case, the result of a suite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from tools.records import Count, Record

if TYPE_CHECKING:
    from agents.models import Seat

SCHEMA_VERSION = "1.0"
POLICY = "policy"


class Score(Record):
    """One aspect of a result: its value (None where there is none), whether it will do, and why in one sentence.

    ``passed`` None demands nothing: the value is only measured.
    """

    value: float | None
    passed: bool | None
    explanation: str


class Spent(Record):
    """What a case cost: calls of a model and the tokens that it reported."""

    calls: Count = 0
    input_tokens: Count = 0
    output_tokens: Count = 0


class CaseResult(Record):
    """How one case went. ``error`` is the foreseen failure that kept it from being scored, else None.

    ``case_sha256`` is over the case's own data and ``program_sha256`` over the program that was evaluated: a result
    counts only for both. ``details`` is what a reader needs to follow the scores, as plain data.
    """

    suite: str
    case: str
    case_sha256: str
    program_sha256: str
    subject: str
    tags: list[str]
    scores: dict[str, Score]
    error: str | None
    spent: Spent
    seconds: float
    details: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Tell whether the case was scored and nothing that was demanded failed."""
        return self.error is None and all(score.passed is not False for score in self.scores.values())


class SuiteResult(Record):
    """All cases of a suite for one subject; ``fast`` says that only the fast subset was run."""

    schema_version: str
    suite: str
    words: str
    subject: str
    fast: bool
    cases: list[CaseResult]

    @property
    def pass_rate(self) -> float:
        """Return the share of the cases that passed; 0 where there are none."""
        return sum(case.passed for case in self.cases) / len(self.cases) if self.cases else 0.0


class Endpoint(NamedTuple):
    """An OpenAI-compatible chat-completions endpoint, for what talks to a model without our workflow."""

    model: str
    base_url: str
    api_key: str | None

    def __repr__(self) -> str:
        """Leave the key out."""
        return f"Endpoint({self.model!r}, {self.base_url!r})"


@dataclass(frozen=True)
class Subject:
    """Who is evaluated: the embedded policy, or a model in its seat.

    ``seat`` makes a new seat for a run of the workflow (None: the policy); ``endpoint`` is the same model bare.
    """

    name: str = POLICY
    seat: Callable[[], Seat] | None = field(default=None, repr=False)
    endpoint: Endpoint | None = None
