"""What the world said in one run, kept as it comes in, so that a run that was killed goes on where it stood.

    answers.jsonl    every answer of the model, a line each: on the disk before it is used
    inputs.json.gz   the market rows, once they are all read; label.json says what their source was called
    started.json     when the run began, for the first time

Tools are deterministic, so a run that is told the same comes to the same record: nothing else needs to be kept. A last
line that was torn by a kill is cut off; a line that does not hold is not believed. One process at a time: two that run
from the same journal would both pay.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agents.ladder import RUNGS
from agents.private_files import private_folder
from tools.errors import CorruptMarket, SourceError, UsageError
from tools.market.evidence import Evidence
from tools.market.sources.saved import INPUTS, SavedSource
from tools.market.store import write_atomically
from tools.records import digest

ANSWERS, LABEL, STARTED = "answers.jsonl", "label.json", "started.json"
FILE_MODE = 0o600


class Journal:
    """The journal of one run, in a folder of its own.

    Raises
    ------
    UsageError
        From every method that writes, when the folder or a file in it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def append(self, model: str, entry: Mapping[str, Any]) -> None:
        """Keep what came of a request to a model; it is on the disk when this returns."""
        line = json.dumps({"seal": digest([model, entry]), "model": model, "entry": entry}, ensure_ascii=False)
        with self._writing(ANSWERS) as path:
            fresh = not path.exists()
            number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, FILE_MODE)
            try:
                _write_whole(number, line.encode() + b"\n")
                os.fsync(number)
            finally:
                os.close(number)
            if fresh:
                _sync(path.parent)

    def answers(self, model: str) -> list[dict[str, Any]]:
        """Return what was kept of a model, in order; cut off a last line that was not finished."""
        path = self.folder / ANSWERS
        try:
            body = path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
        whole = body.rfind(b"\n") + 1
        if whole < len(body):
            with self._writing(ANSWERS):
                os.truncate(path, whole)
        return [entry for line in body[:whole].split(b"\n") if (entry := _sound(line, model)) is not None]

    def keep(self, evidence: Evidence) -> None:
        """Write the market rows that were read, once; call it when all are."""
        with self._writing(INPUTS) as path:
            if not path.exists():
                write_atomically(self.folder / LABEL, json.dumps(evidence.label).encode())
                evidence.save(path)  # last: where there are rows, there is a label

    def evidence(self) -> SavedSource | None:
        """Return the market rows as a source under its first name; None when none are kept, or do not hold."""
        try:
            source = SavedSource(self.folder)
            source.label = str(json.loads((self.folder / LABEL).read_bytes()))
        except (SourceError, CorruptMarket, OSError, ValueError):
            with self._writing(INPUTS, make=False) as path:
                path.unlink(missing_ok=True)  # to be read again, and kept again
            return None
        return source

    def started_at(self, now: dt.datetime) -> dt.datetime:
        """Return when the run began for the first time: ``now`` (aware), unless it is kept already."""
        path = self.folder / STARTED
        with contextlib.suppress(OSError, ValueError, TypeError):
            kept = dt.datetime.fromisoformat(json.loads(path.read_bytes()))
            if kept.tzinfo is not None:
                return kept
        with self._writing(STARTED):
            write_atomically(path, json.dumps(now.isoformat()).encode())
        return now

    def delete(self) -> None:
        """Remove what the journal wrote, and its folder where nothing else is in it."""
        with self._writing(ANSWERS, make=False):
            for name in (ANSWERS, INPUTS, LABEL, STARTED):
                (self.folder / name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # it holds something else, or is gone
                self.folder.rmdir()

    @contextlib.contextmanager
    def _writing(self, name: str, make: bool = True) -> Iterator[Path]:
        path = self.folder / name
        try:
            if make:
                private_folder(self.folder)
            yield path
        except OSError as error:
            raise UsageError(f"cannot write the journal {path}: {error.strerror or error}") from error


def _write_whole(number: int, body: bytes) -> None:
    while body:
        body = body[os.write(number, body) :]


def _sync(folder: Path) -> None:
    if os.name == "posix":  # elsewhere a folder cannot be opened
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _sound(line: bytes, model: str) -> dict[str, Any] | None:
    """Return the entry of a line if it holds, and is of this model."""
    try:
        kept = json.loads(line)
        entry = dict(kept["entry"])
        holds = kept["seal"] == digest([model, entry]) and kept["model"] == model and entry["rung"] in RUNGS
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return entry if holds else None
