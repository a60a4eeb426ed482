"""The model's seat: the embedded policy, an OpenAI-compatible endpoint, or a recorded conversation.

    prompt → call (deadline, budget) → one JSON object → the caller's check → answer
               │ failed in passing, or unusable: once more │ failed again: the policy, and the record says so

A model is asked for JSON in plain text, not through tools or a response format, which many servers lack. Nothing that
it says is used before it passed the caller's check; with ``required`` a failure is a ``ModelError`` instead. Sentences
about failures are this program's own: a server's words never enter a record or an error.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langsmith.run_helpers import tracing_context

from agents.policy import PolicyModel
from tools.errors import ModelError
from tools.records import Usage, digest

T = TypeVar("T")

POLICY = "policy"
LONGEST_WAIT = 5.0  # seconds; a server that asks for more is not asked again
BUDGET_SPENT = "the run's budget for the model is spent"
CONVERSATION_ENDS = "the saved conversation ends here"


class Budget(NamedTuple):
    """What a run may spend on its model: seconds, calls (every request is one), tokens of output in each call."""

    seconds_per_call: float = 30.0
    seconds_per_run: float = 120.0
    calls: int = 8
    tokens_per_call: int = 4_000


class Reply(NamedTuple):
    """What the model said, and its cost in tokens as it reports them (0 when it does not)."""

    text: str
    input_tokens: int = 0
    output_tokens: int = 0


class CallFailed(Exception):
    """A call that brought no usable answer; the message is a sentence of our own.

    ``wait`` is after how many seconds another call may do better; None when none will.
    """

    def __init__(self, sentence: str, wait: float | None = None) -> None:
        super().__init__(sentence)
        self.wait = wait


class Unusable(CallFailed):
    """An answer that came and did not pass its check: the model may mend it at once."""

    def __init__(self, reason: str, reply: Reply) -> None:
        super().__init__(f"unusable answer: {reason}", 0.0)
        self.reply = reply


Voice = Callable[[list[BaseMessage], float], Reply]
"""Answers messages within so many seconds, or raises ``CallFailed``."""


@dataclass
class Seat:
    """Who answers the agents' questions, what it may spend, what it has spent and said.

    Parameters
    ----------
    name
        The model's name, ``policy`` for the embedded one.
    voice
        What answers.
    required
        Raise ``ModelError`` instead of letting the policy take over.
    """

    name: str
    voice: Voice = field(repr=False)
    required: bool = False
    budget: Budget = field(default_factory=Budget)
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    fallback: list[str] = field(default_factory=list)
    transcript: list[dict[str, Any]] = field(default_factory=list, repr=False)

    def ask(self, task: str, system: str, payload: Mapping[str, Any], check: Callable[[dict[str, Any]], T]) -> T:
        """Ask for a JSON object and return what ``check`` makes of it.

        ``check`` raises ValueError with a sentence for the model when the answer cannot be used. The sentence enters
        the record, so it must not repeat the answer.

        Raises
        ------
        ModelError
            When the model is required and failed.
        """
        request = json.dumps({"task": task, **payload}, ensure_ascii=False, sort_keys=True)
        messages: list[BaseMessage] = [SystemMessage(system), HumanMessage(request)]
        if self.name == POLICY:
            return _checked(self._call(messages), check)
        try:
            return self._answered(task, messages, check)
        except CallFailed as error:
            failure = str(error)
        if self.required:
            raise ModelError(
                f"the model {self.name!r} failed at {task}: {failure}; without --require-model the embedded policy "
                "takes over"
            )
        self.fallback.append(f"{task}: {failure}; the embedded policy took over")
        return _checked(_policy(messages, 0.0), check)

    def usage(self) -> Usage:
        """Return what the seat cost so far."""
        return Usage(
            model=self.name,
            calls=self.calls,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            seconds=round(self.seconds, 3),
            fallback=list(self.fallback),
        )

    def _answered(self, task: str, messages: list[BaseMessage], check: Callable[[dict[str, Any]], T]) -> T:
        """Ask, and once more where that may help; raise CallFailed after that."""
        try:
            return _checked(self._recorded(task, messages), check)
        except CallFailed as error:
            if not self._wait(error.wait):
                raise
            self.fallback.append(f"{task}: {error}; asked again")
            self.transcript[-1]["again"] = True
            if isinstance(error, Unusable):
                mend = HumanMessage(f"That is an {error}. Answer again, with one JSON object only.")
                messages = [*messages, AIMessage(error.reply.text), mend]
        return _checked(self._recorded(task, messages), check)

    def _wait(self, seconds: float | None) -> bool:
        """Wait before another call; tell whether there is to be one."""
        if seconds is None or seconds > min(LONGEST_WAIT, self.budget.seconds_per_run - self.seconds):
            return False
        time.sleep(seconds)
        self.seconds += seconds
        return True

    def _recorded(self, task: str, messages: list[BaseMessage]) -> Reply:
        """Call the model and keep what came of it for a replay."""
        entry: dict[str, Any] = {"task": task, "prompt_sha256": digest([str(message.content) for message in messages])}
        self.transcript.append(entry)
        try:
            reply = self._call(messages)
        except CallFailed as error:
            entry["failure"] = str(error)
            raise
        entry["reply"] = reply._asdict()
        return reply

    def _call(self, messages: list[BaseMessage]) -> Reply:
        """Call the model within the budget, and count what it costs."""
        left = self.budget.seconds_per_run - self.seconds
        if self.calls >= self.budget.calls or left <= 0.0:
            raise CallFailed(BUDGET_SPENT)
        self.calls += 1
        started = time.monotonic()
        try:
            with tracing_context(enabled=False):  # whatever the environment says, prompts go nowhere but to the model
                reply = self.voice(messages, min(self.budget.seconds_per_call, left))
        finally:
            self.seconds += time.monotonic() - started
        self._count(reply)
        return reply

    def _count(self, reply: Reply) -> None:
        self.input_tokens += reply.input_tokens
        self.output_tokens += reply.output_tokens


class RecordedSeat(Seat):
    """A seat that repeats a saved conversation, for replay; it calls nobody and waits for nothing."""

    _saved: list[dict[str, Any]]
    _entry: dict[str, Any]

    @classmethod
    def of(cls, name: str, transcript: list[dict[str, Any]]) -> RecordedSeat:
        """Sit a saved conversation down under the name of its model."""
        seat = cls(name=name, voice=_policy)
        seat._saved = list(transcript)
        return seat

    def _call(self, messages: list[BaseMessage]) -> Reply:
        self._entry = self._saved.pop(0) if self._saved else {"failure": CONVERSATION_ENDS}
        self.calls += self._entry.get("failure") != BUDGET_SPENT
        if "failure" in self._entry:
            raise CallFailed(self._entry["failure"])
        reply = Reply(**self._entry["reply"])
        self._count(reply)
        return reply

    def _wait(self, seconds: float | None) -> bool:
        return bool(self._entry.get("again"))


def policy_seat() -> Seat:
    """Return the seat with the embedded policy in it."""
    return Seat(name=POLICY, voice=_policy)


def json_object(text: str) -> dict[str, Any]:
    """Read the one JSON object of an answer: bare, fenced, among prose or after the model's thoughts.

    Raises ValueError, in a fixed sentence, when there is none or more than one, or when a key stands in it twice.
    """
    answer = text.rpartition("</think>")[2]
    start, end = answer.find("{"), answer.rfind("}") + 1
    try:
        value = json.loads(answer[start:end], object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise ValueError("it is not one JSON object") from None
    if not isinstance(value, dict):
        raise ValueError("it is not one JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _checked(reply: Reply, check: Callable[[dict[str, Any]], T]) -> T:
    try:
        return check(json_object(reply.text))
    except ValueError as error:
        reason = str(error)
    raise Unusable(reason, reply)


def _policy(messages: list[BaseMessage], _seconds: float) -> Reply:
    return Reply(str(PolicyModel().invoke(messages).text))
