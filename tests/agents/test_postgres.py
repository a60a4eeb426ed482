"""Conversations remembered in PostgreSQL, against a server of the test's own on a socket in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_market import NOW, QUESTION, market

psycopg = pytest.importorskip("psycopg", reason="the extra postgres is not installed: make postgres")

from agents.conversation import Room, answer, build_conversation  # noqa: E402
from agents.memory import memory, names_of  # noqa: E402
from agents.models import policy_seat  # noqa: E402
from agents.solving import Solver  # noqa: E402
from agents.state import Settings  # noqa: E402
from plimsoll import runs, threads  # noqa: E402
from tools.errors import UsageError  # noqa: E402


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Start a server that only its own user can reach; PostgreSQL refuses to run as root."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    found = shutil.which("initdb") or (str(programs[-1] / "initdb") if programs else None)
    if found is None:
        pytest.fail("no PostgreSQL server here: install the Debian package postgresql")
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="plimsoll-pg-"))
    user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
    if user:
        shutil.chown(folder, "postgres")
    control = str(Path(found).with_name("pg_ctl"))

    def run(*command: str) -> None:
        subprocess.run([*user, *command], check=True, stdout=subprocess.DEVNULL, cwd=folder, timeout=60)

    run(found, "-D", str(folder / "data"), "-U", "plimsoll", "-A", "trust")
    options = f"-k {folder} -c listen_addresses=''"
    run(control, "-D", str(folder / "data"), "-l", str(folder / "log"), "-o", options, "-w", "start")
    try:
        yield f"postgresql://plimsoll@/postgres?host={folder}"
    finally:
        run(control, "-D", str(folder / "data"), "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def test_a_thread_goes_on_from_the_database(address: str, tmp_path: Path) -> None:
    room = Room(
        thread="t",
        folder=tmp_path / "t",
        solver=Solver(lambda *_: market(), Settings(paths=2_000)),
        open_seat=lambda _: policy_seat(),
        save=runs.save,
        keep=threads.keep,
    )
    for number, line in enumerate([QUESTION, "and without Aave?"], start=1):
        with memory(tmp_path / "unused.sqlite", address) as opened:  # each line as a process of its own would say it
            state = answer(build_conversation(opened), room, line, NOW)
            assert len(state["said"]) == number
    assert not (tmp_path / "unused.sqlite").exists()
    with memory(tmp_path / "unused.sqlite", address) as opened:
        assert names_of(opened) == ["t"]
        opened.delete_thread("t")
        assert names_of(opened) == []


def test_a_database_that_cannot_be_reached_is_said_without_its_password(tmp_path: Path) -> None:
    nowhere = memory(tmp_path / "unused.sqlite", "postgresql://u:canary77@127.0.0.1:1/none")
    with pytest.raises(UsageError, match="cannot be reached") as failed, nowhere:
        pass
    assert "canary77" not in str(failed.value)
