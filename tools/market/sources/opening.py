"""Turn what the user wrote after ``--source`` into a source."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from tools.errors import SourceError
from tools.market.http import shown
from tools.market.snapshot import Source
from tools.market.sources.folder import FolderSource
from tools.market.sources.remote import HttpSource, LiveSource
from tools.market.store import Store

ACCEPTED = (
    "live, demo, a folder with pools/DATE.json.gz in it,"
    " or a base URL (http:// or https://) that serves /pools and /chart/{pool}"
)


def open_source(
    name: str, *, store: Store | None, now: Callable[[], dt.datetime], refresh: bool = False, seed: int = 0
) -> Source:
    """Open the source called ``name``: ``live``, ``demo``, a folder or a base URL.

    ``store`` keeps what is fetched and answers what it knows; ``refresh`` asks the network again. ``seed`` makes the
    demo market. Raises ``SourceError``, which says what was given and what is accepted; nothing is fetched yet.
    """
    if name == "live":
        return LiveSource(store=store, now=now, refresh=refresh)
    if name == "demo":
        from tools.market.demo import DemoSource

        return DemoSource(seed=seed)
    if "://" in name:
        return HttpSource(_base_url(name), store=store, now=now, refresh=refresh)
    if name and Path(name).expanduser().is_dir():
        return FolderSource(name)
    raise SourceError(f"{name!r} is neither a known source nor a folder; accepted are {ACCEPTED}")


def _base_url(url: str) -> str:
    """Return the URL without a slash at its end; refuse what a base URL must not have, without repeating secrets."""
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise SourceError(f"the source is not an address ({error}); accepted are {ACCEPTED}") from error
    if parts.username is not None or parts.password is not None:
        raise SourceError(f"{shown(url)}: an address must not carry a user name or a password")
    if parts.scheme not in {"http", "https"} or not named:
        raise SourceError(f"{shown(url)} cannot be read; accepted are {ACCEPTED}")
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise SourceError(f"{shown(url)}: a base URL must have neither a query nor a fragment")
    if any(character.isspace() or not character.isprintable() for character in url):
        raise SourceError("the source's address has blanks or control characters in it")
    return url.rstrip("/")
