"""Where conversations are remembered: LangGraph checkpoints, in a SQLite file or a PostgreSQL database."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tools import records
from tools.errors import UsageError

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

# What a checkpoint may hold besides plain data. Nothing else is ever made of what is read back.
_RECORDS = [
    *(("tools.dialogue.records", name) for name in ("Turn", "Memory", "NamedPool", "Subject", "Change")),
    ("tools.dialogue.answer", "AnswerRun"),
    *(("tools.records", name) for name in ("Mandate", "Usage", "TaskUsage")),
]


@contextlib.contextmanager
def memory(path: Path, address: str | None = None) -> Iterator[BaseCheckpointSaver[str]]:
    """Open the memory of conversations: the PostgreSQL database at ``address``, or else the SQLite file ``path``.

    The file is its user's alone (mode 0600), and so is what SQLite puts beside it.

    Raises
    ------
    UsageError
        When the extra ``postgres`` is not installed, the database cannot be reached, or the file is none.
    """
    with _postgres(address) if address else _sqlite(path) as opened:
        yield opened


@contextlib.contextmanager
def _sqlite(path: Path) -> Iterator[BaseCheckpointSaver[str]]:
    from langgraph.checkpoint.sqlite import SqliteSaver

    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made with its mode before anything is in it.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error
    connection = sqlite3.connect(path, check_same_thread=False)
    try:
        opened = SqliteSaver(connection, serde=_serde())
        opened.setup()
        yield opened
    except sqlite3.DatabaseError as error:
        raise UsageError(f"{path} cannot be used ({error}); move it away to start with no threads") from error
    finally:
        connection.close()


@contextlib.contextmanager
def _postgres(address: str) -> Iterator[BaseCheckpointSaver[str]]:
    try:
        import psycopg
        from langgraph.checkpoint.postgres import PostgresSaver
        from psycopg.rows import dict_row
    except ImportError:
        raise UsageError("a PostgreSQL memory needs the extra postgres: run make postgres") from None
    try:
        connection = psycopg.Connection.connect(address, autocommit=True, prepare_threshold=0, row_factory=dict_row)
    except psycopg.Error as error:  # its message may hold the address, and so a password
        raise UsageError(f"the database of the memory cannot be reached ({type(error).__name__})") from None
    with connection:
        opened = PostgresSaver(connection, serde=_serde())
        opened.setup()
        yield opened


def within_a_process() -> BaseCheckpointSaver[str]:
    """Return a memory that ends with the process, for a run that waits for a person: any record may be in it."""
    from langgraph.checkpoint.memory import InMemorySaver

    types = [("tools.records", name) for name, kind in vars(records).items() if isinstance(kind, type)]
    return InMemorySaver(serde=_serde(types))


def _serde(types: Sequence[tuple[str, ...]] = _RECORDS) -> JsonPlusSerializer:
    """Return what writes and reads checkpoints: plain data and records of our own, never a pickle."""
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

    return JsonPlusSerializer(pickle_fallback=False, allowed_msgpack_modules=types)


def names_of(opened: BaseCheckpointSaver[str]) -> list[str]:
    """Return the names of the threads that are remembered, sorted."""
    return sorted({str(entry.config["configurable"]["thread_id"]) for entry in opened.list(None)})
