"""The fetcher against a server that fails in every way: bounded, typed, and never a part taken for the whole."""

from __future__ import annotations

import asyncio
import datetime as dt
import gzip
import logging
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import feed_server as fs
import pytest

from tools.errors import MarketError, MarketUnavailable
from tools.market.http import BreakerOpen, Fetcher, Limits, retry_after, shown

BODY = b'{"status": "success", "data": [1, 2, 3]}'
NOW = dt.datetime(2025, 3, 1, 12, 0, tzinfo=dt.UTC)
MOST = 1 << 20


@dataclass
class Clock:
    """Time that passes only when somebody pauses."""

    now: float = 1000.0
    pauses: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def feed() -> Iterator[fs.Feed]:
    with fs.serve({"/pools": BODY}) as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


def fetcher_for(feed: fs.Feed, clock: Clock, **limits: float) -> Fetcher:
    return Fetcher(
        hosts=frozenset({urlsplit(feed.url).netloc}),
        limits=Limits(**limits),  # type: ignore[arg-type]
        pause=clock.pause,
        clock=clock,
        now=lambda: NOW,
        jitter=lambda: 1.0,
    )


def test_a_document_comes_whole_and_a_404_is_an_absence(feed: fs.Feed, clock: Clock) -> None:
    fetcher = fetcher_for(feed, clock)
    assert fetcher.get(f"{feed.url}/pools", MOST) == BODY
    assert fetcher.get(f"{feed.url}/nothing", MOST) is None
    assert fetcher.requests == 2
    assert clock.pauses == []


