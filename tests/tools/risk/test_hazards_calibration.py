"""The calibrated rates of the hazards follow from the recorded data, to the digits that the file gives."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from evals.hazard_calibration import CUTS, MEAN_SEVERITY, experiences, prior_strength, sector_losses, token_rates
from tools.risk.hazard_data import load_hazards

SECTOR_OF = {"lending": "Lending", "amm": "DEX", "aggregator": "Yield", "yield_tokens": "Yield", "bridge": "Bridge"}
COUNTED_TOKENS = ("fiat_backed", "crypto_backed", "liquid_staking")


def two_digits(value: float) -> float:
    return float(f"{value:.2g}")


@pytest.mark.parametrize("cut", CUTS)
def test_the_rates_of_protocols_are_the_recorded_losses(market_folder: Path, cut: dt.date) -> None:
    losses = {loss.sector: loss for loss in sector_losses(market_folder, cut)}
    for kind, sector in SECTOR_OF.items():
        group, loss = load_hazards().protocol[kind], losses[sector]
        assert group.mean_severity == pytest.approx(MEAN_SEVERITY)
        measured = loss.listed_usd / loss.tvl_years_usd / MEAN_SEVERITY
        assert group.prior_at(cut + dt.timedelta(days=1)).rate == two_digits(measured), kind


@pytest.mark.parametrize("cut", CUTS)
def test_the_rates_of_tokens_are_the_recorded_depegs(market_folder: Path, cut: dt.date) -> None:
    assert market_folder  # the depegs are checked against its prices elsewhere
    measured = {name: rate for name, _, _, rate in token_rates(cut)}
    for name in COUNTED_TOKENS:
        prior = load_hazards().token[name].prior_at(cut + dt.timedelta(days=1))
        assert prior.rate == two_digits(measured[name]), name


@pytest.mark.parametrize("cut", CUTS)
def test_the_strength_of_the_priors_is_what_the_spread_of_families_supports(market_folder: Path, cut: dt.date) -> None:
    """The fit is loose (a single family moves it by a third), so the strength only has to lie in its reach."""
    hacks = json.loads((market_folder / "hacks.json").read_text())
    mean, fitted = prior_strength(experiences(hacks, cut))
    used = {group.strength_years for name, group in load_hazards().protocol.items() if name != "unknown"}
    assert used == {20.0}
    assert fitted / 2.0 <= 20.0 <= fitted * 2.0
    assert 0.05 < mean < 0.15
