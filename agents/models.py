"""The model's seat: an OpenAI-compatible endpoint, the embedded policy, or a recorded conversation; within deadlines and a budget.

A model is asked for JSON and gets one chance to mend an unusable answer. Whatever goes wrong after that, the policy takes over and the
record says so; with ``required`` it is a ``ModelError``. Nothing that a model says is used before it passed the caller's check.
"""

from __future__ import annotations

import json
import queue
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from agents.policy import PolicyModel
from tools.errors import ModelError
from tools.records import Usage, digest

T = TypeVar("T")

MAX_REPLY_CHARACTERS = 50_000
MAX_REPLY_TOKENS = 2_000
BUDGET_SPENT = "the run's budget for the model is spent"
_FENCED = re.compile(r"```(?:json)?\s*(\{.*\})\s*```", re.DOTALL)


class Budget(NamedTuple):
    """What a run may spend on its model."""

    seconds_per_call: float = 30.0
    seconds_per_run: float = 120.0
    calls: int = 8


class Reply(NamedTuple):
    """What the model said, and its cost in tokens as it reports them (0 when it does not)."""

    text: str
    input_tokens: int
    output_tokens: int


class ModelFailure(Exception):
    """A call that brought no usable answer; the message is a stable description, never the server's own words."""


@dataclass
class Seat:
    """Who answers the agents' questions.

    Parameters
    ----------
    name
        The model's name, ``policy`` for the embedded one.
    model
        The chat model; for the policy, the policy itself.
    required
        Raise ``ModelError`` instead of letting the policy take over.
    """

    name: str
    model: BaseChatModel
    required: bool = False
    budget: Budget = Budget()
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    fallback: list[str] = field(default_factory=list)
    transcript: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_policy(self) -> bool:
        """Tell whether the embedded policy sits here."""
        return isinstance(self.model, PolicyModel)

    def ask(self, task: str, system: str, payload: Mapping[str, Any], check: Callable[[dict[str, Any]], T]) -> T:
        """Ask for a JSON object and return what ``check`` makes of it.

        ``check`` raises ValueError with a sentence for the model when the answer cannot be used.
        """
        messages: list[BaseMessage] = [
            SystemMessage(system),
            HumanMessage(json.dumps({"task": task, **payload}, ensure_ascii=False, sort_keys=True)),
        ]
        if self.is_policy:
            return check(_json_object(self._invoke(messages).text))
        failure = ""
        for _ in range(2):
            try:
                reply = self._recorded(task, messages)
            except ModelFailure as error:
                failure = str(error)
                break
            try:
                return check(_json_object(reply.text))
            except ValueError as error:
                failure = f"unusable answer ({error})"
                messages += [
                    AIMessage(reply.text[:MAX_REPLY_CHARACTERS]),
                    HumanMessage(f"That cannot be used: {error}. Answer again with one JSON object only."),
                ]
        if self.required:
            raise ModelError(
                f"the model {self.name!r} failed at {task}: {failure}; without --require-model the embedded policy takes over"
            )
        self.fallback.append(f"{task}: {failure}; the embedded policy took over")
        return check(_json_object(_content(PolicyModel().invoke(messages[:2]))))

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

    def _recorded(self, task: str, messages: list[BaseMessage]) -> Reply:
        """Call the model within the budget and keep what came of it for a replay."""
        entry: dict[str, Any] = {"task": task, "prompt_sha256": digest([str(message.content) for message in messages])}
        self.transcript.append(entry)
        try:
            reply = self._invoke(messages)
        except ModelFailure as error:
            entry["failure"] = str(error)
            raise
        entry["reply"] = reply._asdict()
        return reply

    def _invoke(self, messages: list[BaseMessage]) -> Reply:
        left = self.budget.seconds_per_run - self.seconds
        if self.calls >= self.budget.calls or left <= 0.0:
            raise ModelFailure(BUDGET_SPENT)
        self.calls += 1
        started = time.monotonic()
        try:
            message = _within(min(self.budget.seconds_per_call, left), lambda: self.model.invoke(messages))
        finally:
            self.seconds += time.monotonic() - started
        text = _content(message)
        used = message.usage_metadata or {"input_tokens": 0, "output_tokens": 0}
        self.input_tokens += used["input_tokens"]
        self.output_tokens += used["output_tokens"]
        if len(text) > MAX_REPLY_CHARACTERS:
            raise ModelFailure("the answer is too long")
        return Reply(text, used["input_tokens"], used["output_tokens"])


