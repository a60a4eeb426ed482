"""One wish, one decision: however it is worded, whatever the order and the names of the rows, on any machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from bazaar import Renamed, bazaar, respelled, shuffled
from scripted_model import varied
from small_market import NOW
from stand import SETTINGS, Server, Stand, chooses, decision_of, open_server
from tallies import FULL, SEED, Ledger, some

from agents.workflow import advise
from tools.errors import MandateError
from tools.question import read
from tools.records import Mandate, Recommendation

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


class Wording(NamedTuple):
    """A question, the name of the mandate that it means, and that mandate."""

    question: str
    name: str
    mandate: Mandate


def wordings() -> list[Wording]:
    """Read the wordings; the first line of each mandate says what all of its wordings mean."""
    meant: dict[str, Mandate] = {}
    found = []
    for line in (HERE / "wordings.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if "expected" in entry:
            meant[entry["mandate"]] = Mandate.model_validate(entry["expected"])
        else:
            found.append(Wording(entry["question"], entry["mandate"], meant[entry["mandate"]]))
    return found


WORDINGS = wordings()
BY_NAME = {wording.name: wording for wording in WORDINGS}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with open_server() as opened:
        yield opened


class Bazaar:
    """The market of three assets; what a mandate comes to is solved once."""

    def __init__(self) -> None:
        self._stands: dict[str, Stand] = {}
        self._records: dict[str, Recommendation] = {}

    def stand(self, asset: Any) -> Stand:
        """Return the market as a question about an asset sees it."""
        if asset not in self._stands:
            wording = next(one for one in WORDINGS if one.mandate.asset == asset)
            self._stands[asset] = Stand(bazaar(), wording.question)
        return self._stands[asset]

    def solved(self, mandate: Mandate) -> Recommendation:
        """Return what the embedded policy makes of a mandate; equal ones are solved once."""
        key = mandate.model_dump_json()
        if key not in self._records:
            self._records[key] = self.stand(mandate.asset).run("as given", given=mandate)
        return self._records[key]

    def decided(self, question: str) -> Any:
        """Return the decision on a question, by way of its mandate; a question that is refused decides nothing."""
        try:
            return decision_of(self.solved(read(question).mandate))
        except MandateError as error:
            return str(error)


@pytest.fixture(scope="module")
def market() -> Bazaar:
    return Bazaar()


# Wordings.


def test_there_are_twenty_wordings_of_ten_mandates() -> None:
    assert len({wording.question for wording in WORDINGS}) == 200
    assert {sum(one.name == name for one in WORDINGS) for name in BY_NAME} == {20}
    assert len({one.mandate.model_dump_json() for one in BY_NAME.values()}) == len(BY_NAME) == 10


def test_every_wording_is_read_as_the_same_mandate(ledger: Ledger) -> None:
    tally = ledger.open("decision flips", "wordings read as another mandate")
    for wording in some(WORDINGS, 40):
        found = read(wording.question).mandate
        tally.add(wording.name, [] if found == wording.mandate else ["another mandate"], wording.question)
    assert tally.violations == 0, tally.examples


def test_every_wording_leads_to_the_same_decision(market: Bazaar, ledger: Ledger) -> None:
    """All 200 in both runs: equal mandates are solved once, see the next test."""
    tally = ledger.open("decision flips", "wordings, by the embedded policy")
    names = {wording.name for wording in some(list(BY_NAME.values()), 1)}
    for wording in WORDINGS:
        if wording.name in names:
            same = market.decided(wording.question) == decision_of(market.solved(wording.mandate))
            tally.add(wording.name, [] if same else ["another decision"], wording.question)
    assert tally.violations == 0, tally.examples


def test_the_words_of_a_question_do_not_enter_the_decision(market: Bazaar, ledger: Ledger) -> None:
    tally = ledger.open("decision flips", "the question in full against its mandate alone, nothing shared")
    for wording in some(WORDINGS[::5], 1):
        found, _ = advise(wording.question, bazaar(), settings=SETTINGS, now=NOW)
        same = substance(found) == substance(market.solved(wording.mandate))
        tally.add(wording.name, [] if same else ["another record"], wording.question)
    assert tally.violations == 0, tally.examples


def substance(record: Recommendation) -> Any:
    """Return all of a record but what names the question and its run."""
    kept = {"mandate", "market", "plan", "candidates", "choice", "alternatives", "forecast", "conflicts", "rationale"}
    return record.model_dump(mode="json", include=kept)


def test_a_model_that_words_things_differently_decides_the_same(server: Server, market: Bazaar, ledger: Ledger) -> None:
    tally = ledger.open("decision flips", "wordings, by a scripted model with other sentences each time")
    texts = {"why": ["choice_apy"], "caution": ["rates_move"]}
    expected: dict[str, Any] = {}
    pages = set()
    for number, wording in enumerate(some(WORDINGS, 2)):
        stand = market.stand(wording.mandate.asset)
        if wording.name not in expected:
            plain = stand.run("as given", server.seat(chooses(1, **texts)), given=wording.mandate)
            expected[wording.name] = decision_of(plain)
        found = stand.run(wording.question, server.seat(varied(chooses(1, **texts), SEED + number)))
        assert (found.rationale.author, found.usage.fallback) == ("scripted", [])
        pages.add(found.rationale.markdown)
        same = decision_of(found) == expected[wording.name]
        tally.add(wording.name, [] if same else ["another decision"], wording.question)
    tally.facts["different pages"] = len(pages)
    assert len(pages) > len(expected) or not FULL
    assert tally.violations == 0, tally.examples


# The market's own form.


def fresh(question: str, source: Any) -> Any:
    return decision_of(advise(question, source, settings=SETTINGS, now=NOW)[0])


ASKED = ("endowment", "ether", "large")
TIMES = 7 if FULL else 1


@pytest.mark.parametrize("what", ["the order of the rows", "names that are no evidence", "how numbers are written"])
def test_the_form_of_the_feed_does_not_enter_the_decision(what: str, market: Bazaar, ledger: Ledger) -> None:
    tally = ledger.open("decision flips", what)
    for name in ASKED if FULL else ASKED[:1]:
        wording = BY_NAME[name]
        expected = decision_of(market.solved(wording.mandate))
        for seed in range(SEED, SEED + TIMES):
            found = in_another_form(what, wording.question, seed)
            tally.add(name, [] if found == expected else ["another decision"], f"seed {seed}")
    assert tally.violations == 0, tally.examples


def in_another_form(what: str, question: str, seed: int) -> Any:
    source = bazaar()
    if what == "the order of the rows":
        return fresh(question, shuffled(source, seed))
    if what == "how numbers are written":
        return fresh(question, respelled(source, seed))
    renamed = Renamed(source, seed)
    outcome, candidate, held, expected = renamed.back(fresh(question, renamed.source))
    return outcome, candidate, sorted(held), expected


# The machine.

CHILD = """
import hashlib, json, sys
from bazaar import bazaar
from small_market import NOW
from stand import SETTINGS, decision_of
from agents.workflow import advise
from tools.records import canonical_json
for question in json.load(sys.stdin):
    print(json.dumps(decision_of(advise(question, bazaar(), settings=SETTINGS, now=NOW)[0])))
