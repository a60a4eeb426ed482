"""Whole run folders: a good one passes, and whatever is changed in it is found, with and without a new manifest."""

from __future__ import annotations

import copy
import gzip
import json
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import build_run
import pytest

from tools.records import Recommendation
from tools.verify import Report, simulation, verify
from tools.verify.report import MAX_LISTED

# Numbers of the record that nothing in a folder can contradict: times, costs, the pools an emptied profile had.
UNCHECKED = (
    r"/usage/(tasks/[0-9]+/)?(seconds|calls|requests_refused|cached|input_tokens|output_tokens)",
    r"/trace/[0-9]+/(seconds|step)",
    r"/emptied/[0-9]+/pools_(before|after)",
    # Of one's own choosing, and shown as such: thresholds. What only a replay knows: weights before a cap.
    r"/choice/tripwires/[0-9]+/(reduce|emergency)",
    r"/limit_events/[0-9]+/before",
    # Shocks are not in the record: a fall is free where no other candidate tells it too.
    r"/candidates/[0-9]+/risk/stress/[0-9]+/(loss|loss_after)",
    # Only as good as a simulation, or the bins of its histogram.
    r"/candidates/[0-9]+/risk/all_in/(mean_return|standard_error|[ce]?var_9[59]|histogram/.*|drawdown_curve/.*)",
    # Below a cap that hides it.
    r"/protocols/[0-9]+/components/[a-z]+/score",
)


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    return build_run.build_record()


@pytest.fixture
def folder(record: dict[str, Any], tmp_path: Path) -> Path:
    return build_run.save(tmp_path / "run", record)


@pytest.fixture
def few_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the checker simulate little, where it runs very often."""
    monkeypatch.setattr(simulation, "STRUCK", 200)
    monkeypatch.setattr(simulation, "CALM", 100)


def whats(report: Report) -> str:
    return "\n".join(str(difference) for difference in report.differences)


def checked(folder: Path, record: dict[str, Any]) -> Report:
    """Save a changed record the way a forger would, text and manifest included."""
    return verify(build_run.save(folder, record))


def test_a_good_run_passes(folder: Path) -> None:
    report = verify(folder)
    assert report.ok, whats(report)
    assert report.figures >= 30
    assert report.claims == 2
    assert report.recomputed > 1_000


def test_a_run_without_a_choice_passes(record: dict[str, Any], tmp_path: Path) -> None:
    report = checked(tmp_path, build_run.without_choice(record))
    assert report.ok, whats(report)


def test_a_question_out_of_scope_passes(record: dict[str, Any], tmp_path: Path) -> None:
    changed = copy.deepcopy(record)
    changed.update(
        outcome="out_of_scope",
        market=None,
        candidates=[],
        emptied=[],
        choice=None,
        plan=None,
        alternatives=None,
        derived={},
        conflicts=[],
        limit_events=[],
        protocols=[],
    )
    changed["rationale"].update(markdown="**Outside.**\n", figures=[], claims=[])
    inputs = {
        "as_of": None,
        "synthetic": False,
        "pools": [],
        "charts": {},
        "failed_charts": [],
        "hacks": [],
        "tables": {},
    }
    report = verify(build_run.save(tmp_path, changed, inputs))
    assert report.ok, whats(report)


def test_the_hand_made_record_is_a_recommendation(record: dict[str, Any]) -> None:
    Recommendation.model_validate_json(json.dumps(record))


# --- mutations


def digits(text: str) -> Iterator[tuple[int, str]]:
    for place, character in enumerate(text):
        if "0" <= character <= "9":
            yield place, str((int(character) + 3) % 10)


@pytest.mark.usefixtures("few_paths")
def test_every_digit_of_the_files_is_guarded_by_the_manifest(folder: Path) -> None:
    for name in ("rationale.md", "recommendation.json"):
        path = folder / name
        text = path.read_text(encoding="utf-8")
        places = list(digits(text))
        for place, other in places[:: max(1, len(places) // 60)]:
            path.write_text(text[:place] + other + text[place + 1 :], encoding="utf-8")
            assert f"{name}: was changed" in whats(verify(folder))
        path.write_text(text, encoding="utf-8")
    assert verify(folder).ok


@pytest.mark.usefixtures("few_paths")
def test_every_digit_of_the_text_is_guarded_without_the_manifest(record: dict[str, Any], folder: Path) -> None:
    """The forger changes the text in both places and hashes everything again."""
    markdown = record["rationale"]["markdown"]
    missed = []
    for place, other in digits(markdown):
        changed = copy.deepcopy(record)
        forged = markdown[:place] + other + markdown[place + 1 :]
        changed["rationale"]["markdown"] = forged
        for figure in changed["rationale"]["figures"]:
            figure["text"] = forged[figure["start"] : figure["end"]]
        if checked(folder, changed).ok:
            missed.append(markdown[max(0, place - 20) : place + 5])
    assert missed == []


@pytest.mark.usefixtures("few_paths")
def test_every_digit_of_the_text_file_is_compared_with_the_record(record: dict[str, Any], folder: Path) -> None:
    """The forger changes the file only, and hashes everything again."""
    markdown = record["rationale"]["markdown"]
    for place, other in list(digits(markdown))[::7]:
        (folder / "rationale.md").write_text(markdown[:place] + other + markdown[place + 1 :], encoding="utf-8")
        build_run.rehash(folder)
        assert f"rationale.md: differs from /rationale/markdown at {place}" in whats(verify(folder))


def numbers(value: Any, pointer: str = "") -> Iterator[tuple[str, Any, Any, int | float]]:
    """Yield the pointer, the container, the key and the value of every number of a document."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        if isinstance(entry, (int, float)) and not isinstance(entry, bool):
            yield f"{pointer}/{key}", value, key, entry
        yield from numbers(entry, f"{pointer}/{key}")


