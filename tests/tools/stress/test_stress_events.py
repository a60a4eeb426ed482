"""The table of dated events, and what a user's scenarios may contain."""

import csv
import datetime as dt

import pytest

from tools.errors import UsageError
from tools.stress import events_known, load_events, load_scenarios

GOOD = """
[[event]]
id = "my-scenario"
title = "USDC halves"
date = 2025-01-01
shocks = [{ node = "token:USDC", loss = 0.5 }]
"""
# What the recorded prices say: event, token, file, window of the lows, day of the close after
RECORDED = [
    ("terra-2022", "UST", "ust"),
    ("terra-2022", "USDT", "usdt"),
    ("ftx-2022", "USDT", "usdt"),
    ("usdc-2023", "USDC", "usdc"),
    ("usdc-2023", "DAI", "dai"),
    ("usdc-2023", "USDP", "usdp"),
]


def write(folder, text):
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def find(name):
    return next(event for event in load_events() if event.id == name)


def shock_of(event, node):
    return next(shock for shock in event.shocks if shock.node == node)


def test_the_six_events_stand_in_order():
    assert [event.id for event in load_events()] == [
        "terra-2022",
        "steth-2022",
        "ftx-2022",
        "usdc-2023",
        "ezeth-2024",
        "stream-2025",
    ]


def test_every_event_and_shock_names_a_source():
    for event in load_events():
        assert event.sources
        assert all(shock.source for shock in event.shocks)
        assert event.days_after == 0 or event.day_after >= event.last_day


@pytest.mark.parametrize(("name", "token", "file"), RECORDED)
def test_losses_are_those_of_the_recorded_prices(market_folder, name, token, file):
    with (market_folder / "prices" / f"{file}_usd_daily.csv").open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    event = find(name)
    shock = shock_of(event, f"token:{token}")
    lows = [float(row["low"]) for row in rows if event.date.isoformat() <= row["date"] <= event.last_day.isoformat()]
    after = next(float(row["close"]) for row in rows if row["date"] == event.day_after.isoformat())
    assert shock.loss == pytest.approx(1.0 - min(lows), abs=6e-5)
    assert shock.loss_after == pytest.approx(1.0 - after, abs=6e-5)


@pytest.mark.parametrize(("token", "column"), [("GUSD", "gemini-dollar"), ("FRAX", "frax")])
def test_losses_after_are_those_of_coingecko(market_folder, token, column):
    path = market_folder / "prices" / "stablecoins_coingecko_daily_2020-12-29_2023-07-30.csv"
    with path.open(encoding="utf-8") as handle:
        closes = {row["Date"]: row[column] for row in csv.DictReader(handle)}
    event = find("usdc-2023")
    shock = shock_of(event, f"token:{token}")
    assert shock.loss_after == pytest.approx(1.0 - float(closes[event.day_after.isoformat()]), abs=6e-5)
    assert shock.loss >= 1.0 - float(closes["2023-03-11"]) - 6e-5


def test_ezeth_is_reckoned_against_the_recorded_ether(market_folder):
    with (market_folder / "prices" / "eth_usd_daily.csv").open(encoding="utf-8") as handle:
        ether = next(float(row["open"]) for row in csv.DictReader(handle) if row["date"] == "2024-04-24")
    assert shock_of(find("ezeth-2024"), "token:EZETH").loss == pytest.approx(1.0 - 2755.0 / ether, abs=6e-5)


def test_a_decision_does_not_see_later_events():
    assert [event.id for event in events_known(dt.date(2022, 6, 9))] == ["terra-2022"]
    assert "stream-2025" not in [event.id for event in events_known(dt.date(2025, 9, 26))]


def test_an_event_is_not_known_before_its_worst():
    assert "usdc-2023" not in [event.id for event in events_known(dt.date(2023, 3, 12))]
    assert "usdc-2023" in [event.id for event in events_known(dt.date(2023, 3, 13))]


def test_what_came_back_is_not_known_before_it_did():
    known = next(event for event in events_known(dt.date(2023, 3, 13)) if event.id == "usdc-2023")
    assert all(shock.loss_after is None for shock in known.shocks)
    later = next(event for event in events_known(dt.date(2023, 3, 14)) if event.id == "usdc-2023")
    assert shock_of(later, "token:USDC").loss_after == 0.0008


def test_a_user_scenario_needs_no_source(tmp_path):
    (event,) = load_scenarios(write(tmp_path, GOOD))
    assert (event.id, event.shocks[0].loss, event.shocks[0].loss_after) == ("my-scenario", 0.5, None)


def test_the_projects_own_table_does(tmp_path):
    with pytest.raises(UsageError, match=r"my-scenario.*token:USDC.*source"):
        load_events(write(tmp_path, GOOD))


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("loss = 0.5", "loss = 1.5", r"mine\.toml.*my-scenario.*shocks\.1\.loss.*1\.5"),
        ("loss = 0.5", "loss = -0.1", r"shocks\.1\.loss"),
        ("loss = 0.5", "loss = nan", r"shocks\.1\.loss.*nan"),
        ("loss = 0.5", "loss = inf", r"shocks\.1\.loss"),
        ("loss = 0.5", 'loss = "half"', r"shocks\.1\.loss.*half"),
        ("loss = 0.5", "loss = true", r"shocks\.1\.loss"),
        ("loss = 0.5", "loss = 0.5, los = 1", r"shocks\.1\.los"),
        ("loss = 0.5", "loss = 0.5, loss_after = 0.6", r"loss_after 0\.6 is more"),
        ("loss = 0.5 }", 'loss = 0.5 }, { node = "token:USDC", loss = 0.1 }', r"token:USDC is struck twice"),
        ("token:USDC", "USDC", r"'USDC' is no node"),
        ("token:USDC", "coin:USDC", r"'coin:USDC' is no node"),
        ("token:USDC", "token:", r"'token:' is no node"),
        ("token:USDC", "token:usdc", r"upper case"),
        ("token:USDC", "protocol:Aave V3", r"family"),
        ("date = 2025-01-01", "date = 2025-01-01\nuntil = 2024-12-31", r"until 2024-12-31"),
        ("date = 2025-01-01", "date = 2025-13-01", r"line 5"),
        ("date = 2025-01-01", "day = 2025-01-01", r"date"),
        ("date = 2025-01-01", "date = 2025-01-01\ndays_after = -1", r"days_after"),
        ("shocks = [", "shocks = [] # [", r"shocks"),
        ("my-scenario", "My scenario", r"id"),
        ("[[event]]", "[event]", r"no scenario"),
        ("[[event]]", "[[events]]", r"unknown key 'events'"),
    ],
)
def test_bad_scenarios_are_refused_by_name(tmp_path, old, new, names):
    assert old in GOOD
    with pytest.raises(UsageError, match=names):
        load_scenarios(write(tmp_path, GOOD.replace(old, new)))


def test_two_scenarios_of_one_name_are_refused(tmp_path):
    with pytest.raises(UsageError, match="two events are called 'my-scenario'"):
        load_scenarios(write(tmp_path, GOOD + GOOD))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read the scenarios none\.toml"):
        load_scenarios(tmp_path / "none.toml")
