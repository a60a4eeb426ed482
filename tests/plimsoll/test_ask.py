"""One question, one recommendation, end to end on the recorded market."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from command import BTC_QUESTION, ETH_QUESTION, USD_QUESTION, copy_market, plimsoll, record, stable

from tools.records import METRIC_KEYS, Recommendation

CASES = [(USD_QUESTION, "2025-02-28"), (ETH_QUESTION, "2025-09-26"), (BTC_QUESTION, "2025-09-26")]
FILES = {
    "recommendation.json",
    "rationale.md",
    "flowchart.svg",
    "flowchart.png",
    "flowchart.mmd",
    "inputs.json.gz",
    "request.json",
    "manifest.json",
    *(f"{stem}.{kind}" for stem in ("losses", "drawdown", "stress", "exposure") for kind in ("svg", "png")),
}


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda *arguments: plimsoll(capsys, monkeypatch, *arguments)


@pytest.fixture
def served(market_folder: Path) -> Iterator[Any]:
    """Start the recorded market's own server for a day; returns its base URL."""
    started: list[subprocess.Popen[str]] = []

    def serve(day: str) -> str:
        command = [sys.executable, str(market_folder / "serve.py"), "--as-of", day]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        return process.stdout.readline().strip()

    yield serve
    for process in started:
        process.terminate()
        process.wait(timeout=10)
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.parametrize(("question", "day"), CASES)
def test_folder_and_url_give_the_same_verified_replayable_choice(
    question: str, day: str, call: Any, served: Any, market_folder: Path, tmp_path: Path
) -> None:
    folder, url = tmp_path / "folder", tmp_path / "url"
    assert call("ask", question, "--source", market_folder, "--as-of", day, "--out", folder).code == 0
    assert call("ask", question, "--source", served(day), "--as-of", day, "--out", url).code == 0
    assert {path.name for path in folder.iterdir()} == FILES
    assert stable(record(folder)) == stable(record(url))
    for name in FILES - {"recommendation.json", "request.json", "manifest.json"}:
        assert (folder / name).read_bytes() == (url / name).read_bytes(), name
    for run in (folder, url):
        verified = call("verify", run)
        assert verified.code == 0, verified.err
        replayed = call("replay", run)
        assert replayed.code == 0, replayed.err


