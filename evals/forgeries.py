"""Forgeries: an honest recommendation is changed as a careful forger would, who writes text, record and hashes in step.

Each kind takes the record as plain data and a generator of chance, changes the record in place and returns where, where
the place says more than the kind does. Raises IndexError for a record that holds nothing of the kind.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Record = dict[str, Any]
Kind = Callable[[Record, random.Random], str | None]

# What no checker can compute from the market rows: how long things took, and hashes of what is not kept.
UNCHECKED = re.compile(r"/(trace|usage|created_at|run_id|schema_version)\b|/flowchart/graph\b")


def save_forged(folder: Path, record: Record) -> None:
    """Write a forged record into a run folder as a careful forger would: text file and manifest agree with it."""
    (folder / "recommendation.json").write_text(
        json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    (folder / "rationale.md").write_text(record["rationale"]["markdown"], encoding="utf-8")
    names = sorted(path.name for path in folder.iterdir() if path.name != "manifest.json")
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    (folder / "manifest.json").write_text(json.dumps({"files": hashes}), encoding="utf-8")


def other_digit(text: str, rng: random.Random) -> str:
    """Return a text with one of its digits changed to another."""
    position = rng.choice([i for i, character in enumerate(text) if character.isdigit()])
    digit = rng.choice([d for d in "0123456789" if d != text[position]])
    return text[:position] + digit + text[position + 1 :]


def _numeric_figures(record: Record) -> list[dict[str, Any]]:
    return [f for f in record["rationale"]["figures"] if f["unit"] != "name" and any(c.isdigit() for c in f["text"])]


def _rewrite(record: Record, figure: dict[str, Any], text: str) -> None:
    """Put another text of the same length in the place of a figure, in the text and in its entry."""
    markdown = record["rationale"]["markdown"]
    record["rationale"]["markdown"] = markdown[: figure["start"]] + text + markdown[figure["end"] :]
    figure["text"] = text


def _digit(record: Record, rng: random.Random) -> None:
    figure = rng.choice(_numeric_figures(record))
    _rewrite(record, figure, other_digit(figure["text"], rng))


def _swap(record: Record, rng: random.Random) -> None:
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


def _moved(record: Record, figure: dict[str, Any], text: str) -> None:
    """Put a text of another length in the place of a figure and move everything behind it."""
    shift, end = len(text) - len(figure["text"]), figure["end"]
    markdown = record["rationale"]["markdown"]
    record["rationale"]["markdown"] = markdown[: figure["start"]] + text + markdown[end:]
    for entry in [*record["rationale"]["figures"], *record["rationale"]["claims"]]:
        if entry is not figure and entry["start"] >= end:
            entry["start"] += shift
        if entry["end"] >= end:
            entry["end"] += shift
    figure["text"] = text


def _percent_for_fraction(record: Record, rng: random.Random) -> None:
    figure = rng.choice([f for f in _numeric_figures(record) if f["unit"] == "percent"])
    value = float(figure["text"].rstrip("%").replace(",", ""))
    _moved(record, figure, f"{value / 100 if value > 1 else value * 100 + 1:.2f}%")


def _sign(record: Record, rng: random.Random) -> None:
    figure = rng.choice([f for f in _numeric_figures(record) if f["unit"] in {"percent", "usd", "eth", "btc", "bps"}])
    _moved(record, figure, figure["text"][1:] if figure["text"].startswith("-") else "-" + figure["text"])


def _rounded(record: Record, rng: random.Random) -> None:
    """Leave out the last decimal of a figure and round the wrong way."""
    figure = rng.choice([f for f in _numeric_figures(record) if re.fullmatch(r"-?\d+\.\d{2,}%?", f["text"])])
    number = figure["text"].rstrip("%")
    decimals = len(number.partition(".")[2]) - 1
    step = 10.0**-decimals
    wrong = float(number) + step if round(float(number), decimals) >= float(number) else float(number) - step
    _moved(record, figure, f"{wrong:.{decimals}f}" + figure["text"][len(number) :])


def _pools_swapped(record: Record, rng: random.Random) -> None:
    """Exchange the same figure of two pools of the choice."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for figure in _numeric_figures(record):
        if found := re.fullmatch(r"(/candidates/\d+/pools/)\d+(/\w+)", figure["pointer"]):
            groups.setdefault(found[1] + found[2], []).append(figure)
    _exchange(record, [group for group in groups.values() if len({f["text"] for f in group}) > 1], rng)


