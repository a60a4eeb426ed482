"""Score every forecaster walk-forward on a folder of recorded charts, against "tomorrow equals today".

The charts are read as the workflow would have read them on each day: rows in the form of a snapshot, the screen by
tokens and size, the checks of ``tools.market.quality``. Errors are made once; scores are then taken for each day of
``cuts``, from the forecasts whose outcome was on record by then. ``docs/forecasts.md`` says what comes out.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np

from tools.errors import SourceError
from tools.forecast.baselines import BASELINES
from tools.forecast.diebold_mariano import Comparison, compare
from tools.forecast.scores import SIGNIFICANCE, Group, GroupScore, Scores, Unscored, load_scores, score_days
from tools.forecast.walk_forward import HORIZONS, STEP_DAYS, BatchForecaster, Origin, Trained, one_by_one, walk_forward
from tools.market.quality import (
    MAX_GAP_DAYS,
    MIN_HISTORY_DAYS,
    RECENT_DAYS,
    WINDOW_DAYS,
    check_history,
    parse_rows,
)
from tools.market.snapshot import History, Label, Progress, RawRow, Row
from tools.market.sources.folder import FolderSource
from tools.market.store import write_atomically
from tools.records import Asset, ForecastMethod, digest
from tools.strategies.tokens import load_tokens
from tools.strategies.universe import screen
from tools.units import FloatArray, significant

ASSETS: tuple[Asset, ...] = ("USD", "ETH", "BTC")
GROUPS: tuple[Group, ...] = (*ASSETS, "all")
METHODS = get_args(ForecastMethod)
FIRST_CUT = dt.date(2023, 12, 31)
_BASIS_POINT = 1e-4
_SEEN_DAYS = WINDOW_DAYS + 3 * RECENT_DAYS
Chart = list[RawRow]


class Entry(NamedTuple):
    """A method in the contest: how it forecasts, and that it does so from every n-th origin only."""

    method: BatchForecaster | Trained
    every: int = 1


Contest = Mapping[ForecastMethod, Entry]
Errors = Mapping[ForecastMethod, Mapping[int, FloatArray]]


@dataclass(frozen=True)
class Panel:
    """The series of the recorded market, what was known of them at each origin, and what came after.

    ``pools`` are ids, sorted; ``assets`` says of which assets each is a pool. ``mean`` and ``value`` hold, by horizon
    in days, the mean APY of the coming days and the APY of the last of them, (n_origins, n_pools), fractions; NaN where
    the record ends before or fails its checks. ``sha256`` is over all rows that were read.
    """

    pools: tuple[str, ...]
    assets: tuple[tuple[Asset, ...], ...]
    origins: tuple[Origin, ...]
    mean: Mapping[int, FloatArray]
    value: Mapping[int, FloatArray]
    first: dt.date
    last: dt.date
    sha256: str


def read_panel(
    folder: Path, until: dt.date | None = None, step_days: int = STEP_DAYS, progress: Progress | None = None
) -> Panel:
    """Read the charts of the eligible pools of all three assets up to ``until`` (None: all there is).

    Names come from the snapshots of the folder, of whatever day: what a pool is called does not change. Raises
    ``SourceError`` where the folder holds no chart of an eligible pool.
    """
    source = FolderSource(folder)
    labels, charts = labels_of(folder, source), _charts(folder, source, until or dt.date.max)
    held = {pool_id: assets for pool_id in charts if (assets := _assets_of(labels.get(pool_id)))}
    pools = tuple(sorted(held))
    if not pools:
        raise SourceError(f"{folder} holds no chart of a pool of allowed tokens")
    days = sorted({_day(row) for pool_id in pools for row in charts[pool_id]})
    views = [_View(pool_id, labels[pool_id], held[pool_id], charts[pool_id]) for pool_id in pools]
    origins = tuple(_origins(views, days[0], days[-1], step_days, progress))
    return Panel(
        pools=pools,
        assets=tuple(held[pool_id] for pool_id in pools),
        origins=origins,
        mean={h: _targets(views, origins, h, lambda ahead: float(np.mean(ahead))) for h in HORIZONS},
        value={h: _targets(views, origins, h, lambda ahead: float(ahead[-1])) for h in HORIZONS},
        first=days[0],
        last=days[-1],
        sha256=digest([[pool_id, *labels[pool_id], charts[pool_id]] for pool_id in pools]),
    )


def contest(names: Sequence[str]) -> dict[ForecastMethod, Entry]:
    """Return the baselines and the named methods; raises a ``UsageError`` where the library of one is missing."""
    entries: dict[ForecastMethod, Entry] = {name: Entry(one) for name, one in BASELINES.items()}
    if "arima" in names:
        from tools.forecast.arima import arima, require_library

        require_library()
        entries["arima"] = Entry(one_by_one(arima))
    if "lstm" in names:
        from tools.forecast.reproducible import import_torch
        from tools.forecast.training import lstm_method

        import_torch()
        entries["lstm"] = Entry(lstm_method())
    return entries


def errors_of(panel: Panel, contest: Contest, progress: Progress | None = None) -> Errors:
    """Return the errors of each method by horizon, forecast less outcome (n_origins, n_pools); NaN where there is none.

    The target is the mean APY of the coming days.
    """
    found: dict[ForecastMethod, Mapping[int, FloatArray]] = {}
    for number, (name, entry) in enumerate(contest.items(), start=1):
        forecasts = walk_forward(panel.origins, len(panel.pools), entry.method, every=entry.every)
        found[name] = {h: forecasts[h].mean - panel.mean[h] for h in HORIZONS}
        if progress is not None:
            progress(number, len(contest))
    return found


def score(panel: Panel, contest: Contest, errors: Errors, until: dt.date) -> Scores:
    """Score the methods by what was on record at the end of ``until``; ``errors`` as ``errors_of`` returns them."""
    scored: list[GroupScore] = []
    unscored: list[Unscored] = []
    for group in GROUPS:
        pools = np.array([group == "all" or group in assets for assets in panel.assets])
        for horizon in HORIZONS:
            on_record = np.array([origin.day + dt.timedelta(days=horizon) <= until for origin in panel.origins])
            seen = {name: own[horizon][on_record][:, pools] for name, own in errors.items()}
            for name in errors:
                if name == "last":
                    continue
                one = _judged(group, name, horizon, contest[name].every, seen)
                (scored if isinstance(one, GroupScore) else unscored).append(one)  # type: ignore[arg-type]
    return Scores(
        until=until.isoformat(),
        first=panel.first.isoformat(),
        last=min(until, panel.last).isoformat(),
        sha256=panel.sha256,
        step_days=STEP_DAYS,
        score=scored,
        unscored=unscored,
    )


def cuts(panel: Panel) -> list[dt.date]:
    """Return the days of knowledge that scores are taken for: the ends of quarters, and the last day of the record."""
    ends = [dt.date(year, month, 1) - dt.timedelta(days=1) for year in range(2000, 2100) for month in (1, 4, 7, 10)]
    return [*(day for day in ends if FIRST_CUT <= day < panel.last), panel.last]


def known_scores_of(folder: Path, day: dt.date) -> Scores | None:
    """Return the scores that a folder holds of exactly this day; None where it holds none."""
    return load_scores(day, folder) if day in score_days(folder) else None


def merged(old: Scores | None, new: Scores) -> Scores:
    """Add to new scores those of methods that were not scored again, where they come from the same record."""
    if old is None or old.sha256 != new.sha256:
        return new
    again = {one.method for one in new.score} | {one.method for one in new.unscored}
    score = sorted([*new.score, *(one for one in old.score if one.method not in again)], key=_place)
    unscored = sorted([*new.unscored, *(one for one in old.unscored if one.method not in again)], key=_place)
    return new.model_copy(update={"score": score, "unscored": unscored})


def _place(row: GroupScore | Unscored) -> tuple[int, int, int]:
    return GROUPS.index(row.asset), row.horizon_days, METHODS.index(row.method)


def write_scores(scores: Scores, folder: Path) -> Path:
    """Write scores as ``DATE.toml``; equal scores give equal bytes."""
    head = ("until", "first", "last", "sha256", "step_days")
    lines = ["# Written by `plimsoll forecast score`; docs/forecasts.md says how to read it."]
    lines += [f"{key} = {_toml(getattr(scores, key))}" for key in head]
    for kind, rows in (("score", scores.score), ("unscored", scores.unscored)):
        if not rows:
            lines.append(f"{kind} = []")
    for kind, rows in (("score", scores.score), ("unscored", scores.unscored)):
        for row in rows:
            given = row.model_dump(exclude_none=True)
            lines += ["", f"[[{kind}]]", *(f"{key} = {_toml(value)}" for key, value in given.items())]
    path = folder / f"{scores.until}.toml"
    write_atomically(path, ("\n".join(lines) + "\n").encode())
    return path


def table(scores: Scores) -> list[str]:
    """Return the scores as a table in Markdown, one line per asset, horizon and method."""
    lines = [
        "| pools | days ahead | method | series | forecasts | ratio (95 %) | mean ratio | wins | p against last "
        "| ewma | ar1 | used |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in scores.score:
        interval = "" if one.ratio_low is None else f" ({_figure(one.ratio_low)} to {_figure(one.ratio_high)})"
        chances = (_figure(one.against.get(rival)) for rival in ("last", "ewma", "ar1"))
        cells = (
            one.asset, str(one.horizon_days), one.method, str(one.series), f"{one.forecasts:,}",
            _figure(one.ratio) + interval, _figure(one.ratio_mean), f"{one.wins:.0%}", *chances, _use(one),
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    lines += [
        f"| {o.asset} | {o.horizon_days} | {o.method} | 0 | 0 | {o.why} | | | | | | no |" for o in scores.unscored
    ]
    return lines


def _judged(
    group: Group, name: ForecastMethod, horizon: int, every: int, errors: Mapping[ForecastMethod, FloatArray]
) -> GroupScore | Unscored:
    found = compare(errors[name], errors["last"], horizon, STEP_DAYS * every)
    if found.ratio is None or found.wins is None:
        return Unscored(asset=group, method=name, horizon_days=horizon, why=found.reason or "")
    rivals: tuple[ForecastMethod, ...] = ("last",) if name in BASELINES else ("last", "ewma", "ar1")
    tests = {
        rival: compare(errors[name], errors[rival], horizon, STEP_DAYS * every) if rival != "last" else found
        for rival in rivals
    }
    used, why = _verdict(tests)
    return GroupScore(
        asset=group,
        method=name,
        horizon_days=horizon,
        every=every,
        series=found.series,
        forecasts=found.forecasts,
        ratio=significant(found.ratio),
        ratio_mean=_kept(found.ratio_mean),
        ratio_low=_kept(found.ratio_low),
        ratio_high=_kept(found.ratio_high),
        wins=significant(found.wins),
        against={rival: significant(one.test.p_value) for rival, one in tests.items() if one.test.p_value is not None},
        used=used,
        why=why,
    )


def _verdict(tests: Mapping[ForecastMethod, Comparison]) -> tuple[bool, str]:
    """Say whether a method wins against every rival, and what decided it."""
    for rival, one in tests.items():
        named = '"tomorrow equals today"' if rival == "last" else rival
        if one.ratio is None or one.test.p_value is None:
            return False, f"cannot be held against {named}: {one.reason or one.test.reason}"
        if one.ratio >= 1.0:
            return False, f"its errors are not smaller than those of {named} (ratio {one.ratio:.3f})"
        if one.test.p_value >= SIGNIFICANCE:
            return False, f"not proven better than {named} (ratio {one.ratio:.3f}, p = {one.test.p_value:.2g})"
    chances = ", ".join(f"{rival} p = {one.test.p_value:.2g}" for rival, one in tests.items())
    return True, f"beats {chances}"


def _use(one: GroupScore) -> str:
    """Say whether a method is used; the three assets together decide nothing."""
    if one.asset == "all":
        return "(wins)" if one.used else ""
    return "**yes**" if one.used else "no"


def _kept(value: float | None) -> float | None:
    return None if value is None else significant(value)


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


class _View:
    """A pool's chart as it looks from a day."""

    def __init__(self, pool_id: str, label: Label, assets: tuple[Asset, ...], chart: Chart) -> None:
        self.pool_id, self.label, self.assets = pool_id, label, assets
        self.rows = {_day(row): row for row in sorted(chart, key=_day)}
        self._days = list(self.rows)
        self._histories: dict[dt.date, History | str] = {}

    def known(self, day: dt.date) -> FloatArray | None:
        """Return the history (n_days,) if the pool could have been held on the day."""
        row = self._row(day)
        if row is None or all(self.pool_id in screen(row, asset) for asset in self.assets):
            return None
        found = check_history(row.rows[self.pool_id], self._until(day), day)
        return found.apy if isinstance(found, History) else None

    def after(self, day: dt.date, horizon_days: int) -> FloatArray | None:
        """Return the APYs (horizon_days,) of the days after ``day``; None where the record does not hold them."""
        last = day + dt.timedelta(days=horizon_days)
        if last not in self._histories:
            # The row's own APY decides nothing here: a high rate is a rate that was paid.
            row = Row(self.pool_id, *self.label, tvl_usd=0.0, apy=0.0, apy_base=None, apy_reward=None, meta=None)
            self._histories[last] = check_history(row, self._until(last), last)
        found = self._histories[last]
        if found == "zero_yield":
            return np.zeros(horizon_days)
        return found.apy[-horizon_days:] if isinstance(found, History) else None

    def _until(self, day: dt.date) -> Chart:
        """Return the rows up to the day that the checks look at: the window, and what its spikes are held against."""
        start = bisect_left(self._days, day - dt.timedelta(days=_SEEN_DAYS))
        return [self.rows[one] for one in self._days[start : bisect_right(self._days, day)]]

    def _row(self, day: dt.date) -> Any:
        """Return the snapshot of this pool alone on the day, with the newest row that is not too old."""
        ages = (day - dt.timedelta(days=age) for age in range(MAX_GAP_DAYS + 1))
        row = next((self.rows[one] for one in ages if one in self.rows), None)
        if row is None:
            return None
        names = {"pool": self.pool_id, **self.label._asdict()}
        return parse_rows([row | names])


