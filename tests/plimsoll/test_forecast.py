"""``plimsoll forecast``: score, show and train as a user calls them.

What trains a network runs where torch is installed (``make forecast-test``) and is skipped elsewhere.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import plimsoll
from made_market import chart, pool_id, raw_row, wavy

from plimsoll.forecast import GENERATED, _book, _in_use
from tools.forecast import training
from tools.forecast.scores import GroupScore, Scores, Unscored

NAMES = ("USDC", "USDT", "DAI", "USDC", "USDT")
needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda *arguments: plimsoll(capsys, monkeypatch, "forecast", *arguments)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five lenders of stablecoins, 150 days each, as a folder that --source takes."""
    return write_market(tmp_path / "market", pools=5)


def write_market(folder: Path, pools: int, days: int = 150, level: float = 5.0) -> Path:
    write(folder / "pools" / "2025-02-28.json.gz", [raw_row(pool_id(n), symbol=NAMES[n]) for n in range(pools)])
    for n in range(pools):
        write(folder / "charts" / f"{pool_id(n)}.json.gz", chart(wavy(days, level + n, phase=n)))
    return folder


def write(path: Path, data: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(json.dumps({"status": "success", "data": data}).encode(), mtime=0))


def manifest_of(out: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out[out.index("{") :])
    return found


def test_score_prints_a_row_per_method_and_horizon(call: Any, folder: Path) -> None:
    ended = call("score", "--source", folder)
    assert (ended.code, ended.err) == (0, "")
    assert "5 series, 2024-10-02 to 2025-02-28" in ended.out
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in ended.out.splitlines() if "USD" in line]
    assert rows[3:] == [["USD", days, method] for days in ("1", "7", "30") for method in ("ewma", "ar1")]
    assert "| USD | 7 | **ewma**, 2025-02-28, **ar1**, 2025-02-28 |" in ended.out
    assert sum(line.endswith("| **yes** |") for line in ended.out.splitlines()) == ended.out.count(", 2025-02-28") == 2
    earlier = call("score", "--source", folder, "--until", "2025-01-31")
    assert "2024-10-02 to 2025-01-31" in earlier.out


def test_a_method_is_on_since_the_first_scores_that_it_has_won_without_a_break() -> None:
    known = [scores(until, used) for until, used in (("a", True), ("b", False), ("c", True), ("d", True))]
    assert list(_in_use(known))[2:] == ["| USD | 7 | **ewma**, c | ar1 |"]
    assert list(_in_use(known[:2]))[2:] == ["| USD | 7 | none: the rate of the day stands | ewma, ar1 |"]
    assert list(_in_use(known[:1]))[2:] == ["| USD | 7 | **ewma**, a | ar1 |"]


def scores(until: str, used: bool) -> Scores:
    figures: dict[str, Any] = {"series": 9, "forecasts": 99, "ratio": 0.9, "wins": 1.0, "against": {}, "why": "made"}
    won = [GroupScore(asset=a, method="ewma", horizon_days=7, used=used, **figures) for a in ("USD", "all")]
    lost = Unscored(asset="USD", method="ar1", horizon_days=7, why="made")
    return Scores(until=until, first="a", last=until, sha256="0" * 64, step_days=7, score=won, unscored=[lost])


def test_score_ends_with_2_before_it_computes_what_it_could_not_write(call: Any, folder: Path, tmp_path: Path) -> None:
    page, taken = tmp_path / "page.md", tmp_path / "taken"
    page.write_text("no marks\n")
    taken.write_text("")
    for wrong, words in (
        (("--page", page), "--page needs --out"),
        (("--page", page, "--out", tmp_path / "scores"), GENERATED[0]),
        (("--page", tmp_path / "none.md", "--out", tmp_path / "scores"), "none.md"),
        (("--out", taken), "is not a folder"),
        (("--until", "soon"), "soon"),
        (("--method", "crystal-ball"), "crystal-ball"),
    ):
        ended = call("score", "--source", folder, *wrong)
        assert (ended.code, ended.out) == (2, "")
        assert words in ended.err
    assert page.read_text() == "no marks\n"
    nowhere = call("score", "--source", tmp_path / "nowhere")
    assert (nowhere.code, "nowhere" in nowhere.err) == (2, True)


@pytest.mark.parametrize("library", ["torch", "statsforecast"])
def test_a_method_without_its_library_is_refused_with_the_way_to_get_it(
    call: Any, folder: Path, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    method = {"torch": "lstm", "statsforecast": "arima"}[library]
    ended = call("score", "--source", folder, "--method", method)
    assert (ended.code, ended.out) == (2, "")
    assert library in ended.err
    assert "forecast" in ended.err


def test_show_gives_each_method_its_interval_and_says_what_may_be_used(
    call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "statsforecast", None)  # ARIMA takes its time and has tests of its own
    monkeypatch.setenv("COLUMNS", "200")
    source = write_market(tmp_path / "market", pools=2, days=240)
    ended = call("show", pool_id(1), "--source", source)
    assert (ended.code, ended.err) == (0, "")
    assert f"{pool_id(1)}, 2025-02-28, 240 days" in ended.out
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in ended.out.splitlines() if "│" in line]
    shown = {(row[0], row[1]): row[2:] for row in rows}
    assert set(shown) == {(method, days) for method in ("last", "ewma", "ar1") for days in ("1", "7", "30")}
    for mean, between, errors in shown.values():
        low, high = (float(part.rstrip("%")) for part in between.split(" to "))
        assert low <= float(mean.rstrip("%")) <= high
        assert "of last" in errors
    for method in ("ewma", "ar1"):
        for days in ("1 day", "7 days", "30 days"):  # no method for dollars by this day, as the shipped scores have it
            assert f"{method}, {days}: not used: " in ended.out
    assert "last, 1 day" not in ended.out
    assert call("show", pool_id(9), "--source", source).code == 2
    assert call("show", pool_id(1), "--source", source, "--as-of", "2024-01-01").code == 4