def other_digit(number: int | float, significant: int) -> int | float:
    """Change one significant digit of a number, so that it keeps its type and its size."""
    text = repr(number)
    mantissa = text.split("e")[0]
    places = [place for place, character in enumerate(mantissa) if character.isdigit()]
    first = next((n for n, place in enumerate(places) if mantissa[place] != "0"), 0)
    place = places[min(first + significant, len(places) - 1)]
    changed = "1" if text[place] == "9" else str(int(text[place]) + 1)
    return type(number)(Decimal(text[:place] + changed + text[place + 1 :]))


@pytest.mark.usefixtures("few_paths")
@pytest.mark.parametrize("significant", [0, 3])
def test_every_number_of_the_record_is_guarded_without_the_manifest(
    record: dict[str, Any], folder: Path, significant: int
) -> None:
    """One digit of one number is changed and everything hashed again; only what nothing contradicts slips through."""
    changed = copy.deepcopy(record)
    missed = []
    step = 5 if significant == 0 else 11
    for pointer, container, key, value in list(numbers(changed))[::step]:
        container[key] = other_digit(value, significant)
        if container[key] == value:
            continue
        (folder / "recommendation.json").write_bytes(build_run.as_json(changed))
        build_run.rehash(folder)
        if verify(folder).ok:
            missed.append(pointer)
        container[key] = value
    assert [pointer for pointer in missed if not any(re.fullmatch(free, pointer) for free in UNCHECKED)] == []


Change = Callable[[dict[str, Any]], None]


def _set(path: str, value: Any) -> Change:
    def change(record: dict[str, Any]) -> None:
        *steps, last = path.split("/")
        for step in steps:
            record = record[int(step)] if isinstance(record, list) else record[step]
        record[int(last) if isinstance(record, list) else last] = value  # type: ignore[call-overload]

    return change


