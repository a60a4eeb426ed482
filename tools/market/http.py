"""Fetch documents over HTTP, some at a time, with every way of failing bounded.

    get_all(urls) → for each: wait for its turn → ask → read under limits → body, None (404) or a MarketError

Failures that pass by themselves (refused, reset, cut short, slow, 429, 5xx) are tried again after a jittered pause that
doubles, or after what ``Retry-After`` says; a host that keeps failing is left alone for a while (circuit breaker).
Redirects are not followed and the environment (proxies, certificates, .netrc) is not read. The requests run on an event
loop in a thread of their own, so that a caller inside another loop can use this too; everything else happens in the
caller's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import email.utils
import logging
import random
import re
import threading
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tools.errors import MarketError, MarketUnavailable

if TYPE_CHECKING:
    import httpx

Body = bytes | None  # None: the server says that there is no such document
Pause = Callable[[float], Awaitable[None]]
Outcome = tuple[str, Body | MarketError]

_GZIP = 31  # zlib's code for a gzip header with the largest window
_TOO_MANY_REQUESTS = 429
_PASSING = {408, 425, _TOO_MANY_REQUESTS}  # with every 5xx: worth another attempt
_AGENT = "plimsoll"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often: ``request_seconds`` is for one attempt, ``total_seconds`` for all of one fetcher."""

    parallel: int = 8
    attempts: int = 4
    connect_seconds: float = 5.0
    read_seconds: float = 20.0
    request_seconds: float = 60.0
    total_seconds: float = 300.0
    backoff_seconds: float = 0.5
    wait_cap_seconds: float = 60.0
    breaker_failures: int = 16  # in a row, and more than run in parallel: one hiccup of the host must not open it
    breaker_seconds: float = 30.0


class BreakerOpen(MarketUnavailable):
    """The host failed so often in a row that it is not asked again for now."""


class _Passing(Exception):
    """A failure that another attempt may cure; ``wait`` is what the server asked for, in seconds."""

    def __init__(self, reason: str, wait: float | None = None, counts: bool = True) -> None:
        super().__init__(reason)
        self.wait, self.counts = wait, counts


@dataclass(slots=True)
class _Host:
    """A host's failures in a row, when its breaker opened, and until when it asked to be left alone."""

    failures: int = 0
    opened_at: float | None = None
    not_before: float = 0.0


@dataclass
class Fetcher:
    """Fetch from ``hosts`` only. ``pause``, ``clock``, ``now`` and ``jitter`` are there for tests, which never wait.

    ``requests`` counts what was really sent.
    """

    hosts: frozenset[str]
    limits: Limits = Limits()
    pause: Pause = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
    jitter: Callable[[], float] = random.random
    requests: int = 0
    _spent: float = 0.0
    _deadline: float = 0.0
    _known: dict[str, _Host] = field(default_factory=dict)

    def get(self, url: str, max_bytes: int) -> Body:
        """Return the body at ``url``, None where there is none; raise ``MarketUnavailable`` when it cannot be had."""
        [(_, outcome)] = self.get_all({url: url}, max_bytes)
        if isinstance(outcome, MarketError):
            raise outcome
        return outcome

    def get_all(self, urls: Mapping[str, str], max_bytes: int) -> Iterator[Outcome]:
        """Yield (key, body | None | error) for each key of ``urls`` as the answers come in, in no fixed order.

        ``max_bytes`` bounds each body, as sent and as decompressed. Closing the iterator early cancels what is still
        under way.
        """
        if not urls:
            return
        started = self.clock()
        self._deadline = started + self.limits.total_seconds - self._spent
        outcomes: SimpleQueue[Outcome | None] = SimpleQueue()
        loop = asyncio.new_event_loop()
        work = loop.create_task(self._fetch_all(urls, max_bytes, outcomes.put))
        thread = threading.Thread(target=_run, args=(loop, work, outcomes), name="fetcher", daemon=True)
        thread.start()
        try:
            while (outcome := outcomes.get()) is not None:
                yield outcome
            work.result()
        finally:
            loop.call_soon_threadsafe(work.cancel)
            thread.join()
            loop.close()
            self._spent += self.clock() - started

    async def _fetch_all(self, urls: Mapping[str, str], max_bytes: int, report: Callable[[Outcome], None]) -> None:
        gate = asyncio.Semaphore(self.limits.parallel)
        async with _client(self.limits) as client:

            async def fetch(key: str, url: str) -> None:
                try:
                    async with gate:
                        report((key, await self._fetch(client, url, max_bytes)))
                except MarketError as error:
                    report((key, error))

            async with asyncio.TaskGroup() as group:
                for key, url in urls.items():
                    group.create_task(fetch(key, url))

    async def _fetch(self, client: httpx.AsyncClient, url: str, max_bytes: int) -> Body:
        host = self._host(url)
        for attempt in range(self.limits.attempts):
            await self._turn(host, url)
            try:
                body = await self._attempt(client, url, max_bytes)
            except _Passing as failure:
                reason = str(failure)
                self._note_failure(host, failure)
                if failure.wait is None and attempt + 1 < self.limits.attempts:
                    await self._wait(self._backoff(attempt), url)
            else:
                host.failures, host.opened_at = 0, None
                return body
        raise MarketUnavailable(f"{shown(url)}: {reason} ({self.limits.attempts} attempts); try again later")

    def _host(self, url: str) -> _Host:
        name = urlsplit(url).netloc
        if name not in self.hosts:
            raise MarketUnavailable(f"{shown(url)}: this source may only be read from {', '.join(sorted(self.hosts))}")
        return self._known.setdefault(name, _Host())

    def _note_failure(self, host: _Host, failure: _Passing) -> None:
        if failure.wait is not None:
            host.not_before = max(host.not_before, self.clock() + failure.wait)
        if failure.counts:
            host.failures += 1
            if host.failures >= self.limits.breaker_failures:
                host.opened_at = self.clock()

    def _backoff(self, attempt: int) -> float:
        longest: float = min(self.limits.wait_cap_seconds, self.limits.backoff_seconds * 2**attempt)
        return longest * (0.5 + 0.5 * self.jitter())

    async def _turn(self, host: _Host, url: str) -> None:
        """Wait until the host may be asked; raise ``BreakerOpen`` while it is to be left alone, save for one probe."""
        while (rest := host.not_before - self.clock()) > 0:
            await self._wait(rest, url)
        if host.opened_at is not None:
            if self.clock() - host.opened_at < self.limits.breaker_seconds:
                raise BreakerOpen(
                    f"{shown(url)}: not asked, the host failed {host.failures} times in a row; try again later"
                )
            host.opened_at = self.clock()

    async def _wait(self, seconds: float, url: str) -> None:
        if self.clock() + seconds > self._deadline:
            raise self._too_late(url)
        await self.pause(seconds)

    def _too_late(self, url: str) -> MarketUnavailable:
        return MarketUnavailable(
            f"{shown(url)}: no time left; all fetching together may take {self.limits.total_seconds:g} s"
        )

    async def _attempt(self, client: httpx.AsyncClient, url: str, max_bytes: int) -> Body:
        import httpx

        left = self._deadline - self.clock()
        if left <= 0:
            raise self._too_late(url)
        self.requests += 1
        try:
            async with asyncio.timeout(min(left, self.limits.request_seconds)), client.stream("GET", url) as response:
                return await self._read(response, url, max_bytes)
        except (TimeoutError, httpx.TimeoutException):
            raise _Passing("took too long") from None
        except httpx.TransportError as error:
            raise _Passing(f"the connection failed ({str(error) or type(error).__name__})") from error
        except httpx.InvalidURL as error:
            raise MarketUnavailable(f"{shown(url)}: not an address that can be asked ({error})") from error

    async def _read(self, response: httpx.Response, url: str, max_bytes: int) -> Body:
        status = response.status_code
        if status == 200:
            return await _body(response, url, max_bytes)
        if status == 404:
            return None
        if status in _PASSING or status >= 500:
            wait = retry_after(response.headers.get("retry-after"), self.now())
            capped = None if wait is None else min(wait, self.limits.wait_cap_seconds)
            raise _Passing(f"answered {status}", capped, counts=status != _TOO_MANY_REQUESTS)
        if response.has_redirect_location:
            raise MarketUnavailable(f"{shown(url)}: answered {status} and points elsewhere; redirects are not followed")
        raise MarketUnavailable(f"{shown(url)}: answered {status}")


