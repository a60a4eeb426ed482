"""The order of the checks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.verify import folder as run_folder
from tools.verify.all_in import check_all_in, check_set_rates
from tools.verify.book import Book
from tools.verify.candidates import check_candidates
from tools.verify.choice import check_choice
from tools.verify.evidence import check_future, read_evidence
from tools.verify.exposure import check_exposures
from tools.verify.flowchart import check_flowchart
from tools.verify.forecast import check_forecast
from tools.verify.formula import check_derived
from tools.verify.gates import check_gates
from tools.verify.limits import check_discount, check_limits
from tools.verify.market import check_market
from tools.verify.optimisation import check_bounds, check_optimisations
from tools.verify.plan import check_plan
from tools.verify.protocols import check_protocols
from tools.verify.reasons import check_reasons
from tools.verify.report import RECORD_FILE, Findings, Report, printable
from tools.verify.requests import check_requests, check_screens
from tools.verify.returns import check_returns
from tools.verify.score import check_scores
from tools.verify.series import ordinal
from tools.verify.shape import RECOMMENDATION
from tools.verify.sharpe import check_sharpes
from tools.verify.simulation import check_simulations
from tools.verify.sizing import check_sizes
from tools.verify.stress import check_stress
from tools.verify.tail import check_tails
from tools.verify.text import check_markdown


def verify(folder: Path) -> Report:
    """Check a saved recommendation, using nothing but what lies in its folder.

    First the manifest and the strictness of the JSON, then the text, the derived values and the logic of the record,
    each whatever the others found. Nothing is raised for bad content: a file that is missing, damaged or too large is
    a difference. Files are read up to 16 MiB (48 MiB unpacked), so that time and memory are bounded.
    """
    findings = Findings()
    files = run_folder.read_files(Path(folder), findings)
    run_folder.check_manifest(files, findings)
    exact = run_folder.read_json(files, run_folder.RECORD, findings, exact=True)
    # Read a second time with ordinary floats; what was wrong with the text is already noted.
    record = run_folder.read_json(files, run_folder.RECORD, Findings())
    inputs = run_folder.read_packed_json(files, run_folder.INPUTS, findings)
    request = run_folder.read_json(files, run_folder.REQUEST, findings)
    if exact is None or record is None:
        return findings.report()
    usable = RECOMMENDATION(record, "", findings)
    check_markdown(exact, files.get(run_folder.RATIONALE), findings)
    check_derived(record, findings)
    if usable:
        _check_record(record, inputs, request, files, findings)
    else:
        findings.add(RECORD_FILE, "has not the shape of a recommendation, so its logic was not recomputed")
    return findings.report()


def _check_record(
    record: dict[str, Any],
    inputs: dict[str, Any] | None,
    request: dict[str, Any] | None,
    files: Mapping[str, bytes],
    findings: Findings,
) -> None:
    """Recompute the logic of a record whose shape is right."""
    if request is not None:
        _check_request(record, request, findings)
    evidence = None if inputs is None else read_evidence(inputs, findings)
    returns: dict[int, list[float]] = {}
    last = ordinal(record["as_of"])
    if last is None:
        findings.at("/as_of", f"is no day: {printable(record['as_of'])}", "a day", record["as_of"])
    elif evidence is not None:
        check_future(evidence, last, findings)
        if evidence.as_of is not None or record["market"] is not None:
            findings.same("/as_of", record["as_of"][:10], (evidence.as_of or "")[:10], "the day of the saved rows")
        returns = _check_book(Book(record, evidence, last), findings)
    check_stress(record, check_exposures(record, findings), findings)
    check_all_in(record, findings)
    check_tails(record, findings)
    check_protocols(record, findings)
    check_limits(record, findings)
    check_plan(record, findings)
    check_requests(record, findings)
    check_optimisations(record, findings)
    check_gates(record, findings)
    check_scores(record, findings)
    check_choice(record, findings)
    check_reasons(record, findings)
    check_flowchart(record, files, findings)
    if not findings.total:  # the costly part, which adds nothing to what is already known to be wrong
        check_simulations(record, returns, findings)


def _check_request(record: dict[str, Any], request: dict[str, Any], findings: Findings) -> None:
    """See that what the run was asked is what the record says, as far as the request tells."""
    found = {"question": record["question"], "created_at": record["created_at"], "model": record["usage"]["model"]}
    if record["candidates"]:
        first = record["candidates"][0]
        found["preset"] = first["score"]["preset"]
        found["seed"], found["hazard"] = (first["risk"]["all_in"][name] for name in ("seed", "hazard_level"))
    pointers = {
        "model": "/usage/model",
        "preset": "/candidates/0/score/preset",
        "seed": "/candidates/0/risk/all_in/seed",
        "hazard": "/candidates/0/risk/all_in/hazard_level",
    }
    for name, value in found.items():
        if name in request or name == "question":
            meaning = f"what {run_folder.REQUEST} says"
            findings.same(pointers.get(name, f"/{name}"), value, request.get(name), meaning)
    if "off" in request:
        findings.same("/off", record["off"], request["off"], f"what {run_folder.REQUEST} says")
    if isinstance(request.get("assumed"), dict):
        assumed = {entry["pool_id"]: entry["apy"] for entry in record["assumptions"]}
        findings.same("/assumptions", assumed, request["assumed"], f"what {run_folder.REQUEST} says")
    rates = request.get("hazard_rates")
    if isinstance(rates, dict):
        check_set_rates(record, rates, findings)


def _check_book(book: Book, findings: Findings) -> dict[int, list[float]]:
    """Check what can be recomputed from the saved rows; returns the daily returns of each candidate."""
    if book.record["market"] is not None:
        check_market(book, findings)
        check_candidates(book, findings)
        returns = check_returns(book, findings)
        check_sharpes(book.record, returns, findings)
        check_discount(book, findings)
        check_sizes(book, findings)
        check_screens(book, findings)
        check_bounds(book, findings)
        check_forecast(book, findings)
        return returns
    if book.record["candidates"] or book.record["choice"]:
        findings.at("/market", "is null, but there are candidates", "a market", None)
    return {}
