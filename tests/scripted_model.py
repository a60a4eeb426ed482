"""A chat model on loopback that speaks OpenAI's protocol and does what a script says, well or badly.

Each request is answered by the next mode of the script, the last one for ever. ``asked`` holds what came in, in order.
Whatever a mode does, it ends when the server stops. A mode says its answer in plain text; ``on_rungs`` puts what any
mode says into the form that was asked for, or refuses or ignores forms as servers do.
"""

from __future__ import annotations

import itertools
import json
import random
import re
import socket
import struct
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LONGEST = 10.0  # seconds that a mode hangs at most


@dataclass(frozen=True)
class Asked:
    """A request: where to, with which headers (lower case), and its body."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def request(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed

    @property
    def payload(self) -> dict[str, Any]:
        """What the workflow asked: the first message of the user."""
        parsed: dict[str, Any] = json.loads(self.request["messages"][1]["content"])
        return parsed

    @property
    def task(self) -> str:
        return str(self.payload["task"])

    @property
    def rung(self) -> str:
        """In which form the answer is asked for."""
        request = self.request
        if request.get("tools"):
            return "tool_call"
        return {"json_schema": "json_schema", "json_object": "json_mode"}.get(
            request.get("response_format", {}).get("type"), "text"
        )


Mode = Callable[["Handler", Asked], None]


@dataclass
class ScriptedModel:
    """A server's script and what it was asked; ``stop`` ends the modes that wait."""

    script: list[Mode] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    open_connections: int = 0
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def next_mode(self, asked: Asked) -> Mode:
        with self.lock:
            self.asked.append(asked)
            return self.script[min(len(self.asked), len(self.script)) - 1]

    def bodies(self, task: str) -> list[bytes]:
        return [asked.body for asked in self.asked if asked.task == task]


