"""Where work is done changes nothing: a dask cluster of two workers on this machine, and what is refused of one."""

from __future__ import annotations

import pytest

from evals import executors
from evals.executors import Cluster, Processes, Serial, executor_for
from tools.errors import UsageError


def test_a_cluster_yields_in_the_order_of_the_items_and_passes_a_failure_on(scheduler: str) -> None:
    assert list(Cluster(scheduler).map(abs, [-3, 1, -2, 0])) == [3, 1, 2, 0]
    with pytest.raises(TypeError):
        list(Cluster(scheduler).map(abs, [1, "two"]))


def test_a_cluster_of_another_program_is_refused(scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "program_sha256", _another_program)
    with pytest.raises(UsageError, match=r"2 of 2 workers at .* run another version"):
        list(Cluster(scheduler).map(abs, [1]))


def _another_program() -> str:
    from multiprocessing import parent_process

    return "worker" if parent_process() else "client"


def test_an_address_where_nobody_answers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "CONNECT_SECONDS", 0.2)
    for address in ("tcp://127.0.0.1:9", "nonsense://here"):
        with pytest.raises(UsageError, match="no dask scheduler answers"):
            list(Cluster(address).map(abs, [1]))


def test_the_options_name_the_executor(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(executor_for(1), Serial)
    assert executor_for(2) == Processes(2)
    assert executor_for(1, "tcp://127.0.0.1:8786") == Cluster("tcp://127.0.0.1:8786")
    with pytest.raises(UsageError, match="this machine has"):
        executor_for(100_000)
