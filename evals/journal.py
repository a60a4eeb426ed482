"""Results on disk, one line each, written so that a run that was killed goes on where it stopped.

A line is complete when its newline is on the disk: each is flushed and synchronised before the next case begins. What
follows the last newline is what a kill left of a line, and is cut off. Results of other cases, of cases that have
changed since, or of another program stay where they are and do not count.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from pydantic import ValidationError

from evals.records import CaseResult, SuiteResult
from tools.errors import UsageError
from tools.market.store import write_atomically
from tools.records import Record

PROGRAM = ("agents", "tools", "prompts", "evals")
ResultT = TypeVar("ResultT", bound=Record)
_KINDS = (".py", ".toml", ".csv", ".jsonl", ".json", ".j2")


class Key(NamedTuple):
    """What a result counts for."""

    case: str
    case_sha256: str
    program_sha256: str
    subject: str


class Journal(Generic[ResultT]):
    """An append-only file of results of one ``kind``."""

    def __init__(self, path: Path, kind: type[ResultT]) -> None:
        self._path, self._kind = path, kind

    def read(self) -> list[ResultT]:
        """Return the results that are there, the oldest first, and cut off half a line at the end.

        Raises UsageError where a whole line is no result: the file is somebody else's.
        """
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        if len(whole) < len(text):
            os.truncate(self._path, len(whole))
        results = []
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                results.append(self._kind.model_validate_json(line))
            except ValidationError as error:
                raise UsageError(f"{self._path}, line {number}: not a result of an evaluation") from error
        return results

    def append(self, result: ResultT) -> None:
        """Write a result; it is on the disk when this returns."""
        with self._path.open("ab") as file:
            file.write(result.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def key_of(result: CaseResult) -> Key:
    """Return what a result counts for."""
    return Key(result.case, result.case_sha256, result.program_sha256, result.subject)


def program_sha256() -> str:
    """Return a hash over the source and the data of everything that is evaluated, and of the evaluations."""
    digest = hashlib.sha256()
    for package in PROGRAM:
        for name, body in sorted(_files(resources.files(package), package).items()):
            digest.update(f"{name}\0{len(body)}\0".encode() + body)
    return digest.hexdigest()


def _files(folder: Traversable, name: str) -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    for entry in folder.iterdir():
        path = f"{name}/{entry.name}"
        if entry.is_dir():
            found |= _files(entry, path)
        elif entry.name.endswith(_KINDS):
            found[path] = entry.read_bytes()
    return found


def save(result: SuiteResult, path: Path) -> None:
    """Write the result of a suite as JSON, whole or not at all."""
    write_atomically(path, (result.model_dump_json(indent=1) + "\n").encode())


def load_result(path: Path) -> SuiteResult:
    """Read the result of a suite; raises UsageError for a file that is none."""
    try:
        return SuiteResult.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise UsageError(f"{path}: not a result of an evaluation ({type(error).__name__})") from error


def load_results(folder: Path) -> list[SuiteResult]:
    """Read all results of a folder, by name; raises UsageError where there is none."""
    paths: Iterable[Path] = sorted(folder.glob("*.json")) if folder.is_dir() else ()
    found = [load_result(path) for path in paths]
    if not found:
        raise UsageError(f"{folder}: no result of an evaluation is there; make some with: plimsoll eval run all")
    return found
