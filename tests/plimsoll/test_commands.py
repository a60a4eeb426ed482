"""The smaller commands: parse, schema, data, doctor."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from command import plimsoll

from tools.records import Mandate


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda *arguments: plimsoll(capsys, monkeypatch, *arguments)


def test_parse_prints_a_mandate_also_without_an_asset(call: Any) -> None:
    ended = call("parse", "low risk, for three months")
    assert ended.code == 0
    mandate = json.loads(ended.out)
    assert set(mandate) == set(Mandate.model_fields)
    assert (mandate["asset"], mandate["risk"], mandate["horizon_days"]) == (None, "low", 90)


def test_schema_describes_what_parse_prints(call: Any) -> None:
    schema = json.loads(call("schema", "mandate").out)
    jsonschema.validate(json.loads(call("parse", "250 ETH, no Base").out), schema)
    unknown = call("schema", "nonsense")
    assert unknown.code == 2
    assert "recommendation" in unknown.err


def test_data_list_gives_every_pool_with_its_reason(call: Any, market_folder: Path) -> None:
    where = ("--source", market_folder, "--as-of", "2025-02-28", "--asset", "USD", "--eligible")
    rows = list(csv.DictReader(io.StringIO(call("data", "list", *where, "--format", "csv").out)))
    assert len(rows) == 172
    eligible = [row for row in rows if row["eligible"] == "yes"]
    assert eligible
    assert all(row["reason"] == "" for row in eligible)
    assert all(row["reason"] for row in rows if row["eligible"] == "no")
    table = call("data", "list", *where)
    assert "eligible" in table.out
    assert "SYNTHETIC" not in table.out


def test_data_features_gives_a_row_for_every_eligible_pool(call: Any, market_folder: Path) -> None:
    where = ("--source", market_folder, "--as-of", "2025-02-28", "--asset", "USD")
    rows = list(csv.DictReader(io.StringIO(call("data", "features", *where, "--format", "csv").out)))
    assert len(rows) == 33
    assert all(float(row["apy_mean"]) > 0.0 for row in rows)
    assert all(row["persistence"] or "persistence" in row["missing"] for row in rows)
    assert any(row["apy_trend"].startswith("-") for row in rows)  # a number, not a formula made harmless
    assert "Features of the eligible pools" in call("data", "features", *where).out


def test_hostile_names_are_inert_in_tables_and_spreadsheets(call: Any) -> None:
    listed = call("data", "list", "--source", "demo", "--asset", "USD", "--eligible", "--format", "csv").out
    assert "\x1b" not in listed
    assert "<script" not in listed
    assert not any(cell.startswith(("=", "+", "@")) for row in csv.reader(io.StringIO(listed)) for cell in row)
    assert "SYNTHETIC" in call("data", "list", "--source", "demo", "--asset", "BTC").out


def test_doctor_says_what_works(call: Any) -> None:
    ended = call("doctor")
    assert ended.code == 0
    assert "BROKEN" not in ended.out
    broken = call("doctor", "--source", "nowhere")
    assert broken.code == 1
    assert "nowhere" in broken.out


def test_data_status_speaks_of_an_empty_store(call: Any) -> None:
    assert call("data", "status").out == "the store is empty\n"
