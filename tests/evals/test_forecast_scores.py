"""The scoring of forecasters: on a market made of known series, and the shipped scores on the recorded one."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from evals.forecasts import contest, cuts, errors_of, merged, read_panel, score, table, write_scores
from plimsoll.forecast import app
from tools.errors import SourceError
from tools.forecast.scores import Scores, load_scores

FIRST = dt.date(2024, 1, 1)
DAYS = 200
POOLS = {f"{number:08d}-0000-4000-8000-000000000000": number for number in range(4)}
OTHER = "99999999-0000-4000-8000-000000000000"


def row(day: dt.date, apy: float, tvl: float = 5e7) -> dict[str, object]:
    return {
        "timestamp": f"{day.isoformat()}T23:00:00.000Z", "apy": round(apy, 5), "tvlUsd": tvl, "apyBase": None,
        "apyReward": None,
    }  # fmt: skip


def rate(number: int, day: int) -> float:
    """Percent: a level with independent noise from day to day, where a smoother must win."""
    return 5.0 + number + float(np.random.default_rng((number, day)).standard_normal()) * 0.4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four lenders of USDC, of which one ends early, and a pool of tokens that nobody asked for."""
    (tmp_path / "pools").mkdir()
    (tmp_path / "charts").mkdir()
    names = [{"pool": pool, "project": "aave-v3", "chain": "Ethereum", "symbol": "USDC"} for pool in POOLS]
    names.append({"pool": OTHER, "project": "aave-v3", "chain": "Ethereum", "symbol": "SHIB"})
    listed = [name | {"apy": 5.0, "tvlUsd": 5e7} for name in names]
    write(tmp_path / "pools" / "2024-07-01.json.gz", listed)
    for pool, number in (POOLS | {OTHER: 9}).items():
        days = 120 if number == 3 else DAYS
        chart(tmp_path, pool, [row(FIRST + dt.timedelta(days=day), rate(number, day)) for day in range(days)])
    return tmp_path


def write(path: Path, data: list[dict[str, object]]) -> None:
    path.write_bytes(gzip.compress(json.dumps({"status": "success", "data": data}).encode(), mtime=0))


def chart(folder: Path, pool: str, rows: list[dict[str, object]]) -> None:
    write(folder / "charts" / f"{pool}.json.gz", rows)


def test_a_panel_holds_the_eligible_series_until_they_end(folder: Path) -> None:
    panel = read_panel(folder)
    assert panel.pools == tuple(sorted(POOLS))
    assert panel.origins[0].day == FIRST + dt.timedelta(days=59)
    assert [origin.histories[0].size for origin in panel.origins[:2]] == [60, 67]
    there = [3 in origin.series for origin in panel.origins]
    ended = FIRST + dt.timedelta(days=119)
    assert there == [(origin.day - ended).days <= 3 for origin in panel.origins]


def test_targets_are_the_days_after_the_origin(folder: Path) -> None:
    panel = read_panel(folder)
    origin = panel.origins[2]
    start = (origin.day - FIRST).days
    ahead = [round(rate(1, day), 5) / 100 for day in range(start + 1, start + 31)]
    assert panel.mean[30][2, 1] == pytest.approx(math.fsum(ahead) / 30, rel=1e-12)
    assert panel.value[30][2, 1] == pytest.approx(ahead[-1], rel=1e-12)
    assert panel.mean[1][2, 1] == pytest.approx(ahead[0], rel=1e-12)
    assert np.isnan(panel.mean[30][-1]).all()


def test_nothing_after_the_origin_changes_what_was_known_there(folder: Path) -> None:
    before = read_panel(folder)
    cut = 20 * 7 // 2 + 60
    spoilt = [
        row(FIRST + dt.timedelta(days=day), rate(0, day) if day < cut else 900.0, 5e7 if day < cut else 0.0)
        for day in range(DAYS)
    ]
    chart(folder, min(POOLS), spoilt)
    after = read_panel(folder)
    for one, other in zip(before.origins, after.origins, strict=True):
        if (one.day - FIRST).days < cut:
            assert one.series == other.series
            assert all((a == b).all() for a, b in zip(one.histories, other.histories, strict=True))
    early = read_panel(folder, FIRST + dt.timedelta(days=cut - 1))
    assert [origin.day for origin in early.origins] == [origin.day for origin in before.origins][: len(early.origins)]


