"""The model's seat: the embedded policy, an OpenAI-compatible endpoint, or a recorded conversation.

    prompt → journal, cache, or a call on a rung of the ladder (deadline, budget) → one JSON object → the caller's check
               │ refused in this form: one rung down (``agents.ladder``)
               │ failed in passing, or unusable: once more │ failed again: the policy, and the record says so

The shape of an answer is asked for in the strictest form that the server takes, and looked for in its text all the
same. Nothing that a model says is used before it passed the caller's check; with ``required`` a failure is a
``ModelError`` instead. Sentences about failures are this program's own: a server's words never enter a record or an
error.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langsmith.run_helpers import tracing_context

from agents.cache import PromptCache
from agents.calls import Budget as Budget
from agents.calls import Call as Call
from agents.calls import CallFailed as CallFailed
from agents.calls import Refused, Unusable, Voice, estimated_tokens
from agents.calls import Reply as Reply
from agents.journal import Journal
from agents.ladder import RUNGS, TEXT, Rung, RungMemory, below
from agents.policy import PolicyModel
from tools.errors import ModelError
from tools.records import TaskUsage, Usage, digest

T = TypeVar("T")
Check = Callable[[dict[str, Any]], T]
Entry = dict[str, Any]  # what came of one request, as plain data: how a conversation is saved

POLICY = "policy"
LONGEST_WAIT = 5.0  # seconds; a server that asks for more is not asked again
LEAST_TOKENS = 64  # of output: no answer fits into fewer
MOST_REPEATED = 2_000  # characters of an unusable answer that the model is shown again
BUDGET_SPENT = "the run's budget for the model is spent"
TOKENS_SPENT = "the run's budget of tokens for the model is spent"
CONVERSATION_ENDS = "the saved conversation ends here"
NO_OBJECT = "it is not one JSON object"
_NOT_MADE = {BUDGET_SPENT, TOKENS_SPENT}
_FENCE = "```"


class _Asked(NamedTuple):
    """A question to the seat."""

    task: str
    messages: Sequence[BaseMessage]
    shape: Mapping[str, Any] | None


@dataclass
class _Tally:
    """What one task has cost."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    rung: Rung | None = None


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
    identity
        What an answer depends on besides the prompt, as plain data: the key of the cache.
    rungs
        Where the rung that was found is remembered.
    cache
        Answers to the same prompts, which cost nothing.
    journal
        What a run that was killed has been told already; each answer goes there before it is used.
    allow_tracing
        Let the environment's tracing variables send the prompts elsewhere.
    """

    name: str
    voice: Voice = field(repr=False)
    required: bool = False
    budget: Budget = field(default_factory=Budget)
    identity: Mapping[str, Any] = field(default_factory=dict)
    rungs: RungMemory | None = field(default=None, repr=False)
    cache: PromptCache | None = field(default=None, repr=False)
    journal: Journal | None = field(default=None, repr=False)
    allow_tracing: bool = False
    calls: int = 0
    requests_refused: int = 0
    cached: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    rung: Rung | None = None
    fallback: list[str] = field(default_factory=list)
    transcript: list[Entry] = field(default_factory=list, repr=False)
    _saved: list[Entry] = field(init=False, default_factory=list, repr=False)
    _tallies: dict[str, _Tally] = field(init=False, default_factory=dict, repr=False)
    _standing: Rung | None = field(init=False, default=None, repr=False)
    _certain: bool = field(init=False, default=True, repr=False)
    _repairs: int = field(init=False, default=0, repr=False)
    _tokens: float = field(init=False, default=0.0, repr=False)
    _stretch: float = field(init=False, default=1.0, repr=False)

    def __post_init__(self) -> None:
        if self.journal is not None:
            self._saved = self.journal.answers(self.name)

    def ask(
        self,
        task: str,
        system: str,
        payload: Mapping[str, Any],
        check: Check[T],
        *,
        shape: Mapping[str, Any] | None = None,
    ) -> T:
        """Ask for a JSON object and return what ``check`` makes of it.

        ``check`` raises ValueError with a sentence for the model when the answer cannot be used. The sentence enters
        the record, so it must not repeat the answer. ``shape`` is a JSON Schema of the answer, asked for in the
        strictest form that the server takes; without one the answer is looked for in plain text.

        Raises
        ------
        ModelError
            When the model is required and failed.
        UsageError
            When the journal cannot be written.
        """
        request = json.dumps({"task": task, **payload}, ensure_ascii=False, sort_keys=True)
        asked = _Asked(task, [SystemMessage(system), HumanMessage(request)], shape)
        if self.name == POLICY:
            return _checked(self._taken(asked, asked.messages, self._called(asked, asked.messages)), check)
        standing = self._rung(shape)
        try:
            known = self._from_cache(asked, check)
            return known[0] if known else self._answered(asked, check)
        except CallFailed as error:
            failure = str(error)
        # An ask that got no answer proves nothing about the rungs that it fell down: the prompt may have been at fault.
        self._certain &= self._rung(shape) == standing
        if self.required:
            raise ModelError(
                f"the model {self.name!r} failed at {task}: {failure}; without --require-model the embedded policy "
                "takes over"
            )
        self.fallback.append(f"{task}: {failure}; the embedded policy took over")
        return _checked(_policy(Call(asked.messages, 0.0, 0)), check)

    def usage(self) -> Usage:
        """Return what the seat cost so far, in all and by task; tokens as the server reports them."""
        return Usage(
            model=self.name,
            calls=self.calls,
            requests_refused=self.requests_refused,
            cached=self.cached,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            seconds=round(self.seconds, 3),
            rung=self.rung,
            tasks=[
                TaskUsage(
                    task=task,
                    calls=tally.calls,
                    input_tokens=tally.input_tokens,
                    output_tokens=tally.output_tokens,
                    rung=tally.rung,
                )
                for task, tally in self._tallies.items()
            ],
            fallback=list(self.fallback),
        )

    # From a question to an answer that passed its check.

    def _answered(self, asked: _Asked, check: Check[T]) -> T:
        """Ask, and once more where that may help; raise CallFailed after that."""
        messages = asked.messages
        try:
            return self._usable(asked, messages, check)
        except CallFailed as error:
            if self._repairs >= self.budget.repairs or not self._wait(error.wait):
                raise
            self._repairs += 1
            self.fallback.append(f"{asked.task}: {error}; asked again")
            self.transcript[-1]["again"] = True
            if isinstance(error, Unusable):
                mend = HumanMessage(f"That is an {error}. Answer again, with one JSON object only.")
                # Some servers refuse a message without any text; a long one would leave no room for the answer.
                said = error.reply.text[:MOST_REPEATED] or "(nothing)"
                messages = [*messages, AIMessage(said), mend]
        return self._usable(asked, messages, check)

    def _usable(self, asked: _Asked, messages: Sequence[BaseMessage], check: Check[T]) -> T:
        """Return the answer as ``check`` makes it, and keep what can be used again: the answer and its rung."""
        rung, reply = self._heard(asked, messages)
        value = _checked(reply, check)
        if asked.shape is not None and self.rungs is not None and self._certain:
            self.rungs.keep(rung)
        if self.cache is not None:
            self.cache.put(self._cache_key(asked, rung), reply.text)
        return value

    def _heard(self, asked: _Asked, messages: Sequence[BaseMessage]) -> tuple[Rung, Reply]:
        """Ask on the seat's rung, further down while the server refuses, and in text where it said nothing.

        An empty answer may have been paid for, so it counts as one that is mended, and not every rung is tried.
        """
        while True:
            entry = self._outcome(asked, messages)
            rung: Rung = entry.get("rung", TEXT)
            try:
                reply = self._taken(asked, messages, entry)
            except Refused as error:
                if rung == TEXT:
                    raise
                self._certain &= error.certain
                self._standing = below(rung)
            else:
                if reply.text.strip() or rung == TEXT or self._repairs >= self.budget.repairs:
                    return rung, reply
                self._repairs += 1
                self._standing = TEXT

    def _wait(self, seconds: float | None) -> bool:
        """Wait before another call; tell whether there is to be one."""
        if seconds is None or seconds > min(LONGEST_WAIT, self.budget.seconds_per_run - self.seconds):
            return False
        if not self._saved:  # what a journal repeats was waited for when it happened
            time.sleep(seconds)
        self.seconds += seconds
        return True

    def _rung(self, shape: Mapping[str, Any] | None) -> Rung:
        """Return the rung to ask on: the highest that is not known to be missing; text where there is no shape."""
        if shape is None:
            return TEXT
        if self._standing is None:
            self._standing = (self.rungs.recall() if self.rungs else None) or RUNGS[0]
        return self._standing

    # Answers that are known already.

    def _from_cache(self, asked: _Asked, check: Check[T]) -> tuple[T] | None:
        """Return what an earlier run was told, if it passes the check; None when it must be asked for."""
        if self.cache is None or self._told_before(asked.task, _prompt_sha256(asked.messages)) is not None:
            return None
        first = self._rung(asked.shape)
        for rung in RUNGS[RUNGS.index(first) :]:
            text = self.cache.get(self._cache_key(asked, rung))
            if text is None:
                continue
            reply = Reply(text)
            try:
                value = _checked(reply, check)
            except Unusable:
                continue
            entry = _entry(asked, asked.messages, rung) | {"reply": reply._asdict(), "cached": True}
            self._noted(entry)
            self._taken(asked, asked.messages, entry)
            return (value,)
        return None

    def _cache_key(self, asked: _Asked, rung: Rung) -> str:
        said = [[message.type, str(message.content)] for message in asked.messages]
        return digest({"identity": dict(self.identity), "rung": rung, "shape": asked.shape, "messages": said})

    def _told_before(self, task: str, prompt_sha256: str) -> Entry | None:
        """Return the first entry of the journal, not repeated yet, that answers this prompt."""
        return next((e for e in self._saved if (e["task"], e["prompt_sha256"]) == (task, prompt_sha256)), None)

    def _repeated(self, entry: Entry) -> Entry | None:
        """Return what is saved for a request, and strike it off; None when it must be made."""
        saved = self._told_before(entry["task"], entry["prompt_sha256"])
        if saved is not None:
            self._saved.remove(saved)
        return saved

    # One request.

    def _outcome(self, asked: _Asked, messages: Sequence[BaseMessage]) -> Entry:
        """Return what came of a request: as it was saved, else by making it now; keep it for a replay."""
        entry = _entry(asked, messages, self._rung(asked.shape))
        saved = self._repeated(entry)
        if saved is None:
            entry |= self._called(asked, messages)
            self._noted(entry)
        else:
            entry = saved
            self.transcript.append(entry)
        return entry

    def _noted(self, entry: Entry) -> None:
        """Keep what came of a request; on the disk, where there is a journal, before it is used."""
        if self.journal is not None and entry.get("failure") not in _NOT_MADE:
            self.journal.append(self.name, entry)
        self.transcript.append(entry)

    def _called(self, asked: _Asked, messages: Sequence[BaseMessage]) -> Entry:
        """Make a request within the budget and return what came of it as plain data."""
        started = time.monotonic()
        try:
            call = self._allowed(asked, messages)
            with traced(self.allow_tracing):
                found: Entry = {"reply": self.voice(call)._asdict()}
        except Refused as error:
            found = {"refused": str(error), "certain": error.certain}
        except CallFailed as error:
            found = {"failure": str(error), "wait": error.wait}
        return found | {"seconds": round(time.monotonic() - started, 4)}

    def _allowed(self, asked: _Asked, messages: Sequence[BaseMessage]) -> Call:
        """Return the call that the budget has room for; raise CallFailed when it has none."""
        if self.name == POLICY:
            return Call(messages, 0.0, 0)
        budget = self.budget
        left = budget.seconds_per_run - self.seconds
        if self.calls + self.requests_refused >= budget.calls or left <= 0.0:
            raise CallFailed(BUDGET_SPENT)
        prompt = self._prompt_tokens(asked, messages)
        tokens = min(budget.tokens_per_call, int(budget.tokens_per_run - self._tokens - prompt))
        if tokens < min(LEAST_TOKENS, budget.tokens_per_call):
            raise CallFailed(TOKENS_SPENT)
        room = int(budget.context - prompt)  # none at all: then the server's context is another one than ours
        rung = self._rung(asked.shape)
        shape = None if rung == TEXT else asked.shape
        return Call(
            messages,
            min(budget.seconds_per_call, left),
            min(tokens, room) if room >= LEAST_TOKENS else tokens,
            rung,
            shape,
        )

    def _prompt_tokens(self, asked: _Asked, messages: Sequence[BaseMessage]) -> float:
        """Estimate what a prompt costs, by what this run's earlier ones cost where that was more than estimated."""
        return self._stretch * _plain_estimate(asked, messages)

    # What it cost.

    def _taken(self, asked: _Asked, messages: Sequence[BaseMessage], entry: Entry) -> Reply:
        """Count what came of a request and return the reply, or raise what it failed with."""
        tally = self._tallies.setdefault(asked.task, _Tally())
        self.seconds += entry.get("seconds", 0.0)
        if "refused" in entry:
            self.requests_refused += 1
            raise Refused(entry["refused"], entry.get("certain", True))
        if "failure" in entry:
            if entry["failure"] not in _NOT_MADE:
                self._count(tally, Reply(""), self._prompt_tokens(asked, messages))
            raise CallFailed(entry["failure"], entry.get("wait"))
        reply = Reply(**entry["reply"])
        if self.name != POLICY:
            self.rung = tally.rung = entry.get("rung", TEXT)
        if entry.get("cached"):
            self.cached += 1
        else:
            self._count(tally, reply, self._prompt_tokens(asked, messages))
            self._stretch = max(self._stretch, reply.input_tokens / _plain_estimate(asked, messages))
        return reply

    def _count(self, tally: _Tally, reply: Reply, prompt: float) -> None:
        """Count a call that was made; where the server reports no tokens, the budget pays what is estimated."""
        said = estimated_tokens(reply.text) if reply.text else 0
        self._tokens += (reply.input_tokens or prompt) + (reply.output_tokens or said)
        self.calls += 1
        self.input_tokens += reply.input_tokens
        self.output_tokens += reply.output_tokens
        tally.calls += 1
        tally.input_tokens += reply.input_tokens
        tally.output_tokens += reply.output_tokens


