"""One call of a model: what is asked, what comes back, what it may cost, and how it fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from langchain_core.messages import BaseMessage

from agents.ladder import TEXT, Rung

BYTES_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 8  # what a chat template puts around each


class Budget(NamedTuple):
    """What a run may spend on its model.

    Seconds and calls (every request is one, refused ones too); tokens of output in each call, and of input and output
    together in the run; ``context`` is what prompt and answer of one call must fit into; ``repairs`` how often in a run
    an answer that cannot be used, or a call that failed in passing, is asked for once more: a plain question is three
    tasks, so it takes at most five answers.
    """

    seconds_per_call: float = 30.0
    seconds_per_run: float = 120.0
    calls: int = 8
    tokens_per_call: int = 4_000
    tokens_per_run: int = 60_000
    context: int = 8_192
    repairs: int = 2


class Call(NamedTuple):
    """One request: the messages, how long and how much it may take, and in which form the answer is asked for."""

    messages: Sequence[BaseMessage]
    seconds: float
    tokens: int
    rung: Rung = TEXT
    shape: Mapping[str, Any] | None = None


class Reply(NamedTuple):
    """What the model said, and its cost in tokens as it reports them (0 when it does not)."""

    text: str
    input_tokens: int = 0
    output_tokens: int = 0


Voice = Callable[[Call], Reply]
"""Answers a call, or raises ``CallFailed``."""


class CallFailed(Exception):
    """A call that brought no usable answer; the message is a sentence of our own.

    ``wait`` is after how many seconds another call may do better; None when none will.
    """

    def __init__(self, sentence: str, wait: float | None = None) -> None:
        super().__init__(sentence)
        self.wait = wait


class Refused(CallFailed):
    """The server would not take the request in this form; one rung down it may.

    ``certain`` is False where the refusal may have had another cause, so that it is not remembered.
    """

    def __init__(self, sentence: str, certain: bool = True) -> None:
        super().__init__(sentence)
        self.certain = certain


class Unusable(CallFailed):
    """An answer that came and did not pass its check: the model may mend it at once."""

    def __init__(self, reason: str, reply: Reply) -> None:
        super().__init__(f"unusable answer: {reason}", 0.0)
        self.reply = reply


def estimated_tokens(*texts: str) -> int:
    """Estimate the tokens of texts that are sent, one message each: a quarter of their bytes, rounded up, and a few."""
    return sum(-(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN) + TOKENS_PER_MESSAGE for text in texts)
