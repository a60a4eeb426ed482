"""Threads of conversation: their memory in a database of checkpoints, their answers in folders, both the user's alone.

PLIMSOLL_HOME/threads.sqlite        what was said and what is known, by thread (file mode 0600)
PLIMSOLL_HOME/threads/NAME/turn-…   each answer with its runs (folder mode 0700)
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tools.errors import UsageError
from tools.market.store import default_home

if TYPE_CHECKING:
    from tools.dialogue.answer import Answer

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
DATABASE = "threads.sqlite"


class Thread(NamedTuple):
    """A thread in short: how many turns, when the last was said, and its line."""

    name: str
    turns: int
    last: str
    line: str


def check_name(name: str) -> str:
    """Return a name of a thread; raise UsageError for what could be no folder's name."""
    if not NAME.fullmatch(name):
        raise UsageError(f"a thread's name is small letters, digits, dots and dashes, at most 64, not {name!r}")
    return name


def database() -> Path:
    """Return the file of the conversations' memory."""
    return default_home() / DATABASE


def new_name(now: dt.datetime) -> str:
    """Return a name for a thread that is given none."""
    return now.strftime("%Y%m%d-%H%M%S") + f"-{os.getpid() % 10_000:04d}"


def home() -> Path:
    """Return the folder that holds the threads, made for its user alone."""
    folder = default_home() / "threads"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


@contextlib.contextmanager
def held(name: str) -> Iterator[Path]:
    """Hold a thread's folder for as long as the block runs; raise UsageError while another process does."""
    folder = home() / check_name(name)
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"the thread {name} is open elsewhere") from None
        yield folder


def keep(folder: Path, answer: Answer) -> None:
    """Write an answer beside its runs, the manifest last; what an earlier attempt left is replaced."""
    from plimsoll.runs import as_json

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    contents = {
        "answer.json": as_json(answer.model_dump(mode="json")).encode(),
        "answer.md": answer.rationale.markdown.encode(),
    }
    hashes = {name: hashlib.sha256(body).hexdigest() for name, body in contents.items()}
    for name, body in (*contents.items(), ("manifest.json", as_json({"files": hashes}).encode())):
        _replace(folder / name, body)
    shutil.rmtree(folder / "journal", ignore_errors=True)
    for stray in (folder / "runs").glob("*"):
        if stray.name not in answer.runs:
            shutil.rmtree(stray, ignore_errors=True)


def _replace(path: Path, body: bytes) -> None:
    number, name = tempfile.mkstemp(prefix=".", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def listed(opened: Any) -> list[Thread]:
    """Return the threads that have a memory, the one that was spoken in last first."""
    from agents.conversation import build_conversation
    from agents.memory import names_of

    conversation = build_conversation(opened)
    threads = []
    for name in names_of(opened):
        said = conversation.get_state({"configurable": {"thread_id": name}}).values.get("said", [])
        last = said[-1] if said else {"at": "", "line": ""}
        threads.append(Thread(name, len(said), last["at"][:19], last["line"]))
    return sorted(threads, key=lambda thread: (thread.last, thread.name), reverse=True)


def as_markdown(name: str) -> str:
    """Return a thread as Markdown; raise UsageError for one that has no answer."""
    from tools.dialogue.answer import Answer

    folder = default_home() / "threads" / check_name(name)
    parts = []
    for path in sorted(folder.glob("turn-*/answer.json")):
        answer = Answer.model_validate_json(path.read_bytes())
        parts += [f"### {answer.question}", answer.rationale.markdown.rstrip("\n")]
    if not parts:
        raise UsageError(f"the thread {name} has no answers")
    return "\n\n".join(parts) + "\n"


def delete(opened: Any, name: str) -> None:
    """Forget a thread: its checkpoints and its folder; raise UsageError for one that does not exist."""
    folder = home() / check_name(name)
    from agents.memory import names_of

    if name not in names_of(opened) and not folder.exists():
        raise UsageError(f"there is no thread {name}")
    with held(name):
        opened.delete_thread(name)
        shutil.rmtree(folder, ignore_errors=True)