class RecordedSeat(Seat):
    """A seat that repeats a saved conversation, for replay; it calls nobody."""

    @classmethod
    def of(cls, name: str, transcript: list[dict[str, Any]]) -> RecordedSeat:
        """Sit a saved conversation down under the name of its model."""
        seat = cls(name=name, model=_Nobody())
        seat._saved = list(transcript)
        return seat

    _saved: list[dict[str, Any]]

    def _invoke(self, messages: list[BaseMessage]) -> Reply:
        entry = self._saved.pop(0) if self._saved else {"failure": "the saved conversation ends here"}
        if entry.get("failure") == BUDGET_SPENT:
            raise ModelFailure(BUDGET_SPENT)
        self.calls += 1
        if "failure" in entry:
            raise ModelFailure(entry["failure"])
        reply = Reply(**entry["reply"])
        self.input_tokens += reply.input_tokens
        self.output_tokens += reply.output_tokens
        return reply


class _Nobody(PolicyModel):
    """Stands in a recorded seat, where no model is ever called."""


def policy_seat() -> Seat:
    """Return the seat with the embedded policy in it."""
    return Seat(name="policy", model=PolicyModel())


def model_seat(
    name: str, *, base_url: str | None, api_key: str | None, required: bool = False, budget: Budget | None = None
) -> Seat:
    """Return a seat with an OpenAI-compatible model in it, through langchain-openai.

    ``api_key`` may be None for local servers. Deadlines are explicit, because the client's own default is to wait for ever.
    """
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    budget = budget or Budget()
    model = ChatOpenAI(
        model=name,
        base_url=base_url,
        api_key=SecretStr(api_key or "none"),
        timeout=budget.seconds_per_call,
        max_retries=1,
        max_completion_tokens=MAX_REPLY_TOKENS,
        use_responses_api=False,
    )
    return Seat(name=name, model=model, required=required, budget=budget)


def _within(seconds: float, call: Callable[[], BaseMessage]) -> AIMessage:
    """Run a call in a thread of its own and wait at most ``seconds``: a server that drips a byte a second resets every read timeout."""
    answers: queue.Queue[BaseMessage | Exception] = queue.Queue(1)

    def work() -> None:
        try:
            answers.put(call())
        except Exception as error:  # noqa: BLE001 - the one boundary to other people's servers: any failure of theirs is a failed call
            answers.put(error)

    threading.Thread(target=work, daemon=True, name="plimsoll-model").start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise ModelFailure("no answer within its time") from None
    if isinstance(answer, Exception):
        raise ModelFailure(f"the call failed ({type(answer).__name__})") from answer
    if not isinstance(answer, AIMessage):
        raise ModelFailure("the answer is not a message of a model")
    return answer


def _content(message: BaseMessage) -> str:
    return (
        message.content
        if isinstance(message.content, str)
        else "".join(part for part in message.content if isinstance(part, str))
    )


def _json_object(text: str) -> dict[str, Any]:
    """Read the JSON object of an answer, fenced or bare; raise ValueError otherwise."""
    fenced = _FENCED.search(text)
    body = fenced[1] if fenced else text.strip()
    try:
        value = json.loads(body)
    except (json.JSONDecodeError, RecursionError):
        raise ValueError("it is not one JSON object") from None
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    return value