def test_a_smoother_wins_on_noise_around_a_level_and_says_so(folder: Path) -> None:
    panel = read_panel(folder)
    entries = contest([])
    found = score(panel, entries, errors_of(panel, entries), panel.last)
    ewma = next(o for o in found.score if (o.asset, o.method, o.horizon_days) == ("USD", "ewma", 7))
    assert ewma.used
    assert ewma.ratio < 0.7
    assert ewma.why.startswith("beats last")
    assert {(o.asset, o.why) for o in found.unscored} >= {("ETH", "no series has 8 forecasts")}
    assert any("| USD | 7 | ewma | 4 |" in line and "**yes**" in line for line in table(found))


def test_scores_of_a_day_are_those_of_a_record_that_ends_there(folder: Path) -> None:
    day = FIRST + dt.timedelta(days=150)
    whole, short = read_panel(folder), read_panel(folder, day)
    entries = contest([])
    seen, known = (score(panel, entries, errors_of(panel, entries), day) for panel in (whole, short))
    assert seen.score == known.score
    assert seen.score != score(whole, entries, errors_of(whole, entries), whole.last).score


def test_scores_survive_the_file_and_other_methods_are_kept(folder: Path, tmp_path: Path) -> None:
    panel = read_panel(folder)
    entries = contest([])
    found = score(panel, entries, errors_of(panel, entries), panel.last)
    out = tmp_path / "scores"
    out.mkdir()
    write_scores(found, out)
    assert load_scores(None, out) == found
    foreign = found.score[0].model_copy(update={"method": "lstm"})
    joined = merged(found.model_copy(update={"score": [foreign], "unscored": []}), found)
    assert [one.method for one in joined.score[:3]] == ["ewma", "ar1", "lstm"]
    other = found.model_copy(update={"sha256": "0" * 64, "score": [foreign]})
    assert merged(other, found) == found


def test_the_commands_write_scores_and_page_and_show_a_pool(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "before\n<!-- generated by plimsoll forecast score -->\nold\n<!-- end of the generated part -->\nafter\n"
    )
    out = tmp_path / "scores"
    runner = CliRunner()
    for _ in range(2):
        done = runner.invoke(app, ["score", "--source", str(folder), "--out", str(out), "--page", str(page)])
        assert done.exit_code == 0, done.output
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("-->\nafter\n")
    assert "old" not in text
    assert text.count("| USD | 30 | ewma |") == 1
    assert sorted(path.stem for path in out.iterdir()) == [day.isoformat() for day in cuts(read_panel(folder))]
    shown = runner.invoke(app, ["show", min(POOLS), "--source", str(folder), "--as-of", "2024-07-01"])
    assert shown.exit_code == 0, shown.output
    assert "ewma" in shown.output
    assert runner.invoke(app, ["show", "nobody", "--source", str(folder)]).exit_code != 0


def test_a_folder_without_eligible_charts_is_refused(folder: Path) -> None:
    for pool in POOLS:
        (folder / "charts" / f"{pool}.json.gz").unlink()
    with pytest.raises(SourceError, match="no chart"):
        read_panel(folder)


def test_the_shipped_scores_can_be_made_again_from_the_record_as_it_was(market_folder: Path) -> None:
    day = dt.date(2023, 12, 31)
    panel = read_panel(market_folder, day)
    entries = contest([])
    made = score(panel, entries, errors_of(panel, entries), day)
    shipped = load_scores(day)
    assert isinstance(shipped, Scores)
    assert made.score == [one for one in shipped.score if one.method in entries]
