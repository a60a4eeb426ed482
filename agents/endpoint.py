"""An OpenAI-compatible endpoint in the model's seat, through langchain-openai, with every way of failing bounded.

Imported only when a model is named: langchain-openai takes seconds to load. Of the environment nothing is read here (no
proxies, no certificates, no gateway): a call goes where the address says, or nowhere.
"""

from __future__ import annotations

import asyncio
import contextvars
import datetime as dt
import json
import queue
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
from langchain_core.exceptions import ModelConnectionError, ModelTimeoutError
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from agents.cache import PromptCache
from agents.calls import Budget, Call, CallFailed, Refused, Reply, Voice
from agents.journal import Journal
from agents.ladder import TEXT, RungMemory, form
from agents.models import POLICY, Seat
from tools.errors import UsageError
from tools.market.http import retry_after
from tools.records import digest

T = TypeVar("T")

OPENAI = "https://api.openai.com/v1"
MAX_BODY_BYTES = 1 << 20
MAX_REPLY_CHARACTERS = 50_000
MAX_TOKENS_REPORTED = 10**9
PAUSE = 0.5  # seconds before a call that failed in passing is made again
GRACE = 0.5  # seconds for closing a connection; a call that cannot be cancelled (a name that is being resolved) is left
SHORTEST_KEY = 12  # characters; local servers are given words like "none" or "EMPTY", which an answer may hold
TOO_LATE = "no answer within its time"
NO_COMPLETION = "what came back is no chat completion"
TOO_LONG = "the answer is too long"
REPEATS_KEY = "the answer repeats the key"
UNREACHABLE = "the server cannot be reached, or hangs up"

# Failures that a moment later may be over; so is every 5xx.
_PASSING = {408, 409, 425, 429}
# What servers say to a form of output that they do not know. 500 may be one of these (llama.cpp without templates for
# tools) or anything else.
_REFUSALS = {400, 404, 405, 406, 415, 422, 500, 501}
_DOUBTFUL = {500}
_MEANING = {
    401: " (the key is not accepted)",
    403: " (the key does not permit it)",
    404: " (no such address or model)",
    429: " (too many requests, or no credit)",
}


def model_seat(
    name: str,
    *,
    base_url: str | None,
    api_key: str | None,
    required: bool = False,
    budget: Budget | None = None,
    cache: PromptCache | None = None,
    journal: Journal | None = None,
    allow_tracing: bool = False,
) -> Seat:
    """Return a seat with an OpenAI-compatible model in it.

    ``base_url`` None means OpenAI; ``api_key`` may be None for local servers. ``cache``, ``journal`` and
    ``allow_tracing`` are those of ``Seat``.

    Raises
    ------
    UsageError
        When the name is empty or the policy's, or the address is none; when the journal cannot be read.
    """
    budget = budget or Budget()
    voice = open_endpoint(name, base_url, api_key, budget)
    address = digest(base_url or OPENAI)
    return Seat(
        name=name,
        voice=voice,
        required=required,
        budget=budget,
        identity={
            "model": name,
            "address_sha256": address,
            "temperature": _temperature(base_url or OPENAI),
            "tokens_per_call": budget.tokens_per_call,
        },
        rungs=RungMemory.at_home(address, name),
        cache=cache,
        journal=journal,
        allow_tracing=allow_tracing,
    )


def open_endpoint(name: str, base_url: str | None, api_key: str | None, budget: Budget) -> Voice:
    """Return what answers in the name of a model, see ``model_seat``."""
    if not name or name == POLICY:
        raise UsageError(f"{name!r} is no name of a model; leave --model out for the embedded policy")
    if not base_url and not api_key:
        raise UsageError("no model can be reached: set OPENAI_API_KEY, or OPENAI_BASE_URL for a local server")
    address = _checked_address(base_url or OPENAI)
    model = _chat_model(name, address, api_key or "none", budget)

    def answer(call: Call) -> Reply:
        options = _options(call, _is_openai(address))
        message = _within(call.seconds, lambda: model.ainvoke(list(call.messages), **options), call.rung != TEXT)
        reply = _reply(message)
        if api_key and len(api_key) >= SHORTEST_KEY and api_key in reply.text:
            raise CallFailed(REPEATS_KEY)
        return reply

    return answer


def _is_openai(address: str) -> bool:
    return urlsplit(address).hostname == urlsplit(OPENAI).hostname


def _temperature(address: str) -> float | None:
    """OpenAI's own models take their own temperature; others are asked for their most probable answer."""
    return None if _is_openai(address) else 0.0


def _options(call: Call, own: bool) -> dict[str, Any]:
    """Return what a call adds to the request: the limit on tokens by the name that the server knows, and the form.

    OpenAI's own models take ``max_completion_tokens``; other servers ignore or refuse that (Ollama, LM Studio; Mistral)
    and take ``max_tokens``. The response format goes into the body as it is: under its own name, the client would read
    the answer itself and fail where one is cut short.
    """
    asked = form(call.rung, call.shape)
    options: dict[str, Any] = {"extra_body": asked.body | ({} if own else {"max_tokens": call.tokens})}
    if own:
        options["max_completion_tokens"] = call.tokens
    if asked.tools:
        options |= {"tools": asked.tools, "tool_choice": asked.tool_choice}
    return options


