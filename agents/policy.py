"""The embedded policy: a chat model made of rules, which takes a model's seat where there is none.

It answers the same messages as any other model, in the same graph: a pure function of the transcript. It adds nothing
to what the reader found in a question, it takes the candidate with the best score, it leaves the prose to the
deterministic rationale, and to any other task it answers with nothing.
"""

from __future__ import annotations

import json
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult


class PolicyModel(BaseChatModel):
    """The deterministic policy as a chat model."""

    @property
    def _llm_type(self) -> str:
        return "plimsoll-policy"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        payload = json.loads(str(messages[-1].content))
        answer = _ANSWERS.get(payload["task"], _nothing)(payload)
        message = AIMessage(
            json.dumps(answer), usage_metadata={"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
        )
        return ChatResult(generations=[ChatGeneration(message=message)])


def _nothing(payload: dict[str, Any]) -> dict[str, Any]:
    """Leave everything as the program has it: an empty answer to any task adds nothing."""
    return {}


def _decide(payload: dict[str, Any]) -> dict[str, Any]:
    return {"candidate": payload["shortlist"][0]["id"]}


_ANSWERS = {"decide": _decide}