def labels_of(folder: Path, source: FolderSource) -> dict[str, Label]:
    """Return what each pool is called in any snapshot of a folder; the newest snapshot has the last word."""
    labels: dict[str, Label] = {}
    for path in sorted((folder / "pools").glob("*.json.gz")):
        labels |= parse_rows(source.pools(dt.date.fromisoformat(path.name.removesuffix(".json.gz")))).labels
    return labels


def _charts(folder: Path, source: FolderSource, until: dt.date) -> dict[str, Chart]:
    ids = sorted(path.name.removesuffix(".json.gz") for path in (folder / "charts").glob("*.json.gz"))
    return {pool_id: rows for pool_id, rows in source.charts(ids, until).items() if rows}


def _assets_of(label: Label | None) -> tuple[Asset, ...]:
    if label is None:
        return ()
    table = load_tokens()
    tokens = table.tokens_of(label.project, label.symbol)
    return tuple(asset for asset in ASSETS if table.allowed(asset, tokens))


def _origins(
    views: Sequence[_View], first: dt.date, last: dt.date, step_days: int, progress: Progress | None
) -> Iterator[Origin]:
    start = first + dt.timedelta(days=MIN_HISTORY_DAYS - 1)
    for done in range(0, (last - start).days, step_days):
        day = start + dt.timedelta(days=done)
        known = {place: history for place, view in enumerate(views) if (history := view.known(day)) is not None}
        yield Origin(day, tuple(known), tuple(known.values()))
        if progress is not None:
            progress(done, (last - start).days)


