"""Settings: flags come first, then ``PLIMSOLL_…`` in the environment, then ``plimsoll.toml``, then defaults."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from tools.errors import UsageError

FILE = "plimsoll.toml"
KNOWN = {
    "source": str,
    "as_of": str,
    "model": str,
    "require_model": bool,
    "format": str,
    "seed": int,
    "preset": str,
    "hazard": str,
}


def from_file(folder: Path) -> dict[str, Any]:
    """Read ``plimsoll.toml`` in ``folder``: defaults for the options of ``ask``, by name with underscores.

    An absent file is empty.

    Raises
    ------
    UsageError
        When the file is not TOML, or holds an unknown key or a value of the wrong type; the message names it.
    """
    path = folder / FILE
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{FILE}: {error}") from error
    for key, value in settings.items():
        if key not in KNOWN:
            raise UsageError(f"{FILE}: unknown key {key!r}; known are {', '.join(KNOWN)}")
        if type(value) is not KNOWN[key]:
            raise UsageError(f"{FILE}: {key} must be of type {KNOWN[key].__name__}, not {value!r}")
    return settings
