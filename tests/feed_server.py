"""A market API on loopback, in the shape of DefiLlama's, that fails on demand.

Every path answers from ``documents``, unless ``faults`` has something else for its next request. ``requests`` holds the
paths that were asked for, in order.
"""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    """What is sent; the body as it is, its length as ``length`` claims."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None


Fault = Callable[["Handler", bytes], None]


@dataclass
class Feed:
    """A server's documents, faults by path and record of requests; ``stop`` ends the faults that wait."""

    documents: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, deque[Fault]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    running: int = 0
    most_at_once: int = 0
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def fail(self, path: str, *faults: Fault, times: int = 1) -> None:
        """Let ``path`` fail in these ways, one request after the other, the last one ``times`` times."""
        self.faults[path] = deque([*faults[:-1], *[faults[-1]] * times])


class Handler(BaseHTTPRequestHandler):
    """Answer from the feed, or fail as it says."""

    protocol_version = "HTTP/1.1"
    feed: Feed

    def do_GET(self) -> None:
        feed = self.feed
        with feed.lock:
            feed.requests.append(self.path)
            feed.headers.append({name.lower(): value for name, value in self.headers.items()})
            fault = feed.faults[self.path].popleft() if feed.faults.get(self.path) else None
            feed.running += 1
            feed.most_at_once = max(feed.most_at_once, feed.running)
        try:
            body = feed.documents.get(self.path)
            if fault is not None:
                fault(self, body or b"")
            elif body is None:
                self.send(Answer(404, b'{"message":"not found"}'))
            else:
                self.send(Answer(200, body))
        finally:
            with feed.lock:
                feed.running -= 1

    def send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
        self.end_headers()
        self.wfile.write(answer.body)

    def hang_up(self, reset: bool = False) -> None:
        """Close the connection at once: an orderly end, or a reset."""
        self.close_connection = True
        self.wfile.flush()
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up early is its own business."""


@contextmanager
def serve(documents: dict[str, bytes] | None = None) -> Iterator[Feed]:
    """Run a feed on a free port of 127.0.0.1 until the block ends."""
    feed = Feed(documents=dict(documents or {}))
    server = _Server(("127.0.0.1", 0), type("Bound", (Handler,), {"feed": feed}))
    feed.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield feed
    finally:
        feed.stop.set()
        server.shutdown()
        server.server_close()
        thread.join()


def envelope(rows: list[Any]) -> bytes:
    """Return rows as the API wraps them."""
    return json.dumps({"status": "success", "data": rows}).encode()


def status(code: int, **headers: str) -> Fault:
    """Answer with a status; ``retry_after="1"`` becomes a header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, body: handler.send(Answer(code, b"{}", named))


def sent(body: bytes, **headers: str) -> Fault:
    """Answer 200 with another body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, _: handler.send(Answer(200, body, named))


def cut_at(count: int, reset: bool = False) -> Fault:
    """Send ``count`` bytes of the body whose full length was promised, then hang up."""

    def fault(handler: Handler, body: bytes) -> None:
        handler.send(Answer(200, body[:count], length=len(body)))
        handler.hang_up(reset)

    return fault


def refused_early(handler: Handler, body: bytes) -> None:
    """Hang up before the first byte of an answer."""
    handler.hang_up(reset=True)


def stalled(handler: Handler, body: bytes) -> None:
    """Send half of the body and then nothing, until the server stops."""
    handler.send(Answer(200, body[: len(body) // 2], length=len(body)))
    handler.wfile.flush()
    handler.feed.stop.wait(10)
    handler.close_connection = True


def dripping(part: str) -> Fault:
    """Send the ``head`` or the ``body`` byte by byte, each soon enough for a read timeout, never to its end."""

    def fault(handler: Handler, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n"
        handler.wfile.write(head if part == "head" else head + b"\r\n")
        while not handler.feed.stop.wait(0.02):
            handler.wfile.write(b"x")
            handler.wfile.flush()
        handler.close_connection = True

    return fault


def bomb(size: int) -> Fault:
    """Answer with ``size`` zero bytes, compressed."""
    return sent(gzip.compress(bytes(size)), Content_Encoding="gzip")


def endless(handler: Handler, body: bytes) -> None:
    """Send chunks of a mebibyte for as long as somebody reads."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while not handler.feed.stop.is_set():
        handler.wfile.write(b"100000\r\n" + bytes(1 << 20) + b"\r\n")