FORGERIES: dict[str, tuple[Change, str]] = {
    "an unknown field": (_set("candidates/0/apy", 0.99), "no recommendation has"),
    "a field of the wrong type": (_set("candidates/0/apy_low", "0.04"), "instead of a number"),
    "a boolean for a number": (_set("market/pools_total", True), "instead of a whole number"),
    "another snapshot": (_set("market/snapshot_sha256", "0" * 64), "the SHA-256 of the saved rows"),
    "real instead of synthetic": (_set("market/synthetic", True), "/market/synthetic"),
    "another page for a pool": (
        _set("candidates/0/pools/0/url", "https://defillama.example/x"),
        "the page of the pool",
    ),
    "another symbol": (_set("candidates/0/pools/0/symbol", "USDT"), "saved row says"),
    "another name": (_set("candidates/0/pools/0/name", "Sky USDC, Ethereum"), "does not hold"),
    "a null without a reason": (_set("candidates/0/metrics/sharpe", None), "null without a reason"),
    "a reason without a null": (_set("candidates/0/metrics_missing/sharpe", "short"), "a reason for having none"),
    "a gate's verdict": (_set("candidates/2/gates/1/passed", True), "must be at most"),
    "a candidate's verdict": (_set("candidates/2/passed", True), "what its gates give"),
    "a laxer limit than the user's": (_set("mandate/max_weight", 0.2), "the mandate's max_weight"),
    "a weight above the user's cap": (_set("mandate/max_weight", 0.2), "no pool may take more than"),
    "an excluded chain": (_set("mandate/chains_exclude", ["arbitrum"]), "which the user excluded"),
    "a chain that was not named": (_set("mandate/chains_include", ["Base"]), "not of the chains that the user named"),
    "a profile that was not named": (_set("mandate/profile", "growth"), "the profile that the user named"),
    "an unknown preset": (_set("candidates/0/score/preset", "mine"), "/score/preset"),
    "a gate without a value, tested": (_set("candidates/0/gates/1/value", None), "whether it can fail"),
    "a missing part": (_set("candidates/0/score/missing", ["alpha"]), "the parts without a value"),
    "another question": (lambda r: r.update(question="What is the weather?"), "what request.json says"),
    "another model": (_set("usage/model", "other"), "what request.json says"),
    "another time": (_set("created_at", "2026-01-02T03:04:06Z"), "what request.json says"),
    "no gate": (_set("candidates/0/gates", []), "lack the gate profile_risk"),
    "a gate left out": (lambda r: r["candidates"][2]["gates"].pop(1), "lack the gate protocol_risk"),
    "a gate of another name": (_set("candidates/0/gates/8/rule", "var_96"), "does not know: var_96"),
    "a node of nothing": (_set("flowchart/graph/nodes/0/pointers", ["/candidates/7"]), "/flowchart/graph/nodes/0"),
    "a gate twice": (
        lambda r: r["candidates"][2]["gates"].append(r["candidates"][2]["gates"][2]),
        "hold a rule more than once",
    ),
    "a user's limit without a gate": (_set("mandate/min_tvl_usd", 1e6), "lack the gate min_tvl"),
    "another outcome": (_set("outcome", "no_feasible_strategy"), "whether there is a choice"),
    "no choice": (_set("choice", None), "the candidate that passes every gate"),
    "another candidate": (_set("choice/candidate_id", "balanced_apy.inverse_volatility"), "that fails profile_risk"),
    "a worse candidate": (lambda r: r["choice"].update(candidate_id=_worse(r)), "comes first"),
    "an edge to nowhere": (_set("flowchart/graph/edges/0/target", "end"), "a node that does not exist"),
    "another diagram": (_set("flowchart/mermaid", "flowchart TD\n"), ""),
    "a file that is not there": (_set("flowchart/files/0", "flowchart.gif"), "is not in the folder"),
    "a price of the future": (_set("as_of", "2025-02-27T23:59:59Z"), "later than 2025-02-27"),
    "a derived value": (_set("derived/candidates/value", 4), "len(a) is 3"),
    "another formula": (_set("derived/candidates/formula", "len(a) + 1"), "is 4"),
    "conflicts beside a choice": (
        _set("conflicts", [{"rule": "max_weight", "limit": 0.4, "nearest": 0.5, "vetoed": 0}]),
        "although there is a choice",
    ),
    "another risk-free yardstick": (_set("alternatives/risk_free/apy", 0.01), "the market's risk-free rate"),
    "an eligible pool left out of the benchmark": (
        lambda r: r["market"]["benchmark_pools"].pop(),
        "/market/pools_eligible",
    ),
}


def _worse(record: dict[str, Any]) -> str:
    passed = [c["id"] for c in record["candidates"] if c["passed"]]
    passed.remove(record["choice"]["candidate_id"])
    return str(passed[0]) if passed else "none"


@pytest.mark.usefixtures("few_paths")
@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_named(record: dict[str, Any], tmp_path: Path, name: str) -> None:
    change, expected = FORGERIES[name]
    changed = copy.deepcopy(record)
    if name == "a worse candidate":
        _let_all_pass(changed)
    change(changed)
    folder = build_run.save(tmp_path, changed)
    if name == "another diagram":
        (folder / "flowchart.mmd").write_text("flowchart LR\n")
        build_run.rehash(folder)
    report = verify(folder)
    assert not report.ok
    assert expected in whats(report)


def _let_all_pass(record: dict[str, Any]) -> None:
    for candidate in record["candidates"]:
        candidate["passed"] = True
        for gate in candidate["gates"]:
            gate["passed"] = True