"""
MACHINES = [
    {"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    for seed, threads in (("1", "4"), ("0", "1"), ("2", "2"), ("42", "1"), ("4294967295", "8"))
]


@pytest.mark.skipif(not FULL, reason="starts processes of its own: in the full run")
def test_hash_seeds_and_threads_do_not_enter_the_decision(market: Bazaar, ledger: Ledger) -> None:
    tally = ledger.open("decision flips", "hash seeds and threads, each in a process of its own")
    for machine in MACHINES:
        for name, line in zip(ASKED, in_a_process(machine, ASKED), strict=True):
            expected = json.loads(json.dumps(decision_of(market.solved(BY_NAME[name].mandate))))
            tally.add(name, [] if json.loads(line) == expected else ["another decision"], str(machine))
    assert tally.violations == 0, tally.examples


def in_a_process(machine: Mapping[str, str], names: Any) -> list[str]:
    paths = [ROOT, ROOT / "tests", HERE]
    environment = {**os.environ, **machine, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    questions = json.dumps([BY_NAME[name].question for name in names])
    command = [sys.executable, "-c", CHILD]
    done = subprocess.run(command, input=questions, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


# The same cases with a control switched off.


def test_with_the_words_in_the_decision_the_same_cases_fail(
    ledger: Ledger, market: Bazaar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the reader's synonyms of risk, wordings of one wish become several wishes."""
    tally = ledger.open("decision flips", "ablation: wordings are read without what the lexicon knows", promise=False)
    for wording in WORDINGS if FULL else WORDINGS[44:52]:
        plain = wording.question.lower()
        said = "high" if "high risk" in plain else "low" if "low risk" in plain else "medium"
        blunt = read(wording.question).mandate.model_copy(update={"risk": said})
        same = decision_of(market.solved(blunt)) == decision_of(market.solved(wording.mandate))
        tally.add(wording.name, [] if same else ["another decision"], wording.question)
    assert tally.violations > 0


def test_with_the_order_of_the_rows_in_the_decision_the_same_cases_fail(
    ledger: Ledger, market: Bazaar, monkeypatch: pytest.MonkeyPatch
) -> None:
    tally = ledger.open("decision flips", "ablation: the sizes of pools follow the order of the rows", promise=False)
    expected = decision_of(market.solved(BY_NAME["endowment"].mandate))
    for seed in range(SEED, SEED + TIMES):
        source = shuffled(bazaar(), seed)
        for row, other in zip(source.rows, bazaar().rows, strict=True):
            row["tvlUsd"] = other["tvlUsd"]
        found = fresh(BY_NAME["endowment"].question, source)
        tally.add("endowment", [] if found == expected else ["another decision"])
    assert tally.violations > 0