def test_low_risk_dollars_go_to_established_protocols_within_every_limit(
    call: Any, market_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    call("ask", USD_QUESTION, "--source", market_folder, "--as-of", "2025-02-28", "--out", out)
    found = record(out)
    chosen = next(c for c in found["candidates"] if c["id"] == found["choice"]["candidate_id"])
    assert len(chosen["pools"]) >= 4
    assert max(pool["weight"] for pool in chosen["pools"]) <= 0.25 + 1e-9
    assert {pool["family"] for pool in chosen["pools"]} <= {"aave", "fluid", "morpho", "spark", "sky", "compound"}
    assert chosen["risk"]["largest_protocol"]["share"] <= 0.5 + 1e-9
    assert chosen["risk"]["largest_issuer"]["share"] <= 0.5 + 1e-9
    assert found["alternatives"]["risk_free"]["apy"] == pytest.approx(0.0421)
    assert chosen["metrics"]["portfolio_apy"] > 0.0421


@pytest.mark.parametrize(("question", "day"), CASES)
def test_the_record_keeps_the_contract(question: str, day: str, call: Any, market_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    call("ask", question, "--source", market_folder, "--as-of", day, "--out", out)
    found = record(out)
    jsonschema.validate(found, Recommendation.model_json_schema(mode="serialization"))
    market = found["market"]
    assert market["pools_total"] == market["pools_eligible"] + sum(market["excluded"].values())
    assert found["as_of"] == f"{day}T23:59:59Z"
    assert found["rationale"]["markdown"] == (out / "rationale.md").read_text(encoding="utf-8")
    for candidate in found["candidates"]:
        assert set(candidate["metrics"]) == set(METRIC_KEYS)
        nulls = {key for key, value in candidate["metrics"].items() if value is None}
        assert nulls == set(candidate["metrics_missing"])
        assert sum(pool["weight"] for pool in candidate["pools"]) == pytest.approx(1.0, abs=1e-9)
        assert candidate["gates"]
        assert sum(candidate["score"]["parts"].values()) == pytest.approx(candidate["score"]["total"], abs=1e-12)
        assert candidate["score"]["parts"]["volatility"] <= 0.0
    assert len({(c["profile"], c["method"]) for c in found["candidates"]}) == len(found["candidates"])
    for pool, chosen in zip(
        next(c for c in found["candidates"] if c["id"] == found["choice"]["candidate_id"])["pools"],
        found["choice"]["pools"],
        strict=True,
    ):
        assert (pool["pool_id"], pool["weight"]) == (chosen["pool_id"], chosen["weight"])


def test_pool_order_hash_seed_and_process_change_nothing(market_folder: Path, tmp_path: Path) -> None:
    day = "2025-02-28"
    shuffled = copy_market(market_folder, tmp_path / "market", day)
    path = shuffled / "pools" / f"{day}.json.gz"
    body = json.loads(gzip.decompress(path.read_bytes()))
    random.Random(7).shuffle(body["data"])
    path.write_bytes(gzip.compress(json.dumps(body).encode()))
    runs = []
    for source, seed in ((market_folder, "0"), (shuffled, "4242")):
        out = tmp_path / f"out-{seed}"
        command = [sys.executable, "-m", "plimsoll", "ask", USD_QUESTION, "--source", str(source), "--as-of", day]
        environment = os.environ | {"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1" if seed == "0" else "2"}
        done = subprocess.run(
            [*command, "--out", str(out)], env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        runs.append(out)
    assert stable(record(runs[0])) == stable(record(runs[1]))
    for name in FILES - {"recommendation.json", "request.json", "manifest.json"}:
        assert (runs[0] / name).read_bytes() == (runs[1] / name).read_bytes(), name


def test_the_future_is_not_read(call: Any, market_folder: Path, tmp_path: Path) -> None:
    day = "2024-12-01"
    planted = copy_market(market_folder, tmp_path / "market", day)
    for path in (planted / "charts").iterdir():
        body = json.loads(gzip.decompress(path.read_bytes()))
        for row in body["data"]:
            if row["timestamp"][:10] > day:
                row["apy"], row["tvlUsd"] = 987.6, 1
        path.write_bytes(gzip.compress(json.dumps(body).encode()))
    honest, spoiled = tmp_path / "honest", tmp_path / "spoiled"
    assert call("ask", USD_QUESTION, "--source", market_folder, "--as-of", day, "--out", honest).code in {0, 3}
    assert call("ask", USD_QUESTION, "--source", planted, "--as-of", day, "--out", spoiled).code in {0, 3}
    assert stable(record(honest)) == stable(record(spoiled))


def test_the_whole_market_without_histories_is_not_enough_data(call: Any, market_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = call("ask", USD_QUESTION, "--source", market_folder, "--as-of", "2025-11-03", "--out", out)
    assert ended.code == 4
    found = record(out)
    assert found["outcome"] == "not_enough_data"
    assert found["market"]["pools_total"] == 18_882
    assert str(found["market"]["pools_screened"]) in found["reason"]
    assert "lack histories" in ended.out
    assert call("verify", out).code == 0
    assert call("replay", out).code == 0


@pytest.mark.parametrize("asset", ["2 million dollars, no more than 25% in one pool,", "250 ETH", "20 BTC"])
def test_the_demo_market_answers_and_says_that_it_is_synthetic(asset: str, call: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = call("ask", f"Put {asset} to work, low risk", "--source", "demo", "--out", out)
    assert ended.code == 0, ended.err
    found = record(out)
    assert found["market"]["synthetic"]
    assert found["market"]["pools_total"] >= 2_000
    assert "Synthetic market" in ended.out
    assert "SYNTHETIC" in (out / "flowchart.svg").read_text(encoding="utf-8").upper()
    assert call("verify", out).code == 0
    assert call("replay", out).code == 0


def test_no_feasible_strategy_names_the_limits_in_the_way(call: Any, market_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    question = "2 million dollars, low risk, only Aave, at least 9% APY"
    ended = call("ask", question, "--source", market_folder, "--as-of", "2025-02-28", "--out", out)
    assert ended.code == 3
    found = record(out)
    assert found["outcome"] == "no_feasible_strategy"
    assert found["choice"] is None
    assert found["conflicts"] or found["emptied"]
    assert "What is in the way" in found["rationale"]["markdown"]
    assert call("verify", out).code == 0


def test_out_of_scope_is_an_answer_of_its_own(call: Any, market_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = call("ask", "Will ETH go up next month?", "--source", market_folder, "--as-of", "2025-02-28", "--out", out)
    assert ended.code == 3
    assert record(out)["outcome"] == "out_of_scope"
    assert call("verify", out).code == 0


@pytest.mark.parametrize("output", ["json", "md"])
def test_formats_print_only_the_answer_on_stdout(output: str, call: Any, market_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    where = ("--source", market_folder, "--as-of", "2025-02-28", "--out", out)
    ended = call("ask", USD_QUESTION, *where, "--format", output)
    if output == "json":
        assert json.loads(ended.out) == record(out)
    else:
        assert ended.out == (out / "rationale.md").read_text(encoding="utf-8")
    assert ended.err == ""
