"""The point-in-time store: what was fetched, when, and which day it speaks of. Nothing is ever overwritten.

Two tables in one SQLite file: ``blobs`` holds each distinct body once, under its SHA-256; ``observations`` says which
body a source gave for (kind, key) of a day, and when. A body of None records that the source has no such document.
Everything read back is checked: the body against its hash, the observation against its own seal. What does not hold is
removed, counted in ``quarantined`` and treated as not known.

The file is in WAL mode with ``synchronous=NORMAL``: several processes may use it at once, a killed process leaves it
whole, and a power cut can lose the last writes but not tear one. A file that is no longer a database is set aside,
never deleted, and ``notes`` says where.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import gzip
import hashlib
import os
import sqlite3
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, Literal, NamedTuple, ParamSpec, TypeVar

from tools.errors import CorruptMarket, MarketUnavailable, SnapshotMissing

Kind = Literal["pools", "chart", "hacks", "prices", "rates"]

SCHEMA = 1
BUSY_SECONDS = 10.0
_LEVEL = 3  # zlib: half the time of the default for a sixth more bytes
_DAMAGED = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_ERROR,  # a table or column is missing
    sqlite3.SQLITE_SCHEMA,
    sqlite3.SQLITE_MISMATCH,
}

_TABLES = f"""
CREATE TABLE IF NOT EXISTS blobs (sha256 TEXT PRIMARY KEY, body BLOB NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS observations (
    number INTEGER PRIMARY KEY, source TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, as_of TEXT NOT NULL,
    fetched_at TEXT NOT NULL, sha256 TEXT, seal TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS newest ON observations (source, kind, key, as_of, fetched_at);
PRAGMA user_version = {SCHEMA};
"""

P = ParamSpec("P")
T = TypeVar("T")


class Observation(NamedTuple):
    """What a source answered, and when; ``body`` None: it has no such document."""

    body: bytes | None
    fetched_at: dt.datetime


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """What the store holds of one source: the days with a snapshot, and how many observations of each kind."""

    source: str
    days: tuple[dt.date, ...]
    observations: dict[str, int]


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """What the store holds; ``bytes`` is the size of its files, ``documents`` the number of distinct bodies."""

    path: Path
    bytes: int
    documents: int
    quarantined: int
    notes: tuple[str, ...]
    sources: tuple[SourceStatus, ...]


def default_home() -> Path:
    """Return the folder of Plimsoll's state: ``PLIMSOLL_HOME``, else the platform's user data directory."""
    if home := os.environ.get("PLIMSOLL_HOME"):
        return Path(home).expanduser()
    import platformdirs

    return platformdirs.user_data_path("plimsoll", appauthor=False)


def write_atomically(path: Path, body: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part; it is on the disk when this returns.

    A temporary file in the same folder, flushed, then renamed over ``path``; it is removed when anything fails. Raises
    OSError.
    """
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _guarded(
    method: Callable[Concatenate[Store, sqlite3.Connection, P], T],
) -> Callable[Concatenate[Store, P], T]:
    """Give the method the connection, one thread at a time; set a damaged file aside and run the method again."""

    @functools.wraps(method)
    def guarded(self: Store, /, *arguments: P.args, **options: P.kwargs) -> T:
        with self._lock:
            try:
                return method(self, self._connected(), *arguments, **options)
            except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
                self._recover(error)
                with self._named_failures():
                    return method(self, self._connected(), *arguments, **options)

    return guarded


class Store:
    """The store under ``home`` (default: ``default_home()``), in its subfolder ``market``; opened at the first use.

    Safe to share between threads and processes. Every method raises ``MarketUnavailable`` when the folder cannot be
    used or another process holds the file for longer than ``busy_seconds``, and ``CorruptMarket`` when the file was
    written by a newer version.
    """

    def __init__(self, home: Path | None = None, busy_seconds: float = BUSY_SECONDS) -> None:
        self.path = (home or default_home()) / "market" / "store.sqlite3"
        self.notes: list[str] = []
        self.quarantined = 0
        self._busy_seconds = busy_seconds
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.RLock()

    @_guarded
    def put(
        self,
        connection: sqlite3.Connection,
        source: str,
        kind: Kind,
        key: str,
        day: dt.date,
        body: bytes | None,
        fetched_at: dt.datetime,
    ) -> None:
        """Keep what ``source`` answered for (kind, key) of ``day``: body and observation together, or neither."""
        sha256 = None if body is None else hashlib.sha256(body).hexdigest()
        row = (source, kind, key, day.isoformat(), fetched_at.astimezone(dt.UTC).isoformat(), sha256)
        with _transaction(connection):
            if body is not None:
                blob = (sha256, zlib.compress(body, _LEVEL), len(body))
                # Replaced rather than ignored: what was there may be damaged, what is written now is not.
                connection.execute("INSERT OR REPLACE INTO blobs VALUES (?, ?, ?)", blob)
            connection.execute("INSERT INTO observations VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", (*row, _seal(*row)))

    @_guarded
    def get(
        self, connection: sqlite3.Connection, source: str, kind: Kind, key: str, day: dt.date
    ) -> Observation | None:
        """Return the newest sound observation of (kind, key) for ``day``; None when the store knows nothing of it."""
        asked = (source, kind, key, day.isoformat())
        query = (
            "SELECT number, fetched_at, observations.sha256, seal, body"
            " FROM observations LEFT JOIN blobs USING (sha256)"
            " WHERE source = ? AND kind = ? AND key = ? AND as_of = ? ORDER BY fetched_at DESC, number DESC"
        )
        for number, fetched_at, sha256, seal, packed in connection.execute(query, asked).fetchall():
            body = _unpacked(packed, sha256)
            if seal == _seal(*asked, fetched_at, sha256) and (sha256 is None or body is not None):
                return Observation(body, dt.datetime.fromisoformat(fetched_at))
            self._quarantine(connection, number, None if body is not None else sha256)
        return None

    @_guarded
    def days(self, connection: sqlite3.Connection, source: str) -> list[dt.date]:
        """Return the days of which the store holds a snapshot of ``source``, oldest first."""
        query = (
            "SELECT key, as_of, fetched_at, sha256, seal FROM observations"
            " WHERE source = ? AND kind = 'pools' AND sha256 IS NOT NULL"
        )
        rows = connection.execute(query, (source,)).fetchall()
        sound = {row[1] for row in rows if row[4] == _seal(source, "pools", *row[:4])}
        return [dt.date.fromisoformat(day) for day in sorted(sound)]

    @_guarded
    def status(self, connection: sqlite3.Connection) -> StoreStatus:
        """Return what the store holds."""
        counted: dict[str, dict[str, int]] = {}
        query = "SELECT source, kind, COUNT(*) FROM observations GROUP BY source, kind ORDER BY source, kind"
        for source, kind, count in connection.execute(query).fetchall():
            counted.setdefault(source, {})[kind] = count
        (documents,) = connection.execute("SELECT COUNT(*) FROM blobs").fetchone()
        return StoreStatus(
            path=self.path,
            bytes=sum(path.stat().st_size for path in self.path.parent.glob(f"{self.path.name}*")),
            documents=documents,
            quarantined=self.quarantined,
            notes=tuple(self.notes),
            sources=tuple(SourceStatus(name, tuple(self.days(name)), kinds) for name, kinds in counted.items()),
        )

    def export(self, source: str, day: dt.date, folder: Path) -> list[Path]:
        """Write what is known of ``source`` for ``day`` as a folder that ``--source`` reads; return the files, sorted.

        Raises ``SnapshotMissing``, naming the days that are there, and OSError when the folder cannot be written.
        """
        if self.get(source, "pools", "pools", day) is None:
            known = ", ".join(map(str, self.days(source))) or "none"
            raise SnapshotMissing(f"the store has no snapshot of {source} for {day}; there are: {known}")
        written = []
        for kind, key in self._keys(source, day):
            found = self.get(source, kind, key, day)
            if found is not None and found.body is not None:
                path = folder / _file_of(kind, Path(key).name, day)
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, gzip.compress(found.body, mtime=0) if path.suffix == ".gz" else found.body)
                written.append(path)
        return sorted(written)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @_guarded
    def _keys(self, connection: sqlite3.Connection, source: str, day: dt.date) -> list[tuple[Kind, str]]:
        query = "SELECT DISTINCT kind, key FROM observations WHERE source = ? AND as_of = ? ORDER BY kind, key"
        return connection.execute(query, (source, day.isoformat())).fetchall()

    def _quarantine(self, connection: sqlite3.Connection, number: int, sha256: str | None) -> None:
        with _transaction(connection):
            connection.execute("DELETE FROM observations WHERE number = ?", (number,))
            connection.execute("DELETE FROM blobs WHERE sha256 = ?", (sha256,))
        self.quarantined += 1

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Created here and not by SQLite, which would leave it readable by everyone; its side files copy the mode.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from error
        connection = sqlite3.connect(
            self.path, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA:
            raise CorruptMarket(
                f"{self.path} has version {version}, this program knows version {SCHEMA}:"
                " upgrade, delete the file, or set PLIMSOLL_HOME"
            )
        # A damaged text must fail its seal and not the driver.
        connection.text_factory = lambda text: text.decode(errors="replace")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cell_size_check = ON")  # notices a damaged page when it is read
        if version < SCHEMA:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")

    def _recover(self, error: sqlite3.DatabaseError | UnicodeDecodeError) -> None:
        """Set a file aside that is no database of ours; whatever else failed is raised with what to do about it."""
        # The driver fails to decode its own message when a damaged name stands in it.
        code = sqlite3.SQLITE_CORRUPT if isinstance(error, UnicodeDecodeError) else _code(error)
        if code not in _DAMAGED:
            raise self._unusable(str(error)) from error
        self.close()
        aside = _unused(self.path.with_suffix(".damaged"))
        try:
            for suffix in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    Path(f"{self.path}{suffix}").rename(f"{aside}{suffix}")
        except OSError as failure:
            raise self._unusable(f"{error}; it cannot be set aside: {failure.strerror}") from failure
        self.notes.append(f"the market store was damaged ({error}); a new one was begun, the old file is {aside}")

    @contextlib.contextmanager
    def _named_failures(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise self._unusable(str(error)) from error

    def _unusable(self, why: str) -> MarketUnavailable:
        return MarketUnavailable(
            f"the market store {self.path} cannot be used ({why});"
            " free the file or set PLIMSOLL_HOME to a folder that can be written"
        )


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some failures have rolled back already
            connection.execute("ROLLBACK")
        raise


def _seal(*fields: str | None) -> str:
    """Return the hash over an observation's own fields, so that a damaged key cannot pass for another."""
    return hashlib.sha256("\x1f".join("-" if field is None else f"+{field}" for field in fields).encode()).hexdigest()


def _unpacked(packed: bytes | None, sha256: str | None) -> bytes | None:
    if packed is None or sha256 is None:
        return None
    try:
        body = zlib.decompress(packed)
    except (zlib.error, TypeError):  # TypeError: the damage changed the column's type
        return None
    return body if hashlib.sha256(body).hexdigest() == sha256 else None


def _file_of(kind: Kind, key: str, day: dt.date) -> Path:
    if kind == "pools":
        return Path("pools") / f"{day}.json.gz"
    if kind == "chart":
        return Path("charts") / f"{key}.json.gz"
    return Path("hacks.json") if kind == "hacks" else Path(kind) / key


def _code(error: sqlite3.Error) -> int:
    """Return the primary result code; errors that the driver raises by itself have none and count as misuse."""
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE)) & 0xFF


def _unused(path: Path) -> Path:
    number = 1
    while (candidate := path.with_suffix(f"{path.suffix}-{number}")).exists():
        number += 1
    return candidate