@pytest.mark.parametrize("network", ["lstm", "dqn"])
def test_train_without_torch_names_the_target_that_installs_it_and_writes_nothing(
    call: Any, folder: Path, tmp_path: Path, network: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    ended = call("train", network, "--source", folder, "--out", tmp_path / "model")
    assert (ended.code, ended.out) == (2, "")
    assert "make forecast" in ended.err
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "model").exists()


def test_train_refuses_options_that_mean_nothing(call: Any, folder: Path, tmp_path: Path) -> None:
    for wrong in (("--epochs", "0"), ("--seed", "-1"), ("--asset", "DOGE"), ("--as-of", "soon")):
        ended = call("train", "lstm", "--source", folder, "--out", tmp_path / "model", *wrong)
        assert (ended.code, ended.out) == (2, "")
        assert wrong[0] in ended.err
    assert call("train", "oracle", "--source", folder, "--out", tmp_path / "model").code == 2
    assert call("train", "lstm", "--source", folder).code == 2
    assert not (tmp_path / "model").exists()


def test_histories_of_different_lengths_are_laid_side_by_side_at_their_last_day() -> None:
    book = _book([np.array([0.3]), np.array([0.1, 0.2, 0.4])])
    assert book.open.tolist() == [[False, True], [False, True], [True, True]]
    assert book.apy[2].tolist() == [0.3, 0.4]
    assert book.apy[:, 1].tolist() == [0.1, 0.2, 0.4]


@needs_torch
@pytest.mark.parametrize("network", ["lstm", "dqn"])
def test_train_prints_the_manifest_and_the_same_call_gives_the_same_bytes(
    call: Any, folder: Path, tmp_path: Path, network: str
) -> None:
    found = {}
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        out = tmp_path / name
        ended = call("train", network, "--source", folder, "--out", out, "--epochs", "1", "--seed", seed)
        assert (ended.code, ended.err) == (0, "")
        assert [path.name for path in out.iterdir()] == [f"{network}.npz"]
        found[name] = manifest_of(ended.out), (out / f"{network}.npz").read_bytes()
    manifest = found["one"][0]
    assert (manifest["kind"], manifest["done"], manifest["settings"]["seed"]) == (network, 1, 3)
    assert manifest["settings"]["epochs" if network == "lstm" else "rounds"] == 1
    assert manifest["device"] in ("cpu", "cuda")
    assert found["two"] == found["one"]
    assert found["other"][0]["data_sha256"] == manifest["data_sha256"]
    assert found["other"][1] != found["one"][1]


@needs_torch
def test_a_training_that_was_interrupted_goes_on_to_the_same_bytes(
    call: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    settings = ("train", "lstm", "--source", folder, "--epochs", "2")
    assert call(*settings, "--out", whole).code == 0
    with monkeypatch.context() as patch:
        patch.setattr(training, "train_epoch", interrupted_after(1, training.train_epoch))
        ended = call(*settings, "--out", broken)
    assert (ended.code, "--resume" in ended.err) == (130, True)
    assert [path.name for path in broken.iterdir()] == ["lstm.checkpoint.npz"]
    again = call(*settings, "--out", broken)
    assert (again.code, "--resume" in again.err) == (2, True)
    assert call(*settings, "--out", broken, "--resume").code == 0
    assert {path.name: path.read_bytes() for path in broken.iterdir()} == {
        "lstm.npz": (whole / "lstm.npz").read_bytes()
    }


def interrupted_after(epochs: int, original: Any) -> Any:
    left = [epochs]

    def train_epoch(*arguments: Any) -> Any:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return original(*arguments)

    return train_epoch


@needs_torch
def test_a_folder_of_another_training_is_left_as_it_is(call: Any, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    settings = ("train", "lstm", "--out", out, "--resume", "--epochs")
    assert call(*settings, "1", "--source", folder).code == 0  # nothing to go on with: it starts
    before = (out / "lstm.npz").read_bytes()
    other = call(*settings, "1", "--source", write_market(tmp_path / "other", pools=5, level=6.0))
    assert (other.code, "was trained on other data" in other.err) == (2, True)
    longer = call(*settings, "2", "--source", folder)
    assert (longer.code, "was trained with other settings" in longer.err) == (2, True)
    assert call(*settings, "1", "--source", folder).code == 0
    assert [path.name for path in out.iterdir()] == ["lstm.npz"]
    assert (out / "lstm.npz").read_bytes() == before
    (out / "lstm.npz").write_bytes(before[:-40])
    spoilt = call(*settings, "1", "--source", folder)
    assert (spoilt.code, "is damaged" in spoilt.err) == (2, True)


@needs_torch
def test_a_market_with_too_little_to_learn_from_is_refused(call: Any, tmp_path: Path) -> None:
    short, few = write_market(tmp_path / "short", pools=4, days=60), write_market(tmp_path / "few", pools=3)
    for network, source, words in (("lstm", short, "62 days"), ("dqn", few, "4 or more")):
        ended = call("train", network, "--source", source, "--out", tmp_path / "model")
        assert (ended.code, words in ended.err) == (2, True)
    none = call("train", "lstm", "--source", short, "--asset", "BTC", "--out", tmp_path / "model")
    assert (none.code, "Traceback" in none.err) == (2, False)
    assert not (tmp_path / "model").exists()
