"""Where work is done: the seam between a runner and processes, threads or a cluster.

A runner hands a function and its items to ``map`` and takes the results in the order of the items, as they come. The
results must not depend on where they were made. Executors of ``concurrent.futures`` have this shape.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from evals.journal import program_sha256
from tools.errors import UsageError

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
CONNECT_SECONDS = 10.0


class Executor(Protocol):
    """Applies a function to items and yields the results in their order."""

    def map(self, function: Callable[[ItemT], ResultT], items: Iterable[ItemT], /) -> Iterator[ResultT]:
        """Apply ``function`` to each item; for processes and clusters both must be picklable."""


class Serial:
    """One after the other, in this process."""

    def map(self, function: Callable[[ItemT], ResultT], items: Iterable[ItemT], /) -> Iterator[ResultT]:
        """Apply the function when its result is asked for."""
        return map(function, items)


@dataclass(frozen=True)
class Processes:
    """So many processes on this machine, by joblib; each is kept for many items, and is started afresh, not forked."""

    workers: int

    def map(self, function: Callable[[ItemT], ResultT], items: Iterable[ItemT], /) -> Iterator[ResultT]:
        """Apply the function in the processes; whoever stops asking stops them once the items begun are done."""
        from joblib import Parallel, delayed

        # One item at a time: each result is to be on the disk as soon as it is there.
        options = {"backend": "loky", "batch_size": 1, "return_as": "generator", "idle_worker_timeout": 3_600}
        run = Parallel(n_jobs=self.workers, **options)
        yield from run(delayed(function)(item) for item in items)


@dataclass(frozen=True)
class Cluster:
    """The workers of a dask scheduler at ``address`` (``tcp://HOST:PORT``); needs the extra ``cluster``.

    The scheduler and its workers are started by whoever owns them, with the same program and the same market folder.
    """

    address: str

    def map(self, function: Callable[[ItemT], ResultT], items: Iterable[ItemT], /) -> Iterator[ResultT]:
        """Apply the function on the workers; whoever stops asking takes back what has not begun.

        Raises UsageError where dask is not installed, nobody answers at the address, no worker is there, or a worker
        runs another program than this one.
        """
        try:
            from distributed import Client
        except ImportError as error:
            raise UsageError(f"--cluster needs dask: pip install 'plimsoll[cluster]' ({error})") from error
        try:
            client: Any = Client(self.address, timeout=CONNECT_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            raise UsageError(f"no dask scheduler answers at {self.address}: {error}") from error
        with client:
            _check_program(client.run(program_sha256), self.address)
            # Not "pure": a result that the scheduler remembers may be of an earlier market.
            futures = client.map(function, list(items), pure=False)
            try:
                for future in futures:
                    yield future.result()
            finally:
                client.cancel(futures)


def executor_for(workers: int, cluster: str | None = None) -> Executor:
    """Return the executor that the options of the command line ask for; raises UsageError for too many workers."""
    if cluster is not None:
        return Cluster(cluster)
    if workers > (os.cpu_count() or 1) * 4:
        raise UsageError(f"--workers {workers}: this machine has {os.cpu_count()} processors")
    return Serial() if workers == 1 else Processes(workers)


def _check_program(found: dict[str, str], address: str) -> None:
    """Refuse a cluster without workers, and workers whose results would be of another program."""
    if not found:
        raise UsageError(f"the dask scheduler at {address} has no worker; start some with: dask worker {address}")
    others = sorted(worker for worker, program in found.items() if program != program_sha256())
    if others:
        raise UsageError(
            f"{len(others)} of {len(found)} workers at {address} run another version of Plimsoll, the first {others[0]}"
        )