class RecordedSeat(Seat):
    """A seat that repeats a saved conversation, for replay; it calls nobody and waits for nothing."""

    @classmethod
    def of(cls, name: str, transcript: list[Entry]) -> RecordedSeat:
        """Sit a saved conversation down under the name of its model."""
        seat = cls(name=name, voice=_policy)
        seat._saved = [dict(entry) for entry in transcript]
        return seat

    def _repeated(self, entry: Entry) -> Entry:
        return self._saved.pop(0) if self._saved else entry | {"failure": CONVERSATION_ENDS}

    def _wait(self, seconds: float | None) -> bool:
        return bool(self.transcript[-1].get("again"))


def policy_seat() -> Seat:
    """Return the seat with the embedded policy in it."""
    return Seat(name=POLICY, voice=_policy)


def traced(allow: bool) -> AbstractContextManager[None]:
    """Return a context in which prompts go nowhere but to the model, whatever the environment's tracing variables say.

    With ``allow`` it changes nothing: the environment decides.
    """
    return nullcontext() if allow else tracing_context(enabled=False)


def json_object(text: str) -> dict[str, Any]:
    """Read the one JSON object of an answer: bare, fenced, among prose or after the model's thoughts.

    Raises ValueError, in a fixed sentence, when there is none or more than one, or when a key stands in it twice.
    Braces around the only fenced object do not count.
    """
    answer = text.rpartition("</think>")[2]
    fenced = [block for block in answer.split(_FENCE)[1::2] if "{" in block]
    for candidate in [answer, *(fenced if len(fenced) == 1 else [])]:
        start, end = candidate.find("{"), candidate.rfind("}") + 1
        try:
            value = json.loads(candidate[start:end], object_pairs_hook=_unique)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            return value
    raise ValueError(NO_OBJECT)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _checked(reply: Reply, check: Check[T]) -> T:
    try:
        return check(json_object(reply.text))
    except ValueError as error:
        reason = str(error)
    raise Unusable(reason, reply)


def _entry(asked: _Asked, messages: Sequence[BaseMessage], rung: Rung) -> Entry:
    return {"task": asked.task, "prompt_sha256": _prompt_sha256(messages), "rung": rung}


def _prompt_sha256(messages: Sequence[BaseMessage]) -> str:
    return digest([str(message.content) for message in messages])


def _plain_estimate(asked: _Asked, messages: Sequence[BaseMessage]) -> int:
    shape = [] if asked.shape is None else [json.dumps(asked.shape)]
    return estimated_tokens(*(str(message.content) for message in messages), *shape)


def _policy(call: Call) -> Reply:
    return Reply(str(PolicyModel().invoke(call.messages).text))
