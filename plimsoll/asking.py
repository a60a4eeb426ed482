"""``plimsoll ask``: one question, one run folder; stopped anywhere, it goes on with ``plimsoll resume``.

PLIMSOLL_HOME/pending/NAME/   what was asked, and the run's journal; removed once the run folder is written
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plimsoll import runs
from plimsoll.events import JsonLines, Listener
from plimsoll.options import open_market
from plimsoll.terminal import echo, progress_bar, show
from tools.errors import PlimsollError, UsageError
from tools.market.store import default_home, write_atomically

if TYPE_CHECKING:
    from agents.journal import Journal
    from agents.models import Seat

ASKED = "ask.json"
EXIT_CODES = {"choice": 0, "not_enough_data": 4}

OpenSeat = Callable[["Asked", "Journal"], "Seat"]


@dataclass(frozen=True)
class Asked:
    """A question with everything that it was asked with; plain data, as ``ask.json`` holds it."""

    question: str
    source: str
    as_of: str | None
    model: str | None
    require_model: bool
    output: str
    out: str | None
    seed: int
    preset: str
    hazard: str
    hazard_rates: dict[str, float]
    facts: str | None
    refresh: bool
    off: list[str] = field(default_factory=list)
    approve: bool = False
    allow_tracing: bool = False


def pending() -> list[str]:
    """Return the names of the runs that were stopped, the oldest first."""
    return sorted(path.parent.name for path in (default_home() / "pending").glob(f"*/{ASKED}"))


def begin(asked: Asked, name: str) -> Path:
    """Note what was asked, for its user alone, so that a run that is stopped can go on; returns its folder."""
    folder = default_home() / "pending" / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.parent.chmod(0o700)
    write_atomically(folder / ASKED, json.dumps(dataclasses.asdict(asked)).encode())
    (folder / ASKED).chmod(0o600)
    return folder


def recall(name: str | None) -> tuple[Asked, Path]:
    """Return what a stopped run was asked, and its folder; of the newest without a name.

    Raises UsageError when there is no such run, or what was noted of it does not hold.
    """
    names = pending()
    if not names or (name is not None and name not in names):
        listed = f"; stopped are: {', '.join(names)}" if names else ""
        raise UsageError(f"no stopped run{f' is called {name!r}' if name else ''}{listed}")
    folder = default_home() / "pending" / (name or names[-1])
    try:
        return Asked(**json.loads((folder / ASKED).read_bytes())), folder
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{folder / ASKED} does not say what was asked ({error}); remove the folder") from error


def carry_out(asked: Asked, folder: Path, open_seat: OpenSeat, listen: Listener | None) -> int:
    """Run what was asked, write the run folder, print the answer, and return the exit code.

    A failure that Plimsoll foresees leaves nothing behind; a run that is stopped leaves its folder.
    """
    try:
        code = _advised(asked, folder, open_seat, listen)
    except PlimsollError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except KeyboardInterrupt:
        echo(f"plimsoll: stopped; go on with: plimsoll resume {folder.name}", error=True)
        return 130
    shutil.rmtree(folder, ignore_errors=True)
    return code


def _advised(asked: Asked, folder: Path, open_seat: OpenSeat, listen: Listener | None) -> int:
    from agents.journal import Journal
    from agents.state import Settings
    from agents.workflow import advise
    from plimsoll.chat import approve_on_terminal

    journal = Journal(folder / "journal")
    settings = Settings(
        as_of=dt.date.fromisoformat(asked.as_of) if asked.as_of else None,
        preset=asked.preset,  # type: ignore[arg-type]
        seed=asked.seed,
        hazard=asked.hazard,  # type: ignore[arg-type]
        hazard_rates=asked.hazard_rates,
        facts=Path(asked.facts) if asked.facts else None,
        off=tuple(asked.off),
        approve=asked.approve,
    )
    with progress_bar("Reading the market") as progress:
        recommendation, context = advise(
            asked.question,
            open_market(asked.source, asked.seed, asked.refresh),
            seat=open_seat(asked, journal),
            journal=journal,
            settings=settings,
            progress=progress,
            listen=listen,
            ask=approve_on_terminal,
        )
    target = Path(asked.out) if asked.out else default_home() / "runs" / recommendation.run_id
    _print(recommendation, runs.save(target, recommendation, context), asked.output, listen)
    return EXIT_CODES.get(recommendation.outcome, 3)


def _print(recommendation: Any, folder: Path, output: str, listen: Listener | None) -> None:
    text = recommendation.rationale.markdown
    if isinstance(listen, JsonLines):
        listen({"event": "answer", "outcome": recommendation.outcome, "folder": str(folder), "markdown": text})
    elif output == "json":
        echo(runs.as_json(recommendation.model_dump(mode="json")).rstrip("\n"))
    elif output == "md":
        echo(text.rstrip("\n"))
    else:
        show(recommendation, folder)