def _targets(
    views: Sequence[_View], origins: Sequence[Origin], horizon_days: int, summary: Callable[[FloatArray], float]
) -> FloatArray:
    targets = np.full((len(origins), len(views)), math.nan)
    for number, origin in enumerate(origins):
        for place in origin.series:
            ahead = views[place].after(origin.day, horizon_days)
            if ahead is not None:
                targets[number, place] = summary(ahead)
    return targets


def _day(row: RawRow) -> dt.date:
    return dt.date.fromisoformat(row["timestamp"][:10])


def main() -> None:
    """Print how the baselines do on the logarithm of the APY, against the same on the APY itself."""
    parser = argparse.ArgumentParser(prog="python -m evals.forecasts", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="the folder of the recorded market")
    panel = read_panel(parser.parse_args().folder)
    for name in ("ewma", "ar1"):
        plain, logged = (
            walk_forward(panel.origins, len(panel.pools), one)
            for one in (BASELINES[name], _of_logarithm(BASELINES[name]))
        )
        for horizon in HORIZONS:
            own, rival = (forecasts[horizon].mean - panel.mean[horizon] for forecasts in (logged, plain))
            found = compare(own, rival, horizon, STEP_DAYS)
            sys.stdout.write(
                f"{name} of ln APY, {horizon} days: ratio {_figure(found.ratio)} ({_figure(found.ratio_low)} to"
                f" {_figure(found.ratio_high)}), p = {_figure(found.test.p_value)}\n"
            )


def _of_logarithm(forecaster: BatchForecaster) -> BatchForecaster:
    """Let a forecaster work on ln(APY + 1 bp); a basis point, so that an APY of 0 has a logarithm."""

    def logged(histories: FloatArray, horizon_days: int) -> FloatArray:
        ahead: FloatArray = np.exp(forecaster(np.log(histories + _BASIS_POINT), horizon_days)) - _BASIS_POINT
        return ahead

    return logged


if __name__ == "__main__":
    main()