def test_a_model_may_take_a_near_equal_and_nothing_else(record: dict[str, Any], tmp_path: Path) -> None:
    from tools.verify.choice import _check_best
    from tools.verify.report import Findings

    def found(model: str, total: float, method: str = "equal") -> int:
        best = {"id": "a", "method": "equal", "score": {"total": 0.5}, "metrics": {"annual_volatility": 0.1}}
        chosen = {"id": "b", "method": method, "score": {"total": total}, "metrics": {"annual_volatility": 0.1}}
        record = {"usage": {"model": model}, "approval": None, "off": [], "plan": {"methods": ["equal", "min_loss"]}}
        findings = Findings()
        _check_best(chosen, [best, chosen], record, findings)
        return findings.total

    assert found("policy", 0.5, "min_loss") == 0  # a tie goes to the method planned last, which serves the objective
    assert found("policy", 0.5) == 1  # then to the first id
    assert found("policy", 0.5 + 1e-9) == 0
    assert found("other-model", 0.46) == 0
    assert found("policy", 0.46) == 1
    assert found("other-model", 0.44) == 1


def test_where_the_yield_kept_decides_between_near_equals_it_must_be_the_most() -> None:
    from tools.verify.choice import _check_best
    from tools.verify.report import Findings

    def found(total: float, kept: float, prefers: dict[str, str], model: str = "policy") -> int:
        def one(name: str, total: float, kept: float) -> dict[str, Any]:
            risk = {"all_in": {"net_apy": kept}}
            figures = {"score": {"total": total}, "metrics": {"annual_volatility": 0.1}, "risk": risk}
            return {"id": name, "method": "equal", **figures}

        chosen = one("b", total, kept)
        plan = {"methods": ["equal", "net_yield"], **prefers}
        record = {"usage": {"model": model}, "approval": None, "off": [], "plan": plan}
        findings = Findings()
        _check_best(chosen, [one("a", 0.5, 0.04), one("c", 0.3, 0.09), chosen], record, findings)
        return findings.total

    kept = {"prefers": "net_apy"}
    assert found(0.46, 0.05, kept) == 0
    assert found(0.46, 0.05, {}) == 1  # the score alone decides
    assert found(0.46, 0.03, kept) == 1  # the best score keeps more
    assert found(0.46, 0.03, kept, "other-model") == 0
    assert found(0.44, 0.08, kept) == 1  # too far from the best
    assert found(0.5, 0.04, kept) == 1  # of equal ones the first id
    assert found(0.51, 0.04, kept) == 0


def test_two_pools_swapped_in_the_table_are_found(record: dict[str, Any], tmp_path: Path) -> None:
    """Each figure stays true for what it points to, but stands in the other pool's row."""
    changed = copy.deepcopy(record)
    figures = changed["rationale"]["figures"]
    apys = [f for f in figures if re.search(r"/pools/[01]/apy$", f["pointer"])]
    first, second = apys
    markdown = changed["rationale"]["markdown"]
    assert len(first["text"]) == len(second["text"])
    swapped = list(markdown)
    swapped[first["start"] : first["end"]], swapped[second["start"] : second["end"]] = second["text"], first["text"]
    first["text"], second["text"] = second["text"], first["text"]
    changed["rationale"]["markdown"] = "".join(swapped)
    assert "but the value is" in whats(checked(tmp_path / "texts", changed))
    first["pointer"], second["pointer"] = second["pointer"], first["pointer"]
    assert "in the same row" in whats(checked(tmp_path / "pointers", changed))


# --- files


@pytest.mark.parametrize(
    "name", ["recommendation.json", "rationale.md", "inputs.json.gz", "flowchart.svg", "manifest.json", "request.json"]
)
def test_a_missing_file_is_a_difference(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert f"{name}: is missing" in whats(verify(folder))


def test_a_file_too_many_is_a_difference(folder: Path) -> None:
    (folder / "extra.txt").write_text("hello")
    assert "extra.txt: is in the folder, but not in the manifest" in whats(verify(folder))


def test_a_link_and_a_pipe_are_not_followed(folder: Path) -> None:
    (folder / "rationale.md").rename(folder.parent / "elsewhere.md")
    (folder / "rationale.md").symlink_to(folder.parent / "elsewhere.md")
    os.mkfifo(folder / "pipe")
    said = whats(verify(folder))
    assert "rationale.md: is not a plain file" in said
    assert "pipe: is not a plain file" in said


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x1f\x8b\x08",
        b"not gzip",
        gzip.compress(b"[]", mtime=0),
        gzip.compress(b"{}", mtime=0) + b"more",
        gzip.compress(b'{"a": NaN}', mtime=0),
    ],
)
def test_corrupt_inputs_are_a_difference(folder: Path, content: bytes) -> None:
    (folder / "inputs.json.gz").write_bytes(content)
    build_run.rehash(folder)
    assert "inputs.json.gz" in whats(verify(folder))


