"""Where the model's answers are kept: folders that only the user may open."""

from __future__ import annotations

from pathlib import Path

PRIVATE = 0o700


def private_folder(folder: Path) -> Path:
    """Make a folder that only its owner may open, and return it; one that exists is left as it is. Raises OSError."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=PRIVATE, exist_ok=True)
    return folder
