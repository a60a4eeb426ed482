"""Prompts and templates are files in ``prompts/``; undefined names are errors, and only files are ever templates."""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any

import jinja2


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
    """Render a prompt file; raises ``jinja2.UndefinedError`` when a value is missing."""
    return environment().get_template(name).render(**values)
