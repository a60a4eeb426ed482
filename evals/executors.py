"""Where work is done: the seam between a runner and processes, threads, joblib or a cluster.

A runner hands a function and its items to ``map`` and takes the results in the order of the items, as they come. The
results must not depend on where they were made. ``concurrent.futures`` executors have this shape; for joblib it is
``lambda function, items: Parallel(n_jobs, return_as="generator")(delayed(function)(item) for item in items)``.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Executor(Protocol):
    """Applies a function to items and yields the results in their order."""

    def map(self, function: Callable[[ItemT], ResultT], items: Iterable[ItemT], /) -> Iterator[ResultT]:
        """Apply ``function`` to each item; for processes both must be picklable."""


class Serial:
    """One after the other, in this process."""

    def map(self, function: Callable[[ItemT], ResultT], items: Iterable[ItemT], /) -> Iterator[ResultT]:
        """Apply the function when its result is asked for."""
        return map(function, items)


@dataclass(frozen=True)
class Processes:
    """So many processes on this machine, each kept for many items; they are started afresh, not forked."""

    workers: int

    def map(self, function: Callable[[ItemT], ResultT], items: Iterable[ItemT], /) -> Iterator[ResultT]:
        """Apply the function in the processes; whoever stops asking stops them once the items begun are done."""
        with ProcessPoolExecutor(self.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            futures = [pool.submit(function, item) for item in items]
            try:
                for future in futures:
                    yield future.result()
            finally:
                for future in futures:
                    future.cancel()