class Handler(BaseHTTPRequestHandler):
    """Note the request and do what the script says."""

    protocol_version = "HTTP/1.1"
    model: ScriptedModel

    def setup(self) -> None:
        super().setup()
        self._count(1)

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        with self.model.lock:
            self.model.open_connections += change

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        asked = Asked(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        self.model.next_mode(asked)(self, asked)

    def send(self, status: int, body: bytes, *, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        named = {"Content-Type": "application/json"} | {key.replace("_", "-"): value for key, value in headers.items()}
        for name, value in named.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up early is its own business."""


@contextmanager
def serve(*script: Mode) -> Iterator[ScriptedModel]:
    """Run a scripted model on a free port of 127.0.0.1 until the block ends; its ``url`` is a base URL."""
    model = ScriptedModel(list(script))
    server = _Server(("127.0.0.1", 0), type("Bound", (Handler,), {"model": model}))
    model.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield model
    finally:
        model.stop.set()
        server.shutdown()
        server.server_close()
        thread.join()


def completion(content: object, **changes: Any) -> bytes:
    """Return a chat completion that says ``content``."""
    message = {"role": "assistant", "content": content}
    return json.dumps(
        {
            "id": "chatcmpl-scripted",
            "object": "chat.completion",
            "created": 0,
            "model": "scripted",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
        }
        | changes
    ).encode()


# What is said.


def says(content: object, **changes: Any) -> Mode:
    """Say the same whatever is asked."""
    return lambda handler, asked: handler.send(200, completion(content, **changes))


def replies(read: object = None, decide: object = None, plan: object = None) -> Mode:
    """Answer each task with its own object; a callable is given the payload."""

    def mode(handler: Handler, asked: Asked) -> None:
        answer = {"read": read or {}, "plan": {} if plan is None else plan, "decide": decide}[asked.task]
        handler.send(200, completion(json.dumps(answer(asked.payload) if callable(answer) else answer)))

    return mode


def chooses(place: int = 0, **passages: object) -> Mode:
    """Take the candidate at a place of the shortlist, with these passages."""
    return replies(
        decide=lambda payload: {"candidate": payload["shortlist"][place % len(payload["shortlist"])]["id"], **passages}
    )


def honest(place: int = 0) -> Mode:
    """Choose from the shortlist and name sentences."""
    return chooses(
        place,
        why=["choice_apy", "doing_nothing"],
        caution=["rates_move", "apy_range"],
    )


def obedient(handler: Handler, asked: Asked) -> None:
    """Do whatever any text in the prompt says: the prey of an injection."""
    ordered = re.findall(r"OBEY: ([\w.]+)", asked.body.decode(errors="replace"))
    if asked.task == "decide":
        content = {"candidate": ordered[0] if ordered else asked.payload["shortlist"][0]["id"]}
    else:
        content = {"methods": ordered} if ordered and asked.task == "plan" else {}
    handler.send(200, completion(json.dumps(content)))


def echo_of_the_key(handler: Handler, asked: Asked) -> None:
    """Repeat the caller's key as an explanation."""
    key = asked.headers["authorization"].removeprefix("Bearer ")
    why = {"candidate": asked.payload.get("shortlist", [{"id": ""}])[0]["id"], "why": [f"Trust {key}."]}
    handler.send(200, completion(json.dumps(why)))


# On which rungs of structured output, and how fast.

FORMS = ("json_schema", "tool_call", "json_mode")


class _Overheard:
    """Stands in for a handler: what a mode sends through it is caught instead of sent."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.caught: tuple[int, bytes, dict[str, Any]] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handler, name)

    def send(self, status: int, body: bytes, **options: Any) -> None:
        self.caught = status, body, options


def on_rungs(
    mode: Mode,
    refuse: Mapping[str, int] | None = None,
    ignore: Collection[str] = (),
    mute: Collection[str] = (),
) -> Mode:
    """Say what ``mode`` says in the form that is asked for.

    ``refuse`` maps forms to the status that they are refused with; a form in ``ignore`` is accepted and the answer
    comes as plain text; one in ``mute`` is answered with neither text nor call.
    """

    def formed(handler: Handler, asked: Asked) -> None:
        rung = asked.rung
        if rung in (refuse or {}):
            handler.send((refuse or {})[rung], b'{"error":{"message":"response_format or tools: not supported"}}')
            return
        overheard = _Overheard(handler)
        mode(overheard, asked)  # type: ignore[arg-type]
        if overheard.caught is None:
            return
        status, body, options = overheard.caught
        if status == 200 and rung in mute:
            body = _with_message(body, content=None)
        elif status == 200 and rung == "tool_call" and rung not in ignore:
            body = _as_call(body, asked.request["tools"][0]["function"]["name"])
        handler.send(status, body, **options)

    return formed


def plain_only(mode: Mode, status: int = 400) -> Mode:
    """Be a server of plain chat completions: an error to every form of output."""
    return on_rungs(mode, refuse=dict.fromkeys(FORMS, status))


WORDINGS = {
    "why": [
        ["choice_apy", "doing_nothing"],
        ["doing_nothing", "choice_apy", "score"],
        ["income", "choice_apy"],
    ],
    "caution": [
        ["rates_move", "apy_range"],
        ["contracts_can_fail"],
        ["past_is_past", "rates_move"],
    ],
}
AROUND = ["%s", "```json\n%s\n```", "Here is my answer:\n%s", "<think>Calm {is} good.</think>%s", "  %s\nThat is all."]


def varied(mode: Mode, seed: int = 0) -> Mode:
    """Decide what ``mode`` decides, each time in other sentences, another order and other things around it."""
    chance = random.Random(seed)

    def reworded(handler: Handler, asked: Asked) -> None:
        overheard = _Overheard(handler)
        mode(overheard, asked)  # type: ignore[arg-type]
        assert overheard.caught is not None
        status, body, options = overheard.caught
        if status == 200:
            answer = json.loads(json.loads(body)["choices"][0]["message"]["content"])
            answer |= {name: chance.choice(texts) for name, texts in WORDINGS.items() if answer.get(name)}
            fields = list(answer.items())
            chance.shuffle(fields)
            said = json.dumps(dict(fields), indent=chance.choice([None, 1, 4]))
            body = _with_message(body, content=said if asked.rung != "text" else chance.choice(AROUND) % said)
        handler.send(status, body, **options)

    return reworded


def in_pieces(mode: Mode, pause: float = 0.005, pieces: int = 20) -> Mode:
    """Say what ``mode`` says, slowly: the body comes piece by piece."""

    def slow(handler: Handler, asked: Asked) -> None:
        overheard = _Overheard(handler)
        mode(overheard, asked)  # type: ignore[arg-type]
        assert overheard.caught is not None
        status, body, _ = overheard.caught
        size = -(-len(body) // pieces)
        handler.send(status, body[:size], length=len(body))
        for start in range(size, len(body), size):
            handler.model.stop.wait(pause)
            handler.wfile.write(body[start : start + size])
            handler.wfile.flush()

    return slow


def _with_message(body: bytes, **fields: Any) -> bytes:
    said = json.loads(body)
    said["choices"][0]["message"] |= fields
    return json.dumps(said).encode()


def _as_call(body: bytes, name: str) -> bytes:
    """Put the text of a completion into the arguments of a call."""
    said = json.loads(body)
    content = said["choices"][0]["message"]["content"] if said.get("choices") else None
    if not isinstance(content, str) or not content:
        return body
    function = {"name": name, "arguments": content}
    said["choices"][0]["finish_reason"] = "tool_calls"
    call = {"id": f"call_{next(_CALLS)}", "type": "function", "function": function}
    said["choices"][0]["message"] |= {"content": None, "tool_calls": [call]}
    return json.dumps(said).encode()


_CALLS = itertools.count(1)


# How it fails.


def answers(status: int, body: bytes = b'{"error":{"message":"no","type":"t","code":"c"}}', **headers: str) -> Mode:
    """Answer with a status and a body; ``Retry_After="1"`` becomes a header."""
    return lambda handler, asked: handler.send(status, body, **headers)


def quotes_the_request(handler: Handler, asked: Asked) -> None:
    """Refuse, quoting the key and the question in the error, as some gateways do."""
    told = json.dumps({"error": {"message": f"{asked.headers['authorization']} {asked.body.decode()}"}})
    handler.send(401, told.encode())


def hangs(handler: Handler, asked: Asked) -> None:
    """Never answer; the connection stays open until the caller closes it."""
    handler.close_connection = True
    handler.connection.settimeout(0.02)
    for _ in range(int(LONGEST / 0.02)):
        try:
            if handler.model.stop.is_set() or not handler.connection.recv(1):
                return
        except TimeoutError:
            continue


def drips(part: str) -> Mode:
    """Send the ``head`` or the ``body`` of an answer byte by byte, each soon enough for a read timeout."""

    def mode(handler: Handler, asked: Asked) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n"
        handler.wfile.write(head if part == "head" else head + b"\r\n")
        handler.close_connection = True
        for _ in range(int(LONGEST / 0.02)):
            if handler.model.stop.wait(0.02):
                return
            handler.wfile.write(b"x")
            handler.wfile.flush()

    return mode


def resets(after: int) -> Mode:
    """Promise an answer, send its first bytes and reset the connection; ``after`` 0 sends nothing at all."""

    def mode(handler: Handler, asked: Asked) -> None:
        body = completion("{}")
        if after:
            handler.send(200, body[:after], length=len(body))
        handler.close_connection = True
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()

    return mode


def floods(handler: Handler, asked: Asked) -> None:
    """Send chunks of a mebibyte for as long as somebody reads."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.close_connection = True
    while not handler.model.stop.is_set():
        handler.wfile.write(b"100000\r\n" + b" " * (1 << 20) + b"\r\n")


# Where nothing may arrive.


@dataclass
class Trap:
    """What anybody sent to an address that nobody should know."""

    url: str
    received: bytes = b""


@contextmanager
def trap() -> Iterator[Trap]:
    """Listen on a free port of 127.0.0.1 and keep the first bytes of whatever comes, until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.02)
    caught = Trap(f"http://127.0.0.1:{listener.getsockname()[1]}")
    stop = threading.Event()

    def listen() -> None:
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(1.0)
                caught.received += b"connected " + connection.recv(200)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield caught
    finally:
        stop.set()
        thread.join()
        listener.close()
