"""Prompts and templates are files in ``prompts/``; undefined names are errors, and only files are ever templates.

``prompts/manifest.json`` holds the hash of each, so that a record can say with which words a model was asked. After a
change run ``python -m agents.prompts``, which writes it again.
"""

from __future__ import annotations

import functools
import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from tools.errors import UsageError

MANIFEST = "manifest.json"
SUFFIX = ".j2"
REGENERATE = "python -m agents.prompts"


class PromptChanged(UsageError):
    """A prompt is not the one that the manifest knows; the message says how to write the manifest again."""


@functools.cache
def environment() -> jinja2.Environment:
    """Return the Jinja2 environment over ``prompts/``; text, not HTML, so nothing is escaped.

    What is filled in must be safe already.
    """
    loader = jinja2.FunctionLoader(lambda name: (resources.files("prompts") / name).read_text(encoding="utf-8"))
    templates = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown and prompts, never HTML
    )
    templates.filters["capitalize_first"] = lambda text: text[:1].upper() + text[1:]
    return templates


def prompt(name: str, **values: Any) -> str:
    """Render a prompt file for a model.

    Raises ``jinja2.UndefinedError`` when a value is missing, and ``PromptChanged`` when the file is not the one that
    the manifest knows.
    """
    _check(name)
    return environment().get_template(name).render(**values)


def hashes() -> dict[str, str]:
    """Return the SHA-256 of each file of ``prompts/`` that is a prompt or a template, by name."""
    files = [file for file in resources.files("prompts").iterdir() if file.name.endswith(SUFFIX)]
    return {file.name: _sha256(file.read_text(encoding="utf-8")) for file in sorted(files, key=lambda file: file.name)}


def manifest() -> dict[str, str]:
    """Return the hashes that the manifest holds; raises ``PromptChanged`` where there is no manifest."""
    try:
        kept: dict[str, str] = json.loads((resources.files("prompts") / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PromptChanged(f"prompts/{MANIFEST} cannot be read; write it again with: {REGENERATE}") from error
    return kept


@functools.cache
def manifest_digest() -> str:
    """Return the SHA-256 of the manifest: of all prompts and templates together, for the record."""
    return _sha256(as_text(manifest()))


def as_text(names: dict[str, str]) -> str:
    """Write a manifest: one name a line, sorted."""
    return json.dumps(names, indent=1, sort_keys=True) + "\n"


@functools.cache
def _check(name: str) -> None:
    """See, once a process, that a prompt is the one that the manifest knows."""
    found = _sha256((resources.files("prompts") / name).read_text(encoding="utf-8"))
    if manifest().get(name) != found:
        raise PromptChanged(
            f"prompts/{name} is not the file that prompts/{MANIFEST} knows; if the change is meant, write the manifest "
            f"again with: {REGENERATE}"
        )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def write_manifest() -> None:
    """Write the manifest of the prompts as they are. Raises OSError."""
    Path(str(resources.files("prompts") / MANIFEST)).write_text(as_text(hashes()), encoding="utf-8")


if __name__ == "__main__":
    write_manifest()