def test_a_bomb_is_not_unpacked(folder: Path) -> None:
    (folder / "inputs.json.gz").write_bytes(gzip.compress(b" " * (49 * 2**20), 9))
    build_run.rehash(folder)
    assert "unpacks to more than" in whats(verify(folder))


def test_an_oversized_file_is_not_read(folder: Path) -> None:
    with (folder / "flowchart.png").open("wb") as stream:
        stream.truncate(17 * 2**20)
    assert "is larger than" in whats(verify(folder))


def test_no_folder_is_a_difference(tmp_path: Path) -> None:
    assert "cannot be read as a folder" in whats(verify(tmp_path / "nowhere"))


HOSTILE = {
    "deep": b"[" * 100_000,
    "deep object": b'{"a":' * 50_000,
    "many parts": b"[" + b"[]," * 1_100_000 + b"[]]",
    "huge number": b'{"as_of": 1' + b"0" * 5_000_000 + b"}",
    "huge exponent": b'{"as_of": 1e999999999}',
    "infinity": b'{"as_of": Infinity}',
    "overflow": b'{"as_of": 1e400}',
    "duplicate key": b'{"as_of": 1, "as_of": 2}',
    "not text": b"\xff\xfe{}",
    "byte order mark": b"\xef\xbb\xbf{}",
    "a list": b"[]",
    "nothing": b"",
    "nulls": b'{"rationale": null, "candidates": null, "derived": null, "market": null}',
}


@pytest.mark.usefixtures("few_paths")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_json_is_a_difference_in_bounded_time(folder: Path, name: str) -> None:
    (folder / "recommendation.json").write_bytes(HOSTILE[name])
    build_run.rehash(folder)
    started = time.perf_counter()
    report = verify(folder)
    assert not report.ok
    assert time.perf_counter() - started < 5.0
    assert len(report.differences) <= MAX_LISTED


ODD = (None, True, -1, 0, 1e30, -1e-300, "", "x", "0", [], {}, [None], {"a": []}, "2025-02-30", "9999-12-31T23:59:59Z")