def _checked_address(base_url: str) -> str:
    """Return the address if a call can go there; the message does not repeat it, as it may hold a key."""
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or "@" in parts.netloc or parts.query:
        raise UsageError(
            "the model's address (OPENAI_BASE_URL) must be like http://localhost:11434/v1; a key belongs in "
            "OPENAI_API_KEY, not in the address"
        )
    return base_url


def _chat_model(name: str, base_url: str, api_key: str, budget: Budget) -> ChatOpenAI:
    """Make the chat model: no retries, no redirects and no proxy of its own."""
    timeout = httpx.Timeout(budget.seconds_per_call)
    transport = _BoundedTransport(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
    return ChatOpenAI(
        model=name,
        base_url=base_url,
        api_key=SecretStr(api_key),
        openai_proxy=None,
        timeout=budget.seconds_per_call,
        max_retries=0,
        http_socket_options=(),
        temperature=_temperature(base_url),
        use_responses_api=False,
        http_client=httpx.Client(trust_env=False, timeout=timeout),
        http_async_client=httpx.AsyncClient(
            transport=transport, trust_env=False, follow_redirects=False, timeout=timeout
        ),
    )


class _BoundedTransport(httpx.AsyncHTTPTransport):
    """Reads at most ``MAX_BODY_BYTES`` of an answer, as they come, never decompressed; what was cut is no JSON.

    Of an error nothing is read: its status says enough, and its words may quote the request. It is to keep no
    connection open: each call runs on an event loop of its own.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["accept-encoding"] = "identity"
        response = await super().handle_async_request(request)
        response.headers.pop("content-encoding", None)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Head(response.stream, 0 if response.is_error else MAX_BODY_BYTES)
        return response


class _Head(httpx.AsyncByteStream):
    """The first bytes of a stream."""

    def __init__(self, whole: httpx.AsyncByteStream, most: int) -> None:
        self._whole = whole
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._most
        if not left:
            return
        async for chunk in self._whole:
            yield chunk[:left]
            left -= len(chunk)
            if left <= 0:
                return

    async def aclose(self) -> None:
        await self._whole.aclose()


def _within(seconds: float, call: Callable[[], Coroutine[Any, Any, T]], formed: bool = False) -> T:
    """Run a call on an event loop in a thread of its own, and cancel it after ``seconds``.

    Cancelling closes the connection whatever the server does with it: a byte a second resets every read timeout. The
    thread ends with the call, so that none pile up. ``formed`` says that the call asks for a form of output, which the
    server may refuse.
    """
    answers: queue.SimpleQueue[T | Exception] = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put(asyncio.run(asyncio.wait_for(call(), seconds)))
        except Exception as error:  # noqa: BLE001 - the boundary to other people's servers: whatever goes wrong is a failed call
            answers.put(error)

    # In a copy of the context: tracing is off in it.
    threading.Thread(target=contextvars.copy_context().run, args=(work,), name="model", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds + GRACE)
    except queue.Empty:
        answer = TimeoutError()
    if isinstance(answer, Exception):
        raise _failure(answer, formed)
    return answer


def _failure(error: Exception, formed: bool) -> CallFailed:
    """Say in our own words why a call failed; the error itself may quote the server or the request."""
    status = getattr(error, "status_code", None)
    if isinstance(error, TimeoutError | ModelTimeoutError):
        return CallFailed(TOO_LATE)
    if isinstance(status, int):
        sentence = f"the server answers HTTP {status}{_MEANING.get(status, '')}"
        if formed and status in _REFUSALS:
            return Refused(sentence, status not in _DOUBTFUL)
        return CallFailed(sentence, _wait_asked(error) if status in _PASSING or status >= 500 else None)
    if isinstance(error, ModelConnectionError):
        return CallFailed(UNREACHABLE, PAUSE)
    # Some gateways send their refusals with status 200.
    return Refused(NO_COMPLETION, certain=False) if formed else CallFailed(NO_COMPLETION)


def _wait_asked(error: Exception) -> float:
    response = getattr(error, "response", None)
    header = response.headers.get("retry-after") if response is not None else None
    return max(PAUSE, retry_after(header, dt.datetime.now(dt.UTC)) or 0.0)


def _reply(message: AIMessage) -> Reply:
    """Take from an answer what may be kept: text that is valid Unicode, and counts that are counts.

    The arguments of a function that was called are the answer; without a call, the text is.
    """
    used: Mapping[str, Any] = message.usage_metadata or {}
    called = [json.dumps(call["args"], ensure_ascii=False) for call in message.tool_calls]
    called += [str(call["args"]) for call in message.invalid_tool_calls]
    text = ("\n".join(called) or str(message.text)).encode("utf-8", "replace").decode("utf-8")
    if len(text) > MAX_REPLY_CHARACTERS:
        raise CallFailed(TOO_LONG)
    return Reply(text, *(_count(used.get(key)) for key in ("input_tokens", "output_tokens")))


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value <= MAX_TOKENS_REPORTED else 0
