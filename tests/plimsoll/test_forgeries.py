"""Forged recommendations: a figure is changed, the manifest is hashed again, and the checker must notice."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import BTC_QUESTION, ETH_QUESTION, USD_QUESTION, plimsoll

from tools.verify import verify

RUNS = [(USD_QUESTION, "2025-02-28"), (ETH_QUESTION, "2025-09-26"), (BTC_QUESTION, "2025-09-26")]
FORGERIES = int(os.environ.get("FORGERIES", "210"))  # 1,000 with `make forgeries`
# What no checker can compute from the market rows: how long things took, and hashes of what is not kept.
UNCHECKED = re.compile(r"/(trace|usage|created_at|run_id|schema_version)\b|/flowchart/graph\b")
_NUMBER = re.compile(r"-?\d[\d,]*\.?\d*")


def _save(folder: Path, record: dict[str, Any]) -> None:
    """Write a forged record as a careful forger would: text file and manifest agree with it."""
    (folder / "recommendation.json").write_text(
        json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    (folder / "rationale.md").write_text(record["rationale"]["markdown"], encoding="utf-8")
    names = sorted(path.name for path in folder.iterdir() if path.name != "manifest.json")
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    (folder / "manifest.json").write_text(json.dumps({"files": hashes}), encoding="utf-8")


def _other_digit(text: str, rng: random.Random) -> str:
    position = rng.choice([i for i, character in enumerate(text) if character.isdigit()])
    digit = rng.choice([d for d in "0123456789" if d != text[position]])
    return text[:position] + digit + text[position + 1 :]


def _numeric_figures(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [f for f in record["rationale"]["figures"] if f["unit"] != "name" and any(c.isdigit() for c in f["text"])]


def _rewrite(record: dict[str, Any], figure: dict[str, Any], text: str) -> None:
    """Put another text of the same length in the place of a figure, in the text and in its entry."""
    markdown = record["rationale"]["markdown"]
    record["rationale"]["markdown"] = markdown[: figure["start"]] + text + markdown[figure["end"] :]
    figure["text"] = text


def _digit(record: dict[str, Any], rng: random.Random) -> None:
    figure = rng.choice(_numeric_figures(record))
    _rewrite(record, figure, _other_digit(figure["text"], rng))


def _swap(record: dict[str, Any], rng: random.Random) -> None:
    """Exchange two different figures of the same unit and length."""
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for figure in _numeric_figures(record):
        groups.setdefault((figure["unit"], len(figure["text"])), []).append(figure)
    pairs = [g for g in groups.values() if len({f["text"] for f in g}) > 1]
    group = rng.choice(pairs)
    one = rng.choice(group)
    other = rng.choice([figure for figure in group if figure["text"] != one["text"]])
    texts = other["text"], one["text"]
    _rewrite(record, one, texts[0])
    _rewrite(record, other, texts[1])


def _moved(record: dict[str, Any], figure: dict[str, Any], text: str) -> None:
    """Put a text of another length in the place of a figure and move everything behind it."""
    shift = len(text) - len(figure["text"])
    markdown = record["rationale"]["markdown"]
    record["rationale"]["markdown"] = markdown[: figure["start"]] + text + markdown[figure["end"] :]
    for entry in [*record["rationale"]["figures"], *record["rationale"]["claims"]]:
        if entry is not figure and entry["start"] >= figure["end"]:
            entry["start"] += shift
        if entry["end"] >= figure["end"]:
            entry["end"] += shift
    figure["text"] = text


def _percent_for_fraction(record: dict[str, Any], rng: random.Random) -> None:
    figure = rng.choice([f for f in _numeric_figures(record) if f["unit"] == "percent"])
    value = float(figure["text"].rstrip("%").replace(",", ""))
    _moved(record, figure, f"{value / 100 if value > 1 else value * 100 + 1:.2f}%")


def _sign(record: dict[str, Any], rng: random.Random) -> None:
    figure = rng.choice([f for f in _numeric_figures(record) if f["unit"] in {"percent", "usd", "eth", "btc", "bps"}])
    _moved(record, figure, figure["text"][1:] if figure["text"].startswith("-") else "-" + figure["text"])


def _words(record: dict[str, Any], rng: random.Random) -> None:
    """Write an invented number in words into the text, outside every figure."""
    markdown = record["rationale"]["markdown"]
    word = rng.choice(["twelve percent", "a dozen", "twice", "forty", "the third", "half"])
    record["rationale"]["markdown"] = markdown + f"\nIt earns {word} of it.\n"


def _invented(record: dict[str, Any], rng: random.Random) -> None:
    record["rationale"]["markdown"] += f"\nExpect {rng.randint(2, 99)}.{rng.randint(1, 9)}% instead.\n"


def _claim(record: dict[str, Any], rng: random.Random) -> None:
    claim = rng.choice(record["rationale"]["claims"])
    claim["left"], claim["right"] = claim["right"], claim["left"]
    claim["op"] = {"==": "!=", "<": "<", ">": ">", "<=": "<", ">=": ">"}[claim["op"]]


def _numbers(value: Any, pointer: str = "") -> list[tuple[Any, Any, str]]:
    """List every number of the record with the container and key that hold it."""
    found = []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        where = f"{pointer}/{key}"
        if isinstance(item, dict | list):
            found += _numbers(item, where)
        elif isinstance(item, int | float) and not isinstance(item, bool):
            found.append((value, key, where))
    return found


def _value(record: dict[str, Any], rng: random.Random) -> str:
    """Change a digit of some number of the record itself, not of the text; return where."""
    places = [place for place in _numbers(record) if not UNCHECKED.search(place[2])]
    holder, key, where = rng.choice(places)
    written = json.dumps(holder[key])
    mantissa, exponent, power = written.partition("e")
    changed = written
    # The checker computes in another order of operations: what differs by less than a millionth is the same to it.
    while abs(float(changed) - float(written)) <= 1e-6 * abs(float(written)):
        changed = _other_digit(mantissa[:14], rng) + mantissa[14:] + exponent + power
    holder[key] = type(holder[key])(float(changed))
    return where


def _changed(holder: Any, key: Any, rng: random.Random) -> None:
    """Make a number larger or smaller by a tenth to a half; a whole number by one."""
    if isinstance(holder[key], int):
        holder[key] += 1
    else:
        holder[key] *= 1.0 + rng.choice([-1.0, 1.0]) * rng.uniform(0.1, 0.5)


def _one_of(places: list[tuple[Any, Any, str]], rng: random.Random) -> str:
    holder, key, where = rng.choice([place for place in places if place[0][place[1]]])
    _changed(holder, key, rng)
    return where


def _shock(record: dict[str, Any], rng: random.Random) -> str:
    """Make one replay milder or worse: a shock, or what it took."""
    found = [
        place
        for index, candidate in enumerate(record["candidates"])
        for place in _numbers(candidate["risk"]["stress"], f"/candidates/{index}/risk/stress")
        if re.search(r"/(loss|loss_after)$", place[2])
    ]
    return _one_of(found, rng)


def _size(record: dict[str, Any], rng: random.Random) -> str:
    """Change what a deposit does to the rates: of a pool, of a candidate, or when its costs are earned."""
    pattern = re.compile(r"/at_size/(apy|base_usd|utilisation)$|/all_in/(dilution|break_even_days)$")
    return _one_of([place for place in _numbers(record) if pattern.search(place[2])], rng)


def _proof(record: dict[str, Any], rng: random.Random) -> str:
    """Change what an optimisation says of itself, value, bound and all together where the gap would give it away."""
    index = rng.choice([n for n, c in enumerate(record["candidates"]) if c["optimisation"]["bound"] is not None])
    own = record["candidates"][index]["optimisation"]
    field = rng.choice(["value", "bound", "gap", "all of them", "driver"])
    if field == "driver" and own["drivers"] and own["over"] == "days":  # those of years prove nothing in the folder
        own["drivers"][0]["probability"] = min(1.0, 1.5 * own["drivers"][0]["probability"])
    elif field == "all of them":
        step = 0.1 * abs(own["value"])
        own.update({name: own[name] + step for name in ("value", "bound", "rounded") if own[name] is not None})
    else:
        own["gap" if field == "driver" else field] += 0.1 * abs(own["value"])
    return f"/candidates/{index}/optimisation {record['candidates'][index]['method']} {field}"


def _plan(record: dict[str, Any], rng: random.Random) -> str:
    """Leave out a candidate, a method or an end of a profile, or add a method for more risk."""
    plan = record["plan"]
    change = rng.choice(["method", "candidate", "emptied", "confidence", "stranger"])
    if change == "candidate":
        others = [n for n, c in enumerate(record["candidates"]) if c["id"] != record["choice"]["candidate_id"]]
        record["candidates"].pop(rng.choice(others))
    elif change == "emptied" and record["emptied"]:
        record["emptied"].pop()
    elif change == "confidence":
        plan["confidence"] = 0.8
    elif change == "stranger":
        plan["author"] = "somebody"
    else:
        plan["methods"].pop(rng.randrange(len(plan["methods"])))
    return f"/plan {change}"


def _forecast(record: dict[str, Any], rng: random.Random) -> str:
    """Change the forecast, its interval or its score; without one, the reason for none."""
    forecast = record["forecast"]
    if forecast is None:
        record["forecast_missing"] = None
        return "/forecast_missing"
    field = rng.choice(["apy", "apy_low", "apy_high", "ratio", "forecasts"])
    holder = forecast if field in forecast else forecast["own"]
    holder[field] = holder[field] + 1 if field == "forecasts" else 1.1 * holder[field] + 1e-4
    return f"/forecast/{field}"


def _not_chosen(record: dict[str, Any], rng: random.Random) -> str:
    """Make the events of a candidate that was not chosen milder: its curve, the loss at 5 % and the gate on it."""
    others = [n for n, c in enumerate(record["candidates"]) if c["id"] != record["choice"]["candidate_id"]]
    struck = [n for n in others if record["candidates"][n]["risk"]["all_in"]["drawdown_95"] > 0.0]
    index, part = rng.choice(struck or others), rng.uniform(0.4, 0.7)
    candidate = record["candidates"][index]
    all_in = candidate["risk"]["all_in"]
    for point in all_in["drawdown_curve"]:
        point["loss"] *= part
    all_in["drawdown_95"] *= part
    for gate in candidate["gates"]:
        if gate["rule"] == "max_drawdown" and candidate["risk"]["gate_view"] == "all_in":
            gate["value"] = all_in["drawdown_95"]
    return f"/candidates/{index}/risk/all_in/drawdown_curve"


KINDS: dict[str, Callable[[dict[str, Any], random.Random], Any]] = {
    "digit of a figure": _digit,
    "two figures swapped": _swap,
    "percent for fraction": _percent_for_fraction,
    "sign": _sign,
    "number in words": _words,
    "invented figure": _invented,
    "comparison reversed": _claim,
    "value in the record": _value,
    "replay of an event": _shock,
    "rate at size": _size,
    "proof of the weights": _proof,
    "plan": _plan,
    "forecast": _forecast,
    "losses of a candidate not chosen": _not_chosen,
}
# What some of these say of years that the folder does not hold is checked against itself only.
PARTLY = {"value in the record": 0.9, "proof of the weights": 0.8}  # of some fifteen each in the tests


@pytest.fixture
def runs(
    market_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> list[Path]:
    folders = []
    for number, (question, day) in enumerate(RUNS):
        out = tmp_path / f"run-{number}"
        assert (
            plimsoll(capsys, monkeypatch, "ask", question, "--source", market_folder, "--as-of", day, "--out", out).code
            == 0
        )
        folders.append(out)
    return folders


def test_every_forged_figure_is_caught(runs: list[Path], tmp_path: Path, published: list[str]) -> None:
    rng = random.Random(20260221)
    originals = [json.loads((run / "recommendation.json").read_text(encoding="utf-8")) for run in runs]
    folders = [Path(shutil.copytree(run, tmp_path / f"forged-{number}")) for number, run in enumerate(runs)]
    tried: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    missed: list[str] = []
    for number in range(FORGERIES):
        kind = list(KINDS)[number % len(KINDS)]
        which = rng.randrange(len(runs))
        forged = json.loads(json.dumps(originals[which]))
        where = KINDS[kind](forged, rng)
        _save(folders[which], forged)
        tried[kind] += 1
        if verify(folders[which]).ok:
            missed.append(f"{kind} {where or ''}")
        else:
            caught[kind] += 1
    lines = ", ".join(f"{kind} {caught[kind]}/{tried[kind]}" for kind in KINDS)
    published.append(f"forgeries caught with the manifest hashed again: {sum(caught.values())}/{FORGERIES} ({lines})")
    assert all(caught[kind] >= PARTLY.get(kind, 1.0) * tried[kind] for kind in KINDS), missed


def test_honest_recommendations_raise_no_alarm(
    market_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    published: list[str],
) -> None:
    questions = ["{} low risk", "{} medium risk, for 3 months", "{} high risk", "{}, no impermanent loss, at least 1%"]
    cases = [
        (question.format(amount), day)
        for amount, days in (
            ("$1,234,567", ("2024-08-31", "2024-12-01", "2025-02-28")),
            ("321.5 ETH", ("2025-08-31", "2025-09-26")),
            ("7.25 BTC", ("2025-09-26",)),
        )
        for day in days
        for question in questions
    ]
    figures = alarms = 0
    for number, (question, day) in enumerate(cases):
        out = tmp_path / f"run-{number}"
        where = ("--source", market_folder, "--as-of", day, "--out", out)
        assert plimsoll(capsys, monkeypatch, "ask", question, *where).code in {0, 3, 4}
        report = verify(out)
        figures += report.figures + report.recomputed
        alarms += len(report.differences)
        assert report.ok, (question, day, [str(difference) for difference in report.differences])
    published.append(f"false alarms: {alarms} in {len(cases)} honest recommendations with {figures} figures and values")


def test_any_single_digit_of_either_file_is_caught_by_the_manifest(runs: list[Path]) -> None:
    rng = random.Random(3)
    for name in ("rationale.md", "recommendation.json"):
        path = runs[0] / name
        original = path.read_text(encoding="utf-8")
        for _ in range(25):
            path.write_text(_other_digit(original, rng), encoding="utf-8")
            report = verify(runs[0])
            assert any(name in difference.where for difference in report.differences)
        path.write_text(original, encoding="utf-8")
    assert verify(runs[0]).ok
