"""Answers that were paid for once: a folder of files, one for each prompt, by the hash of all that it depends on.

A file holds the answer's text and a seal; the prompt, the address and the key are in its name's hash or nowhere. What
does not hold is removed and counts as not known, and so does what cannot be read or written: the model is asked again.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from agents.private_files import private_folder
from tools.market.store import default_home, write_atomically
from tools.records import digest

MOST_BYTES = 64 << 20
BLOCK = 4_096  # what the smallest file takes
_LONGEST = 1 << 20
_SUFFIX = ".json"


class PromptCache:
    """Answers by the hash of everything that they depend on; the oldest go when they take more than ``most_bytes``."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self.folder = folder
        self.most_bytes = most_bytes

    @classmethod
    def at_home(cls) -> PromptCache:
        """Open the cache in the user's data folder."""
        return cls(default_home() / "model" / "answers")

    def get(self, key: str) -> str | None:
        """Return the answer kept under a key; None when there is none that holds."""
        path = self._path(key)
        try:
            with path.open("rb") as file:
                kept = json.loads(file.read(_LONGEST))
            text, seal = kept["text"], kept["seal"]
        except OSError:
            return None
        except (ValueError, KeyError, TypeError, RecursionError):
            text, seal = None, None
        if isinstance(text, str) and seal == digest([key, text]):
            return text
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        return None

    def put(self, key: str, text: str) -> None:
        """Keep an answer; one that is kept already stays as old as it is."""
        path = self._path(key)
        body = json.dumps({"text": text, "seal": digest([key, text])}, ensure_ascii=False).encode()
        if len(body) > _LONGEST or path.exists():
            return
        with contextlib.suppress(OSError):
            private_folder(self.folder.parent)
            private_folder(self.folder)
            write_atomically(path, body)
            self._drop_oldest()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"

    def _drop_oldest(self) -> None:
        with os.scandir(self.folder) as entries:
            found = [(entry.stat(), entry.path) for entry in entries if entry.name.endswith(_SUFFIX)]
        found.sort(key=lambda file: (-file[0].st_mtime_ns, file[1]))
        total = 0
        for status, path in found:
            total += max(status.st_size, BLOCK)
            if total > self.most_bytes:
                Path(path).unlink(missing_ok=True)
