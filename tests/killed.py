"""Work in a child process that ends by SIGKILL at a chosen event: no handler runs and nothing is flushed."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from typing import Any

Work = Callable[[Callable[[dict[str, Any]], None]], None]
LONGEST = 120.0  # seconds that a child may take


class Killer:
    """A listener that counts the events of some kinds, and kills its process at one of them."""

    def __init__(self, kinds: frozenset[str], at: int | None) -> None:
        self.kinds, self.at, self.seen = kinds, at, 0

    def __call__(self, event: dict[str, Any]) -> None:
        if event["event"] in self.kinds:
            self.seen += 1
            if self.seen == self.at:
                os.kill(os.getpid(), signal.SIGKILL)


def run_killed(work: Work, kinds: frozenset[str], at: int) -> bool:
    """Do the work in a forked child that is killed at the event number ``at``; tell whether it came that far."""
    child = multiprocessing.get_context("fork").Process(target=work, args=(Killer(kinds, at),))
    child.start()
    child.join(LONGEST)
    assert not child.is_alive(), "the child hangs"
    assert child.exitcode in (0, -signal.SIGKILL), f"the child failed by itself: {child.exitcode}"
    return child.exitcode != 0
