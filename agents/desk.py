"""The desk of one turn: where its runs are solved, kept as they are solved, and found again after a kill.

A run that is already in the turn's folder is not solved again, so a turn that was stopped anywhere goes on where it
stood; what a model said in a run that was not finished stands in the run's journal.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from agents.events import Event, Listener
from agents.journal import Journal
from agents.models import Seat
from agents.solving import Solver
from agents.state import Context
from agents.workflow import Asker
from tools.counterfactual import Decide
from tools.dialogue.answer import AnswerRun
from tools.errors import UsageError
from tools.market.snapshot import Market
from tools.records import Mandate, Recommendation, Usage
from tools.strategies.universe import Universe

RECORD, MANIFEST = "recommendation.json", "manifest.json"


class Save(Protocol):
    """Writes a run folder, whole or not at all; ``pictures``: those of the choice's risk too."""

    def __call__(self, folder: Path, recommendation: Recommendation, context: Context, *, pictures: bool) -> Path:
        """Write the run and return its folder."""


@dataclass
class Desk:
    """What the answer of one turn is made on.

    Parameters
    ----------
    folder
        Of the turn; its runs lie in ``runs/``.
    previous
        The run folder that the conversation speaks of, None before the first one.
    open_seat
        Opens the model's seat for a run, with the run's journal.
    approve
        Whether a person is asked before a choice of the seat's is final.
    """

    folder: Path
    previous: Path | None
    solver: Solver
    open_seat: Callable[[Journal], Seat]
    save: Save
    question: str
    now: dt.datetime
    approve: bool = False
    listen: Listener | None = None
    ask: Asker | None = None
    runs: dict[str, AnswerRun] = field(default_factory=dict)
    records: dict[str, Recommendation] = field(default_factory=dict)
    usages: list[Usage] = field(default_factory=list)

    def tell(self, event: Event) -> None:
        """Pass an event on to whoever listens."""
        if self.listen is not None:
            self.listen(event)

    def count(self, stem: str) -> int:
        """Return how many runs are named after a stem, as ``kept_0`` and ``kept_1`` are."""
        return sum(name.startswith(f"{stem}_") for name in self.runs)

    def before(self) -> Recommendation:
        """Return the run that the conversation speaks of, beside this turn's own; raise UsageError where none is."""
        if "before" not in self.records:
            if self.previous is None:
                raise UsageError("nothing was recommended yet: ask for a recommendation first")
            folder = self._made() / "before"
            if not (folder / MANIFEST).is_file():
                partial = folder.with_name(".before")
                shutil.rmtree(partial, ignore_errors=True)
                shutil.copytree(self.previous, partial)
                partial.replace(folder)
            self._note("before", "as it was answered", folder)
        return self.records["before"]

    def by_policy(self, record: Recommendation) -> Recommendation:
        """Return the run as the embedded policy decides it: what a counterfactual is compared with."""
        if record.usage.model == "policy" and record.approval is None:
            return record
        return self.run("policy", "as asked, decided by the embedded policy", record.mandate)

    def run(
        self,
        name: str,
        what: str,
        mandate: Mandate | None,
        *,
        apys: Mapping[str, float] | None = None,
        as_of: dt.date | None = None,
        by_seat: bool = False,
    ) -> Recommendation:
        """Solve a mandate whole and keep the run under a name; one that is kept already is read back.

        ``mandate`` None: what the run's intake reads from the line.
        ``by_seat``: by whoever sits in the seat, and approved by the person where one is to be asked.
        """
        if name in self.records:
            return self.records[name]
        folder = self._made() / name
        if not (folder / MANIFEST).is_file():
            self._solve(folder, name, mandate, apys, as_of, by_seat)
        self._note(name, what, folder)
        return self.records[name]

    def _made(self) -> Path:
        """Return the folder of the turn's runs, made for its user alone."""
        runs = self.folder / "runs"
        runs.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        return runs

    def _solve(
        self,
        folder: Path,
        name: str,
        mandate: Mandate | None,
        apys: Mapping[str, float] | None,
        as_of: dt.date | None,
        by_seat: bool,
    ) -> None:
        self.tell({"event": "run", "run": name})
        journal = Journal(self.folder / "journal" / name) if by_seat else None
        recommendation, context = self.solver.recommend(
            self.question,
            mandate,
            apys=apys,
            as_of=as_of,
            seat=self.open_seat(journal) if journal else None,
            journal=journal,
            approve=by_seat and self.approve,
            ask=self.ask,
            listen=self.listen,
            now=self.now,
        )
        self.save(folder, recommendation, context, pictures=by_seat)
        if journal is not None:
            journal.delete()
        self.tell({"event": "run_done", "run": name, "outcome": recommendation.outcome})

    def _note(self, name: str, what: str, folder: Path) -> None:
        body = (folder / RECORD).read_bytes()
        record = Recommendation.model_validate_json(body)
        self.records[name] = record
        self.runs[name] = AnswerRun(what=what, run_id=record.run_id, sha256=sha256(body).hexdigest())
        if name != "before":
            self.usages.append(record.usage)

    def decide(self, record: Recommendation) -> Decide:
        """Return a function that decides on the market of a run."""
        return self.solver.decide(self._day(record))

    def market(self, record: Recommendation) -> tuple[Market, Universe]:
        """Return the market that a run saw, and its eligible pools."""
        assert record.mandate.asset is not None
        return self.solver.look(record.mandate, self._day(record))

    @staticmethod
    def _day(record: Recommendation) -> dt.date | None:
        return dt.date.fromisoformat(record.market.snapshot_date) if record.market else None