PASSING = {
    "reset before the answer": fs.refused_early,
    "reset in the body": fs.cut_at(10, reset=True),
    "cut short": fs.cut_at(10),
    "no body at all": fs.cut_at(0),
    "429": fs.status(429),
    "408": fs.status(408),
    "500": fs.status(500),
    "503": fs.status(503),
    "599": fs.status(599),
    "broken gzip": fs.sent(b"\x1f\x8b not gzip", Content_Encoding="gzip"),
    "half of a gzip": fs.sent(gzip.compress(BODY)[:-12], Content_Encoding="gzip"),
    "not HTTP": lambda handler, body: handler.wfile.write(b"SSH-2.0-OpenSSH\r\n\r\n"),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_what_passes_by_itself_is_tried_again(feed: fs.Feed, clock: Clock, fault: fs.Fault) -> None:
    feed.fail("/pools", fault)
    assert fetcher_for(feed, clock).get(f"{feed.url}/pools", MOST) == BODY
    assert len(feed.requests) == 2
    assert clock.pauses == [0.5]


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_what_does_not_pass_ends_as_unavailable(feed: fs.Feed, clock: Clock, fault: fs.Fault) -> None:
    feed.fail("/pools", fault, times=9)
    with pytest.raises(MarketUnavailable, match=f"{feed.url}/pools.*4 attempts"):
        fetcher_for(feed, clock).get(f"{feed.url}/pools", MOST)
    assert len(feed.requests) == 4
    assert clock.pauses == [0.5, 1.0, 2.0]  # doubling, and none after the last attempt


@pytest.mark.parametrize("reset", [False, True])
def test_a_body_cut_at_any_offset_is_never_taken_for_whole(feed: fs.Feed, clock: Clock, reset: bool) -> None:
    fetcher = fetcher_for(feed, clock, attempts=1, breaker_failures=1000)
    for count in range(len(BODY)):
        feed.fail("/pools", fs.cut_at(count, reset))
        with pytest.raises(MarketUnavailable):
            fetcher.get(f"{feed.url}/pools", MOST)
    assert fetcher.get(f"{feed.url}/pools", MOST) == BODY


def test_a_compressed_body_is_read(feed: fs.Feed, clock: Clock) -> None:
    feed.fail("/pools", fs.sent(gzip.compress(BODY), Content_Encoding="gzip"))
    assert fetcher_for(feed, clock).get(f"{feed.url}/pools", MOST) == BODY
    assert feed.headers[0]["accept-encoding"] == "gzip"


def test_a_connection_that_is_refused_ends_as_unavailable(clock: Clock) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fetcher = Fetcher(frozenset({f"127.0.0.1:{port}"}), pause=clock.pause, clock=clock)
    with pytest.raises(MarketUnavailable, match=r"the connection failed.*4 attempts"):
        fetcher.get(f"http://127.0.0.1:{port}/pools", MOST)


@pytest.mark.parametrize(
    "fault", [fs.stalled, fs.dripping("head"), fs.dripping("body")], ids=["stalled", "slow head", "slow body"]
)
def test_a_slow_server_is_cut_off(feed: fs.Feed, clock: Clock, fault: fs.Fault) -> None:
    feed.fail("/pools", fault)
    fetcher = fetcher_for(feed, clock, attempts=1, read_seconds=0.15, request_seconds=0.3)
    started = time.monotonic()
    with pytest.raises(MarketUnavailable, match="took too long"):
        fetcher.get(f"{feed.url}/pools", MOST)
    assert time.monotonic() - started < 3.0


@pytest.mark.parametrize(
    ("header", "waited"),
    [
        ("7", 7.0),
        ("0", None),
        ("86400", 60.0),  # the cap
        ("Sat, 01 Mar 2025 12:00:09 GMT", 9.0),
        ("Sat, 01 Mar 2025 11:00:00 GMT", None),  # has passed
        ("soon", 0.5),  # unreadable: our own backoff
        ("-1", 0.5),
        ("1e9", 0.5),
    ],
)
@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_is_honoured_up_to_a_cap(
    feed: fs.Feed, clock: Clock, header: str, waited: float | None, code: int
) -> None:
    feed.fail("/pools", fs.status(code, retry_after=header))
    assert fetcher_for(feed, clock).get(f"{feed.url}/pools", MOST) == BODY
    assert clock.pauses == ([] if waited is None else [waited])


def test_retry_after_holds_for_the_whole_host(feed: fs.Feed, clock: Clock) -> None:
    feed.documents["/hacks"] = b"[]"
    feed.fail("/pools", fs.status(429, retry_after="40"), times=9)
    fetcher = fetcher_for(feed, clock, attempts=1)
    with pytest.raises(MarketUnavailable, match="429"):
        fetcher.get(f"{feed.url}/pools", MOST)
    assert fetcher.get(f"{feed.url}/hacks", MOST) == b"[]"
    assert clock.pauses == [40.0]


def test_retry_after_without_a_zone_or_beyond_the_calendar_is_unreadable() -> None:
    assert retry_after("Sat, 01 Mar 2025 12:00:09", NOW) is None
    assert retry_after("Sat, 01 Mar 99999 12:00:09 GMT", NOW) is None
    assert retry_after(None, NOW) is None


def test_no_wait_goes_beyond_the_total_deadline(feed: fs.Feed, clock: Clock) -> None:
    feed.fail("/pools", fs.status(429, retry_after="50"), times=9)
    with pytest.raises(MarketUnavailable, match="no time left"):
        fetcher_for(feed, clock, total_seconds=120.0).get(f"{feed.url}/pools", MOST)
    assert clock.pauses == [50.0, 50.0]


def test_the_total_deadline_is_for_everything_that_a_fetcher_does(feed: fs.Feed, clock: Clock) -> None:
    feed.fail("/pools", fs.status(429, retry_after="50"), fs.status(429, retry_after="50"))
    fetcher = fetcher_for(feed, clock, total_seconds=70.0)
    with pytest.raises(MarketUnavailable, match="no time left"):
        fetcher.get(f"{feed.url}/pools", MOST)  # waits 50 s, then would have to wait 50 s more
    with pytest.raises(MarketUnavailable, match="no time left"):
        fetcher.get(f"{feed.url}/pools", MOST)


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(feed: fs.Feed, clock: Clock, code: int) -> None:
    feed.documents["/trap"] = BODY
    feed.fail("/pools", fs.status(code, Location=f"{feed.url}/trap"), times=9)
    with pytest.raises(MarketUnavailable, match="redirects are not followed"):
        fetcher_for(feed, clock).get(f"{feed.url}/pools", MOST)
    assert feed.requests == ["/pools"]


@pytest.mark.parametrize("code", [204, 206, 400, 401, 403, 410, 451])
def test_other_answers_are_not_tried_again(feed: fs.Feed, clock: Clock, code: int) -> None:
    feed.fail("/pools", fs.status(code), times=9)
    with pytest.raises(MarketUnavailable, match=f"answered {code}"):
        fetcher_for(feed, clock).get(f"{feed.url}/pools", MOST)
    assert len(feed.requests) == 1


@pytest.mark.parametrize(
    "fault", [fs.bomb(200 << 20), fs.endless, fs.sent(bytes(MOST + 1))], ids=["gzip bomb", "endless", "large"]
)
def test_a_body_beyond_its_limit_is_refused_at_once(feed: fs.Feed, clock: Clock, fault: fs.Fault) -> None:
    feed.fail("/pools", fault, times=9)
    with pytest.raises(MarketUnavailable, match="more than the 1,048,576 bytes"):
        fetcher_for(feed, clock).get(f"{feed.url}/pools", MOST)
    assert len(feed.requests) == 1


def test_a_body_of_exactly_the_limit_passes(feed: fs.Feed, clock: Clock) -> None:
    body = bytes(1000)
    for fault in (fs.sent(body), fs.sent(gzip.compress(body), Content_Encoding="gzip")):
        feed.fail("/pools", fault)
        assert fetcher_for(feed, clock).get(f"{feed.url}/pools", 1000) == body


def test_a_coding_that_was_not_asked_for_is_refused(feed: fs.Feed, clock: Clock) -> None:
    feed.fail("/pools", fs.sent(BODY, Content_Encoding="br"), times=9)
    with pytest.raises(MarketUnavailable, match="not asked for"):
        fetcher_for(feed, clock).get(f"{feed.url}/pools", MOST)


def test_the_breaker_opens_probes_and_closes(feed: fs.Feed, clock: Clock) -> None:
    fetcher = fetcher_for(feed, clock, attempts=1, breaker_failures=3)
    feed.fail("/pools", fs.status(500), times=4)

    def ask() -> None:
        with pytest.raises(MarketUnavailable) as caught:
            fetcher.get(f"{feed.url}/pools", MOST)
        assert not isinstance(caught.value, BreakerOpen)

    def is_left_alone() -> None:
        before = len(feed.requests)
        with pytest.raises(BreakerOpen, match="not asked"):
            fetcher.get(f"{feed.url}/pools", MOST)
        assert len(feed.requests) == before

    ask(), ask(), ask()
    is_left_alone()
    clock.now += 30.0
    ask()  # the probe, which fails too
    is_left_alone()
    clock.now += 30.0
    assert fetcher.get(f"{feed.url}/pools", MOST) == BODY
    assert fetcher.get(f"{feed.url}/pools", MOST) == BODY


def test_an_open_breaker_ends_a_batch_without_further_requests(feed: fs.Feed, clock: Clock) -> None:
    urls = {str(n): f"{feed.url}/{n}" for n in range(100)}
    for n in range(100):
        feed.fail(f"/{n}", fs.status(502), times=9)
    outcomes = dict(fetcher_for(feed, clock).get_all(urls, MOST))
    assert all(isinstance(outcome, MarketUnavailable) for outcome in outcomes.values())
    assert outcomes.keys() == urls.keys()
    assert len(feed.requests) <= 16 + 8  # the failures that open it, and what was under way then


def test_being_asked_to_slow_down_does_not_open_the_breaker(feed: fs.Feed, clock: Clock) -> None:
    fetcher = fetcher_for(feed, clock, attempts=8, breaker_failures=3)
    feed.fail("/pools", fs.status(429), times=7)
    assert fetcher.get(f"{feed.url}/pools", MOST) == BODY


def test_a_success_between_failures_keeps_the_breaker_closed(feed: fs.Feed, clock: Clock) -> None:
    fetcher = fetcher_for(feed, clock, attempts=2, breaker_failures=2)
    for _ in range(5):
        feed.fail("/pools", fs.status(500))
        assert fetcher.get(f"{feed.url}/pools", MOST) == BODY


def test_no_more_than_the_limit_are_asked_at_once_and_all_answer(feed: fs.Feed, clock: Clock) -> None:
    together = threading.Barrier(4)

    def wait_for_others(handler: fs.Handler, body: bytes) -> None:
        together.wait(5)  # passes only when four are under way
        handler.send(fs.Answer(200, body))

    urls = {}
    for n in range(40):
        feed.documents[f"/{n}"] = str(n).encode()
        urls[f"key {n}"] = f"{feed.url}/{n}"
        feed.fail(f"/{n}", wait_for_others)
    outcomes = dict(fetcher_for(feed, clock, parallel=4).get_all(urls, MOST))
    assert outcomes == {f"key {n}": str(n).encode() for n in range(40)}
    assert feed.most_at_once == 4


def test_a_host_that_is_not_allowed_is_never_asked(feed: fs.Feed, clock: Clock) -> None:
    fetcher = Fetcher(frozenset({"yields.llama.fi"}), pause=clock.pause, clock=clock)
    for url in (f"{feed.url}/pools", "http://169.254.169.254/latest", "http://[::1]/", "file:///etc/passwd"):
        with pytest.raises(MarketUnavailable, match=r"may only be read from yields\.llama\.fi"):
            fetcher.get(url, MOST)
    assert feed.requests == []


def test_proxies_of_the_environment_are_ignored(feed: fs.Feed, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    with fs.serve() as trap:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, trap.url)
        assert fetcher_for(feed, clock).get(f"{feed.url}/pools", MOST) == BODY
        assert trap.requests == []


def test_it_works_inside_a_running_event_loop(feed: fs.Feed, clock: Clock) -> None:
    async def inside() -> bytes | None:
        return fetcher_for(feed, clock).get(f"{feed.url}/pools", MOST)

    assert asyncio.run(inside()) == BODY


def test_closing_early_cancels_what_is_under_way(feed: fs.Feed, clock: Clock) -> None:
    feed.documents["/slow"] = BODY
    feed.fail("/slow", fs.stalled)
    started = time.monotonic()
    outcomes = fetcher_for(feed, clock).get_all({"a": f"{feed.url}/pools", "b": f"{feed.url}/slow"}, MOST)
    assert next(outcomes) == ("a", BODY)
    outcomes.close()  # type: ignore[attr-defined]
    assert time.monotonic() - started < 3.0
    assert not [thread for thread in threading.enumerate() if thread.name == "fetcher"]


def test_a_fault_of_our_own_surfaces_and_does_not_hang(feed: fs.Feed, clock: Clock) -> None:
    async def broken(seconds: float) -> None:
        raise ZeroDivisionError

    feed.fail("/pools", fs.status(500))
    fetcher = fetcher_for(feed, clock)
    fetcher.pause = broken
    with pytest.raises(ExceptionGroup) as caught:
        fetcher.get(f"{feed.url}/pools", MOST)
    assert caught.group_contains(ZeroDivisionError)


def test_addresses_are_neither_logged_nor_shown_with_secrets(
    feed: fs.Feed, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        fetcher_for(feed, clock).get(f"{feed.url}/pools", MOST)
    assert feed.url not in caplog.text
    assert shown("https://me:secret@example.org/a/b?key=secret#secret") == "https://example.org/a/b"


def test_failures_of_a_batch_are_reported_beside_its_answers(feed: fs.Feed, clock: Clock) -> None:
    feed.fail("/bad", fs.status(400))
    urls = {"good": f"{feed.url}/pools", "bad": f"{feed.url}/bad", "none": f"{feed.url}/none"}
    outcomes = dict(fetcher_for(feed, clock).get_all(urls, MOST))
    assert outcomes["good"] == BODY
    assert outcomes["none"] is None
    assert isinstance(outcomes["bad"], MarketError)
