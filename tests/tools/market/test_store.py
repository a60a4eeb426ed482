"""The point-in-time store: what was kept comes back as it was, or not at all."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.errors import CorruptMarket, MarketError, MarketUnavailable, SnapshotMissing
from tools.market.sources import FolderSource
from tools.market.store import Observation, Store, default_home, write_atomically

DAY = dt.date(2025, 2, 28)
NOON = dt.datetime(2025, 2, 28, 12, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
BODY = json.dumps({"status": "success", "data": [{"pool": "a"}] * 30}).encode()
POOL = "747c1d2a-c668-4682-b9f9-296708a3dd90"


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store()
    yield opened
    opened.close()


def damage(path: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement, values)
    connection.close()


def test_home_is_plimsoll_home_else_the_users_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLIMSOLL_HOME", "~/here")
    assert default_home() == Path("~/here").expanduser()
    monkeypatch.delenv("PLIMSOLL_HOME")
    assert default_home().name == "plimsoll"


def test_what_was_put_comes_back_and_the_newest_counts(store: Store) -> None:
    store.put("live", "pools", "pools", DAY, BODY, NOON)
    store.put("live", "pools", "pools", DAY, b"newer", NOON + HOUR)
    store.put("live", "pools", "pools", DAY, b"older", NOON - HOUR)
    assert store.get("live", "pools", "pools", DAY) == Observation(b"newer", NOON + HOUR)
    assert store.status().sources[0].observations == {"pools": 3}  # nothing is overwritten


def test_each_part_of_the_key_counts(store: Store) -> None:
    store.put("live", "chart", POOL, DAY, BODY, NOON)
    assert store.get("other", "chart", POOL, DAY) is None
    assert store.get("live", "pools", POOL, DAY) is None
    assert store.get("live", "chart", POOL[::-1], DAY) is None
    assert store.get("live", "chart", POOL, DAY + dt.timedelta(days=1)) is None


def test_an_absence_is_kept_too(store: Store) -> None:
    store.put("live", "chart", POOL, DAY, None, NOON)
    assert store.get("live", "chart", POOL, DAY) == Observation(None, NOON)


def test_equal_bodies_are_kept_once(store: Store) -> None:
    for number in range(5):
        store.put("live", "pools", "pools", DAY + dt.timedelta(days=number), BODY, NOON)
    assert store.status().documents == 1
    assert store.days("live") == [DAY + dt.timedelta(days=number) for number in range(5)]


def test_a_store_opened_again_knows_the_same(store: Store) -> None:
    store.put("live", "pools", "pools", DAY, BODY, NOON)
    store.close()
    assert Store().get("live", "pools", "pools", DAY) == Observation(BODY, NOON)


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_nobody_else_may_read_it(store: Store) -> None:
    before = os.umask(0)
    try:
        store.put("live", "pools", "pools", DAY, BODY, NOON)
    finally:
        os.umask(before)
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700
    files = sorted(store.path.parent.iterdir())
    assert [path.name for path in files] == ["store.sqlite3", "store.sqlite3-shm", "store.sqlite3-wal"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("UPDATE blobs SET body = ?", b"x"),
        ("UPDATE blobs SET body = ?", "text"),
        ("UPDATE blobs SET body = ?", __import__("zlib").compress(b"another")),
        ("UPDATE observations SET sha256 = ?", "0" * 64),
        ("UPDATE observations SET sha256 = ?", None),
        ("UPDATE observations SET fetched_at = ?", "2030-01-01T00:00:00+00:00"),
        ("UPDATE observations SET fetched_at = ?", b"\xff\xfe"),
        ("UPDATE observations SET seal = ?", ""),
        ("DELETE FROM blobs WHERE 1 = ?", 1),
    ],
)
def test_damage_within_a_row_is_removed_counted_and_not_known(store: Store, statement: str, value: object) -> None:
    store.put("live", "pools", "pools", DAY, BODY, NOON)
    store.close()
    damage(store.path, statement, value)
    assert store.get("live", "pools", "pools", DAY) is None
    assert store.quarantined == 1
    assert store.status().sources == ()
    store.put("live", "pools", "pools", DAY, BODY, NOON)
    assert store.get("live", "pools", "pools", DAY) == Observation(BODY, NOON)


def test_a_row_moved_to_another_key_is_not_believed(store: Store) -> None:
    store.put("live", "chart", POOL, DAY, BODY, NOON)
    store.put("live", "pools", "pools", DAY, BODY, NOON)
    store.close()
    damage(store.path, "UPDATE observations SET key = ? WHERE kind = 'chart'", POOL[::-1])
    damage(store.path, "UPDATE observations SET as_of = ? WHERE kind = 'pools'", "2025-03-01")
    assert store.get("live", "chart", POOL[::-1], DAY) is None
    assert store.days("live") == []


def test_behind_a_damaged_observation_the_older_one_counts(store: Store) -> None:
    store.put("live", "pools", "pools", DAY, b"older", NOON)
    store.put("live", "pools", "pools", DAY, b"newer", NOON + HOUR)
    store.close()
    damage(store.path, "UPDATE blobs SET body = ? WHERE size = 5 AND sha256 = ?", b"x", _sha256(b"newer"))
    assert store.get("live", "pools", "pools", DAY) == Observation(b"older", NOON)


def _sha256(body: bytes) -> str:
    import hashlib

    return hashlib.sha256(body).hexdigest()


def test_any_flipped_byte_of_the_file_gives_the_truth_or_nothing(store: Store, tmp_path: Path) -> None:
    """A flip may lose what was known; it may never change it, and what fails is named."""
    store.put("live", "pools", "pools", DAY, BODY, NOON)
    store.put("live", "chart", POOL, DAY, None, NOON)
    store.close()
    sound = store.path.read_bytes()
    used = [n for n in range(len(sound)) if sound[n]] + list(range(0, len(sound), 997))
    for offset in used[::7]:
        home = tmp_path / str(offset)
        (home / "market").mkdir(parents=True)
        flipped = bytearray(sound)
        flipped[offset] ^= 1 << offset % 8
        (home / "market" / "store.sqlite3").write_bytes(flipped)
        _check_damaged(Store(home))
        shutil.rmtree(home)


def _check_damaged(store: Store) -> None:
    try:
        assert store.get("live", "pools", "pools", DAY) in {None, Observation(BODY, NOON)}
        assert store.get("live", "chart", POOL, DAY) in {None, Observation(None, NOON)}
        store.put("live", "hacks", "hacks", DAY, b"[]", NOON)
        assert store.get("live", "hacks", "hacks", DAY) in {None, Observation(b"[]", NOON)}
    except MarketError as error:
        if str(store.path) not in str(error):
            raise
    finally:
        store.close()


@pytest.mark.parametrize("length", [50, 100, 5000, 9000])
def test_a_file_cut_short_is_set_aside_with_a_note(store: Store, length: int) -> None:
    for number in range(40):
        store.put("live", "chart", str(number), DAY, os.urandom(400), NOON)
    store.close()
    store.path.write_bytes(store.path.read_bytes()[:length])
    assert store.get("live", "chart", "39", DAY) is None
    store.put("live", "pools", "pools", DAY, BODY, NOON)
    assert store.get("live", "pools", "pools", DAY) == Observation(BODY, NOON)
    [note] = store.notes
    assert "damaged" in note
    assert next(store.path.parent.glob("store.damaged-1")).stat().st_size == length
    assert store.status().notes == (note,)


def test_a_file_that_is_no_database_is_set_aside_each_time(store: Store) -> None:
    for _ in range(2):
        store.close()
        store.path.parent.mkdir(parents=True, exist_ok=True)
        store.path.write_bytes(b"<html>not a database</html>" * 100)
        store.put("live", "pools", "pools", DAY, BODY, NOON)
    assert sorted(path.name for path in store.path.parent.glob("*.damaged*")) == ["store.damaged-1", "store.damaged-2"]
    assert len(store.notes) == 2


def test_an_empty_file_is_a_new_store(store: Store) -> None:
    store.path.parent.mkdir(parents=True)
    store.path.touch()
    store.put("live", "pools", "pools", DAY, BODY, NOON)
    assert store.notes == []


def test_a_store_without_its_log_still_opens(store: Store) -> None:
    store.put("live", "pools", "pools", DAY, BODY, NOON)
    copy = Store(store.path.parent.parent / "copy")
    copy.path.parent.mkdir(parents=True)
    shutil.copy(store.path, copy.path)  # without the -wal, in which everything still is
    assert copy.get("live", "pools", "pools", DAY) is None
    copy.put("live", "pools", "pools", DAY, BODY, NOON)
    assert copy.get("live", "pools", "pools", DAY) == Observation(BODY, NOON)
    copy.close()


def test_a_newer_file_is_refused_and_left_alone(store: Store) -> None:
    store.put("live", "pools", "pools", DAY, BODY, NOON)
    store.close()
    damage(store.path, "PRAGMA user_version = 2")
    before = store.path.read_bytes()
    with pytest.raises(CorruptMarket, match="version 2, this program knows version 1"):
        store.get("live", "pools", "pools", DAY)
    assert store.path.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MarketUnavailable, match="set PLIMSOLL_HOME to a folder that can be written"):
        Store(tmp_path / "file").put("live", "pools", "pools", DAY, BODY, NOON)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only_is_a_clear_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(MarketUnavailable, match="Permission denied"):
            Store(tmp_path / "home").put("live", "pools", "pools", DAY, BODY, NOON)
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk_is_a_clear_error_and_what_was_kept_stays(store: Store) -> None:
    store.put("live", "pools", "pools", DAY, BODY, NOON)
    assert store._connection is not None
    store._connection.execute("PRAGMA max_page_count = 1")  # the file may not grow: SQLite answers as on a full disk
    with pytest.raises(MarketUnavailable, match="full"):
        store.put("live", "chart", POOL, DAY, os.urandom(50_000), NOON)
    assert store.get("live", "chart", POOL, DAY) is None
    assert store.get("live", "pools", "pools", DAY) == Observation(BODY, NOON)
    assert store.notes == []


def test_a_held_lock_is_waited_for_and_then_reported(store: Store) -> None:
    store.put("live", "pools", "pools", DAY, BODY, NOON)
    holder = sqlite3.connect(store.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    hurried = Store(busy_seconds=0.05)
    with pytest.raises(MarketUnavailable, match="locked"):
        hurried.put("live", "pools", "pools", DAY, b"x", NOON)
    assert hurried.get("live", "pools", "pools", DAY) == Observation(BODY, NOON)  # readers do not wait
    holder.execute("ROLLBACK")
    hurried.put("live", "pools", "pools", DAY, b"x", NOON)
    holder.close()
    hurried.close()


WRITER = """
import datetime as dt, os, sys
from pathlib import Path
from tools.market.store import Store
store, name = Store(Path(sys.argv[1])), sys.argv[2]
moment = dt.datetime(2025, 2, 28, tzinfo=dt.UTC)
for number in range(int(sys.argv[3])):
    store.put("live", "chart", f"{name}-{number}", moment.date(), f"{name}-{number}|".encode() * 300, moment)
    print(number, flush=True)