def places_in(value: Any) -> Iterator[tuple[Any, Any]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield value, key
        yield from places_in(entry)


@pytest.mark.usefixtures("few_paths")
@pytest.mark.parametrize("where", ["record", "inputs"])
def test_no_odd_value_anywhere_makes_the_checker_raise(record: dict[str, Any], tmp_path: Path, where: str) -> None:
    changed, inputs = copy.deepcopy(record), build_run.build_inputs()
    chance = random.Random(7)
    for container, key in chance.sample(list(places_in(changed if where == "record" else inputs)), 60):
        value = container[key]
        container[key] = chance.choice(ODD)
        build_run.save(tmp_path, record, inputs)
        (tmp_path / "recommendation.json").write_bytes(build_run.as_json(changed))
        assert isinstance(verify(tmp_path), Report)
        container[key] = value


def test_half_a_surrogate_pair_is_a_difference(record: dict[str, Any], folder: Path) -> None:
    text = (folder / "recommendation.json").read_text()
    (folder / "recommendation.json").write_text(text.replace("# Hold", "# Hol\\ud800d", 1))
    build_run.rehash(folder)
    report = verify(folder)
    assert "rationale.md" in whats(report)
    whats(report).encode()  # a report can always be printed


def test_a_hundred_thousand_figures_are_checked_in_bounded_time(record: dict[str, Any], tmp_path: Path) -> None:
    changed = copy.deepcopy(record)
    changed["rationale"]["markdown"] = "8 " * 100_000
    figure = {"text": "8", "pointer": "/market/pools_total", "unit": "count"}
    changed["rationale"]["figures"] = [{**figure, "start": 2 * n, "end": 2 * n + 1} for n in range(100_000)]
    changed["rationale"]["claims"] = [
        {"start": 0, "end": 1, "left": "/market/pools_total", "op": ">", "right": "/market/pools_eligible"}
        for _ in range(10_000)
    ]
    folder = build_run.save(tmp_path, changed)
    started = time.perf_counter()
    report = verify(folder)
    assert report.ok, whats(report)
    assert report.figures == 100_000
    assert time.perf_counter() - started < 15.0


def test_reports_are_capped(record: dict[str, Any], tmp_path: Path) -> None:
    changed = copy.deepcopy(record)
    changed["rationale"].update(markdown="7 " * 10_000, figures=[], claims=[])
    report = checked(tmp_path, changed)
    assert len(report.differences) == MAX_LISTED
    assert "more differences that are not listed" in report.differences[-1].what
    assert report.differences[0].where == "rationale.md"


# --- market rows


def _forged_inputs(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    inputs = build_run.build_inputs()
    change(inputs)
    return inputs


def _leave_a_hole(inputs: dict[str, Any]) -> None:
    del inputs["charts"][build_run.POOLS[2][0]][40:45]


def _last_row(inputs: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = inputs["charts"][build_run.POOLS[0][0]][-1]
    return row


ROWS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "a chart row of tomorrow": (
        lambda i: i["charts"][build_run.POOLS[0][0]].append({**_last_row(i), "timestamp": "2025-03-01T00:00:00Z"}),
        "later than 2025-02-28",
    ),
    "an exploit of tomorrow": (lambda i: i["hacks"].append({"date": 1_740_787_200}), "the list of hacks has a row"),
    "a rate of next month": (
        lambda i: i["tables"]["rates/us_3_month_bill_monthly.csv"].append({"month": "2025-03"}),
        "the table",
    ),
    "another APY in a chart": (lambda i: _last_row(i).update(apy=3.3), "/metrics/annual_return"),
    "another APY in the snapshot": (lambda i: i["pools"][0].update(apy=4.9), "the saved row's apy"),
    "a pool twice": (lambda i: i["pools"].append(dict(i["pools"][0])), "is in 2 of the saved rows"),
    "a long hole": (_leave_a_hole, "days in a row without a usable value"),
    "no chart": (lambda i: i["charts"].update({build_run.POOLS[2][0]: None}), "no eligible pool with a usable chart"),
    "charts of another kind": (lambda i: i.update(charts=[]), "has no usable 'charts'"),
    "rows of another kind": (
        lambda i: i["charts"].update({build_run.POOLS[2][0]: [7, None, {"timestamp": 5}]}),
        "no eligible pool with a usable chart",
    ),
}


@pytest.mark.usefixtures("few_paths")
@pytest.mark.parametrize("name", ROWS)
def test_forged_market_rows_are_found_even_with_their_hash(record: dict[str, Any], tmp_path: Path, name: str) -> None:
    change, expected = ROWS[name]
    inputs = _forged_inputs(change)
    changed = copy.deepcopy(record)
    canonical = json.dumps(inputs, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    changed["market"]["snapshot_sha256"] = build_run.hashlib.sha256(canonical.encode()).hexdigest()
    assert expected in whats(verify(build_run.save(tmp_path, changed, inputs)))


def test_a_large_run_is_checked_quickly(record: dict[str, Any], tmp_path: Path) -> None:
    """Twenty-seven candidates of twenty pools over a year; their figures are wrong, but the work is the same."""
    inputs = build_run.build_inputs()
    chart = build_run._chart(5.0, 0.5, 365)
    pools = []
    for n in range(20):
        pool = copy.deepcopy(record["candidates"][0]["pools"][0])
        pool.update(pool_id=f"cc{n}", weight=0.05, history_days=365)
        pools.append(pool)
        inputs["charts"][f"cc{n}"] = [dict(row) for row in chart]
        inputs["pools"].append({**inputs["pools"][0], "pool": f"cc{n}"})
    changed = copy.deepcopy(record)
    candidate = {
        **copy.deepcopy(changed["candidates"][0]),
        "pools": pools,
        "window": {"first": "2024-03-01", "last": "2025-02-28", "days": 365},
    }
    changed["candidates"] = [{**candidate, "id": f"c{n}"} for n in range(27)]
    changed["market"]["benchmark_pools"] = [f"cc{n}" for n in range(20)]
    folder = build_run.save(tmp_path, changed, inputs)
    started = time.perf_counter()
    report = verify(folder)
    assert time.perf_counter() - started < 1.5
    assert report.recomputed > 27 * (20 * 12 + 13)
