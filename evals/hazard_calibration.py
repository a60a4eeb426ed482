"""Reproduce the class rates of ``tools/risk/data/hazards.toml`` from a folder of recorded data.

    python -m evals.hazard_calibration MARKET_FOLDER

Prints, for the data up to the end of 2023, 2024 and 2025: what was lost of the TVL of each sector, the events per
protocol-year of the families that the fact table knows, the strength of a class prior that their spread supports, and
the depegs per token-year of each class. The folder holds ``hacks.json`` (DefiLlama's list), and
``meta/exploits_consolidated.csv`` and ``tvl/sector_tvl_daily.csv`` with the sectors.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tools.risk.hazard_data import depegs_between, load_hazards
from tools.risk.hazards import known_of
from tools.risk.protocol import exploits_by_family
from tools.risk.protocol_facts import load_facts
from tools.units import DAYS_PER_YEAR

CUTS = (dt.date(2023, 12, 31), dt.date(2024, 12, 31), dt.date(2025, 12, 31))
FIRST_YEAR = 2020
SECTORS = ("Lending", "DEX", "Yield", "Bridge", "Derivatives")
MEAN_SEVERITY = 0.6  # of U(0.2, 1), the severity of an exploit in the table
LARGE_USD = 1e6


class SectorLoss(NamedTuple):
    """What a sector lost: dollars by the list of DefiLlama (gross) and by the wider list (net), over dollar-years."""

    sector: str
    events: int
    listed_usd: float
    wider_net_usd: float
    tvl_years_usd: float


class Experience(NamedTuple):
    """A family's years up to the cut, and its exploits of at least a million dollars."""

    kind: str
    years: float
    events: int


def sector_losses(folder: Path, cut: dt.date) -> Iterator[SectorLoss]:
    """Yield the losses of each sector from ``FIRST_YEAR`` to the cut, and the sum of the mean TVL of those years."""
    rows = [row for row in _rows(folder / "meta" / "exploits_consolidated.csv") if _counts(row["date"], cut)]
    days = [row for row in _rows(folder / "tvl" / "sector_tvl_daily.csv") if _counts(row["date"], cut)]
    for sector in SECTORS:
        own = [row for row in rows if row["sector"] == sector]
        listed = [row for row in own if "defillama" in row["sources"]]
        tvl_years = math.fsum(float(day[sector] or 0.0) for day in days) / DAYS_PER_YEAR
        yield SectorLoss(sector, len(listed), _sum(listed, "loss_usd"), _sum(own, "net_usd"), tvl_years)


def experiences(hacks: Sequence[Mapping[str, Any]], cut: dt.date) -> list[Experience]:
    """Return the experience up to the cut of every family of the fact table that had been launched."""
    exploits = exploits_by_family(hacks, cut)
    found = []
    for family in sorted(load_facts()):
        known = known_of(family, cut)
        if known.launch is None or known.launch >= cut:
            continue
        large = [one for one in exploits.get(family, ()) if one.loss_usd is None or one.loss_usd >= LARGE_USD]
        found.append(Experience(known.kind or "unknown", (cut - known.launch).days / DAYS_PER_YEAR, len(large)))
    return found


def prior_strength(seen: Sequence[Experience]) -> tuple[float, float]:
    """Fit one Gamma prior to all families by maximum likelihood: (mean events per year, strength in years).

    The counts are negative binomial given shape a and rate b; the mean is a/b, the strength b.
    """
    from scipy.optimize import minimize

    def cost(logs: Sequence[float]) -> float:
        a, b = math.exp(logs[0]), math.exp(logs[1])
        return -math.fsum(
            math.lgamma(a + one.events) - math.lgamma(a) + a * math.log(b / (b + one.years))
            + one.events * math.log(one.years / (b + one.years))
            for one in seen
        )  # fmt: skip

    a, b = (math.exp(value) for value in minimize(cost, [0.0, 1.0], method="Nelder-Mead").x)
    return a / b, b


def token_rates(cut: dt.date) -> Iterator[tuple[str, int, float, float]]:
    """Yield class, depegs, token-years and (depegs + ½)/token-years up to the cut, where there are token-years."""
    table = load_hazards()
    for name, group in sorted(table.token.items()):
        starts = [max(day, table.depegs_since) for day in group.tokens.values() if day < cut]
        years = math.fsum((cut - day).days / DAYS_PER_YEAR for day in starts)
        events = sum(len(depegs_between(token, table.depegs_since, cut)) for token in group.tokens)
        if years:
            yield name, events, years, (events + 0.5) / years


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m evals.hazard_calibration", description=__doc__)
    parser.add_argument("folder", type=Path, help="the folder of the recorded market")
    folder = parser.parse_args().folder
    hacks = json.loads((folder / "hacks.json").read_text(encoding="utf-8"))
    for cut in CUTS:
        sys.stdout.write(f"up to {cut}\n")
        for line in _report(folder, hacks, cut):
            sys.stdout.write(f"  {line}\n")


def _report(folder: Path, hacks: Sequence[Mapping[str, Any]], cut: dt.date) -> Iterator[str]:
    for loss in sector_losses(folder, cut):
        listed, wider = (dollars / loss.tvl_years_usd for dollars in (loss.listed_usd, loss.wider_net_usd))
        yield (
            f"{loss.sector:12} {loss.events:3} listed, lost {listed:.2%} of the TVL a year"
            f" (wider list, net {wider:.2%}) → {listed / MEAN_SEVERITY:.4f} events of mean severity"
        )
    seen = experiences(hacks, cut)
    for kind in sorted({one.kind for one in seen}):
        own = [one for one in seen if one.kind == kind]
        yield f"{kind:18} {sum(o.events for o in own)} of $1 m in {math.fsum(o.years for o in own):.0f} protocol-years"
    mean, strength = prior_strength(seen)
    yield f"all families: {mean:.3f} a year, a prior worth {strength:.0f} protocol-years"
    for name, events, years, rate in token_rates(cut):
        yield f"{name:18} {events} depegs in {years:.1f} token-years → {rate:.3f}"


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _counts(day: str, cut: dt.date) -> bool:
    return f"{FIRST_YEAR}-01-01" <= day[:10] <= cut.isoformat()


def _sum(rows: Sequence[Mapping[str, str]], column: str) -> float:
    return math.fsum(float(row[column] or 0.0) for row in rows)


if __name__ == "__main__":
    main()