def _run(loop: asyncio.AbstractEventLoop, work: asyncio.Task[None], outcomes: SimpleQueue[Outcome | None]) -> None:
    """Run the work to its end; the None then tells the reader, who asks ``work`` how it went, that no more comes."""
    try:
        loop.run_until_complete(asyncio.wait([work]))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        outcomes.put(None)


def _client(limits: Limits) -> httpx.AsyncClient:
    import httpx

    # httpx writes the whole URL of each request to the log at INFO; an address may hold a key in its path.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return httpx.AsyncClient(
        timeout=httpx.Timeout(limits.read_seconds, connect=limits.connect_seconds, pool=None),
        limits=httpx.Limits(max_connections=limits.parallel),
        follow_redirects=False,
        trust_env=False,
        headers={"accept-encoding": "gzip", "user-agent": _AGENT},
    )


async def _body(response: httpx.Response, url: str, max_bytes: int) -> bytes:
    """Read the body as it comes and stop where it grows beyond ``max_bytes``, before or after decompression."""
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding not in {"identity", "gzip", ""}:
        raise MarketUnavailable(f"{shown(url)}: the body is sent in a coding that was not asked for")
    inflate = zlib.decompressobj(_GZIP) if coding == "gzip" else None
    parts, size, sent = [], 0, 0
    async for chunk in response.aiter_raw():
        part = chunk if inflate is None else _inflated(inflate, chunk, max_bytes + 1 - size)
        parts.append(part)
        size, sent = size + len(part), sent + len(chunk)
        if max(size, sent) > max_bytes:
            raise MarketUnavailable(f"{shown(url)}: sends more than the {max_bytes:,} bytes that are accepted")
    if inflate is not None and not inflate.eof:
        raise _Passing("the compressed body ended early")
    return b"".join(parts)


def _inflated(inflate: zlib._Decompress, chunk: bytes, most: int) -> bytes:
    try:
        return inflate.decompress(chunk, most)
    except zlib.error as error:
        raise _Passing("the compressed body is broken") from error


def retry_after(header: str | None, now: dt.datetime) -> float | None:
    """Return the seconds in ``Retry-After``, a number or a date (RFC 9110 § 10.2.3); None when it is unreadable."""
    if header is None:
        return None
    if re.fullmatch(r"\s*[0-9]{1,9}\s*", header):
        return float(header)
    with contextlib.suppress(ValueError, TypeError, OverflowError):  # TypeError: a date without a zone
        return max(0.0, (email.utils.parsedate_to_datetime(header) - now).total_seconds())
    return None


def shown(url: str) -> str:
    """Return an address as it may be shown: without credentials, query and fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
