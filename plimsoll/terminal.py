"""What people see in a terminal: the choice first, its pools, the reasons, the warnings, the files, what to do next."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.dialogue.answer import Answer
    from tools.records import Recommendation

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b-\u200f]")


def echo(text: str = "", *, error: bool = False) -> None:
    """Write a line, results to stdout and diagnostics to stderr; control characters never reach the terminal.

    Nothing else in Plimsoll writes to the terminal directly.
    """
    stream = sys.stderr if error else sys.stdout
    stream.write(_CONTROL.sub("", text) + "\n")
    stream.flush()


def show(recommendation: Recommendation, folder: Path) -> None:
    """Print a recommendation for a person."""
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.panel import Panel

    from tools.units import safe_label

    console = Console(highlight=False)
    width = min(console.width, 110)
    headline, _, rest = recommendation.rationale.markdown.partition("\n\n")
    style = {"choice": "green", "no_feasible_strategy": "yellow"}.get(recommendation.outcome, "red")
    if headline.startswith(">"):
        console.print(Panel(Markdown(headline.lstrip("> ")), border_style="red", width=width))
        headline, _, rest = rest.partition("\n\n")
    console.print(Panel(Markdown(headline), border_style=style, width=width))
    console.print(Markdown(rest), width=width)
    for warning in recommendation.usage.fallback:
        console.print(f"[yellow]Model:[/] {safe_label(warning, 200)}")
    if recommendation.rationale.refused:
        console.print(f"[yellow]Model:[/] {safe_label(recommendation.rationale.refused, 200)}")
    console.print(f"\n[dim]Run folder[/]   {folder}", soft_wrap=True)
    console.print(f"[dim]Picture[/]      {folder / 'flowchart.png'}", soft_wrap=True)
    if recommendation.outcome == "choice":
        console.print(f"[dim]Its risk[/]     plimsoll risk show {folder}", soft_wrap=True)
    console.print(f"[dim]Check it[/]     plimsoll verify {folder}", soft_wrap=True)
    console.print(f"[dim]Run it again[/] plimsoll replay {folder}", soft_wrap=True)


def show_answer(answer: Answer, folder: Path) -> None:
    """Print an answer of a conversation for a person."""
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.panel import Panel

    from tools.units import safe_label

    console = Console(highlight=False)
    width = min(console.width, 110)
    headline, _, rest = answer.rationale.markdown.partition("\n\n")
    if headline.startswith(">"):
        console.print(Panel(Markdown(headline.lstrip("> ")), border_style="red", width=width))
        headline, _, rest = rest.partition("\n\n")
    style = "green" if answer.runs else "cyan"
    console.print(Panel(Markdown(headline), border_style=style, width=width))
    if rest.strip():
        console.print(Markdown(rest), width=width)
    for warning in answer.usage.fallback:
        console.print(f"[yellow]Model:[/] {safe_label(warning, 200)}")
    if answer.runs:
        console.print(f"[dim]Check it:[/] plimsoll verify {folder}", soft_wrap=True)


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show progress on stderr, only where it is a terminal; yields the callback, None elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)

        def update(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield update