def _names_swapped(record: Record, rng: random.Random) -> None:
    """Exchange the names of two pools."""
    names = [f for f in record["rationale"]["figures"] if re.search(r"/pools/\d+/name$", f["pointer"])]
    _exchange(record, [names] if len({f["text"] for f in names}) > 1 else [], rng)


def _exchange(record: Record, groups: list[list[dict[str, Any]]], rng: random.Random) -> None:
    group = rng.choice(groups)
    one = rng.choice(group)
    other = rng.choice([figure for figure in group if figure["text"] != one["text"]])
    texts = other["text"], one["text"]
    _moved(record, one, texts[0])
    _moved(record, other, texts[1])


def of_another_run(record: Record, rng: random.Random, other: Record) -> None:
    """Show what another recommendation has in a place."""
    theirs = {figure["pointer"]: figure["text"] for figure in _numeric_figures(other)}
    figures = [f for f in _numeric_figures(record) if theirs.get(f["pointer"], f["text"]) != f["text"]]
    figure = rng.choice(figures)
    _moved(record, figure, theirs[figure["pointer"]])


def _words(record: Record, rng: random.Random) -> None:
    """Write an invented number in words into the text, outside every figure."""
    markdown = record["rationale"]["markdown"]
    word = rng.choice(["twelve percent", "a dozen", "twice", "forty", "the third", "half"])
    record["rationale"]["markdown"] = markdown + f"\nIt earns {word} of it.\n"


def _invented(record: Record, rng: random.Random) -> None:
    record["rationale"]["markdown"] += f"\nExpect {rng.randint(2, 99)}.{rng.randint(1, 9)}% instead.\n"


def _claim(record: Record, rng: random.Random) -> None:
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


def _value(record: Record, rng: random.Random) -> str:
    """Change a digit of some number of the record itself, not of the text; return where."""
    places = [place for place in _numbers(record) if not UNCHECKED.search(place[2])]
    holder, key, where = rng.choice(places)
    written = json.dumps(holder[key])
    mantissa, exponent, power = written.partition("e")
    changed = written
    # The checker computes in another order of operations: what differs by less than a millionth is the same to it.
    while abs(float(changed) - float(written)) <= 1e-6 * abs(float(written)):
        changed = other_digit(mantissa[:14], rng) + mantissa[14:] + exponent + power
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


def _shock(record: Record, rng: random.Random) -> str:
    """Make one replay milder or worse: a shock, or what it took."""
    found = [
        place
        for index, candidate in enumerate(record["candidates"])
        for place in _numbers(candidate["risk"]["stress"], f"/candidates/{index}/risk/stress")
        if re.search(r"/(loss|loss_after)$", place[2])
    ]
    return _one_of(found, rng)


def _size(record: Record, rng: random.Random) -> str:
    """Change what a deposit does to the rates: of a pool, of a candidate, or when its costs are earned."""
    pattern = re.compile(r"/at_size/(apy|base_usd|utilisation)$|/all_in/(dilution|break_even_days)$")
    return _one_of([place for place in _numbers(record) if pattern.search(place[2])], rng)


def _proof(record: Record, rng: random.Random) -> str:
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


def _plan(record: Record, rng: random.Random) -> str:
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


def _forecast(record: Record, rng: random.Random) -> str:
    """Change the forecast, its interval or its score; without one, the reason for none."""
    forecast = record["forecast"]
    if forecast is None:
        record["forecast_missing"] = None
        return "/forecast_missing"
    field = rng.choice(["apy", "apy_low", "apy_high", "ratio", "forecasts"])
    holder = forecast if field in forecast else forecast["own"]
    holder[field] = holder[field] + 1 if field == "forecasts" else 1.1 * holder[field] + 1e-4
    return f"/forecast/{field}"


def _not_chosen(record: Record, rng: random.Random) -> str:
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


KINDS: Mapping[str, Kind] = {
    "digit of a figure": _digit,
    "two figures swapped": _swap,
    "figures of two pools swapped": _pools_swapped,
    "names of two pools swapped": _names_swapped,
    "percent for fraction": _percent_for_fraction,
    "rounded the wrong way": _rounded,
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