"""


def write_elsewhere(home: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(home), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])


def check_written(home: Path, name: str, numbers: range) -> None:
    store = Store(home)
    for number in numbers:
        found = store.get("live", "chart", f"{name}-{number}", DAY)
        assert found is not None
        assert found.body == f"{name}-{number}|".encode() * 300
    assert store.quarantined == 0
    assert store.notes == []
    store.close()


def test_processes_that_start_and_write_at_once_lose_nothing(tmp_path: Path) -> None:
    writers = {name: write_elsewhere(tmp_path, name, 40) for name in "abc"}
    for writer in writers.values():
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    for name in writers:
        check_written(tmp_path, name, range(40))


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
@pytest.mark.parametrize("after", [0, 7, 23])
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, after: int) -> None:
    writer = write_elsewhere(tmp_path, "k", 100_000)
    assert writer.stdout is not None
    for line in writer.stdout:
        if int(line) == after:
            break
    writer.send_signal(signal.SIGKILL)
    rest = writer.stdout.read().split()
    writer.wait(timeout=30)
    writer.stdout.close()
    acknowledged = max([after, *map(int, rest)])
    check_written(tmp_path, "k", range(acknowledged + 1))


def test_threads_share_a_store(store: Store) -> None:
    def write(name: str) -> None:
        for number in range(25):
            store.put("live", "chart", f"{name}-{number}", DAY, name.encode(), NOON)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.status().sources[0].observations == {"chart": 100}
    assert store.status().documents == 4


def test_status_tells_what_there_is(store: Store) -> None:
    store.put("live", "pools", "pools", DAY, BODY, NOON)
    store.put("live", "chart", POOL, DAY, None, NOON)
    store.put("http://127.0.0.1:1", "pools", "pools", DAY, BODY, NOON)
    status = store.status()
    assert [(source.source, source.days, source.observations) for source in status.sources] == [
        ("http://127.0.0.1:1", (DAY,), {"pools": 1}),
        ("live", (DAY,), {"chart": 1, "pools": 1}),
    ]
    assert status.path == store.path
    assert status.bytes > 0
    assert (status.documents, status.quarantined, status.notes) == (1, 0, ())


def test_an_export_is_a_folder_that_a_source_reads(store: Store, tmp_path: Path) -> None:
    chart = json.dumps({"status": "success", "data": [{"timestamp": "2025-02-27T23:00:00Z", "apy": 1.0}]}).encode()
    store.put("live", "pools", "pools", DAY, BODY, NOON)
    store.put("live", "chart", POOL, DAY, chart, NOON)
    store.put("live", "chart", POOL[::-1], DAY, None, NOON)
    store.put("live", "hacks", "hacks", DAY, b'[{"date": 1}]', NOON)
    store.put("live", "prices", "eth_usd_daily.csv", DAY, b"date,close\n2025-02-28,2200.5\n", NOON)
    folder = tmp_path / "out"
    files = store.export("live", DAY, folder)
    assert [str(path.relative_to(folder)) for path in files] == [
        f"charts/{POOL}.json.gz",
        "hacks.json",
        "pools/2025-02-28.json.gz",
        "prices/eth_usd_daily.csv",
    ]
    source = FolderSource(folder)
    assert source.day(None) == DAY
    assert source.pools(DAY) == [{"pool": "a"}] * 30
    assert source.charts([POOL, POOL[::-1]], DAY) == {POOL: json.loads(chart)["data"], POOL[::-1]: None}
    assert source.hacks(DAY) == [{"date": 1}]
    assert source.table("prices", "eth_usd_daily.csv", DAY) == [{"date": "2025-02-28", "close": "2200.5"}]
    first = {path: path.read_bytes() for path in files}
    assert {path: path.read_bytes() for path in store.export("live", DAY, folder)} == first


def test_an_export_of_an_unknown_day_names_those_that_are_there(store: Store, tmp_path: Path) -> None:
    store.put("live", "pools", "pools", DAY, BODY, NOON)
    with pytest.raises(SnapshotMissing, match=r"2025-03-01; there are: 2025-02-28"):
        store.export("live", dt.date(2025, 3, 1), tmp_path)


def test_an_export_never_leaves_its_folder(store: Store, tmp_path: Path) -> None:
    store.put("live", "pools", "pools", DAY, BODY, NOON)
    store.put("live", "prices", "../../escaped.csv", DAY, b"x", NOON)
    folder = tmp_path / "a" / "b" / "out"
    for path in store.export("live", DAY, folder):
        assert folder in path.resolve().parents


def test_an_atomic_write_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for body in (b"old", b"new"):
        write_atomically(path, body)
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_an_atomic_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(*((os, "fsync", fail) if call == "fsync" else (Path, "replace", fail)))
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_compressed_exports_are_plain_gzip(store: Store, tmp_path: Path) -> None:
    store.put("live", "pools", "pools", DAY, BODY, NOON)
    [path] = store.export("live", DAY, tmp_path)
    assert gzip.decompress(path.read_bytes()) == BODY
    assert path.read_bytes()[4:8] == bytes(4)  # no time of writing in the header
