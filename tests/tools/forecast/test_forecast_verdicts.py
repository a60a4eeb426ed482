"""Which method may be used: the rule, the day of knowledge, and the scores that are shipped."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from tools.errors import UsageError
from tools.forecast import scores as module
from tools.forecast.baselines import BASELINES
from tools.forecast.scores import SCORES, chosen_method, known_scores, load_scores, score_days, scored_horizon

HEAD = 'until = "{day}"\nfirst = "2022-01-01"\nlast = "{day}"\nsha256 = "{hash}"\nstep_days = 7\nunscored = []\n'
ROW = (
    '[[score]]\nasset = "{asset}"\nmethod = "{method}"\nhorizon_days = {days}\nseries = 9\nforecasts = 300\n'
    'ratio = {ratio}\nwins = 0.7\nagainst = {{ last = 0.01 }}\nused = {used}\nwhy = "made up"\n'
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Early, ewma wins at 30 days; later ar1 does too, and by more."""
    rows = {
        "2024-06-30": [("ewma", 0.9, True), ("ar1", 0.7, False)],
        "2024-12-31": [("ewma", 0.9, True), ("ar1", 0.8, True)],
    }
    for day, entries in rows.items():
        text = HEAD.format(day=day, hash="a" * 64) + "".join(
            ROW.format(asset="USD", method=method, days=30, ratio=ratio, used=str(used).lower())
            for method, ratio, used in entries
        )
        (tmp_path / f"{day}.toml").write_text(text)
    original = load_scores
    monkeypatch.setattr(module, "load_scores", lambda as_of=None: original(as_of, tmp_path))
    return tmp_path


def test_a_decision_sees_no_score_younger_than_itself(folder: Path) -> None:
    assert chosen_method("USD", 30, dt.date(2024, 6, 29)) is None
    assert chosen_method("USD", 30, dt.date(2024, 6, 30)) == "ewma"
    assert chosen_method("USD", 30, dt.date(2024, 12, 30)) == "ewma"
    assert chosen_method("USD", 30, dt.date(2024, 12, 31)) == "ar1"
    assert chosen_method("USD", 30) == "ar1"


def test_what_did_not_win_is_not_chosen_however_small_its_ratio(folder: Path) -> None:
    early = known_scores("USD", 30, dt.date(2024, 7, 1))
    assert min(early, key=lambda one: one.ratio).method == "ar1"
    assert chosen_method("USD", 30, dt.date(2024, 7, 1)) == "ewma"
    assert chosen_method("ETH", 30) is None
    assert chosen_method("USD", 7) is None


def test_the_scored_horizon_is_the_longest_that_is_not_above() -> None:
    assert [scored_horizon(days) for days in (1, 6, 7, 29, 30, 90, 365)] == [1, 1, 7, 7, 30, 30, 30]


def test_a_spoilt_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "2024-06-30.toml").write_text('until = "2024-06-30"\n')
    with pytest.raises(UsageError, match=r"2024-06-30\.toml"):
        load_scores(None, tmp_path)
    assert load_scores(dt.date(2024, 1, 1), tmp_path) is None


def test_the_shipped_scores_keep_the_rule() -> None:
    days = score_days()
    assert days
    for day in days:
        scores = load_scores(day)
        assert scores is not None
        assert scores.until == day.isoformat()
        assert scores.last <= scores.until
        for one in scores.score:
            rivals = {"last"} if one.method in BASELINES else {"last", "ewma", "ar1"}
            won = one.ratio < 1.0 and all(one.against.get(rival, 1.0) < 0.05 for rival in rivals)  # type: ignore[call-overload]
            if one.method in BASELINES:
                assert one.used == won, one
            else:
                assert won or not one.used, one
    assert SCORES.is_dir()
