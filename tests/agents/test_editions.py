"""Runs that were written before a rule was changed are checked and run again by the rules of their time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_market import NOW, market

from agents.decision import ranked
from agents.state import EDITION, Settings
from agents.workflow import advise
from plimsoll import runs
from tools.records import Recommendation
from tools.verify import verify

QUESTION = "Put 6 million dollars to work, high risk, at most 40% per pool"


Saved = dict[int, tuple[Path, Recommendation]]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """A run of each edition: its folder and its record."""
    folder, found = tmp_path_factory.mktemp("editions"), {}
    for edition in (1, EDITION):
        record, context = advise(QUESTION, market(), settings=Settings(edition=edition), now=NOW)
        found[edition] = runs.save(folder / str(edition), record, context, pictures=False), record
    return found


def test_a_run_of_the_first_edition_is_verified_and_replayed_by_its_own_rules(saved: Saved) -> None:
    folder, found = saved[1]
    assert found.plan is not None
    assert {"prefers", "least_weight"}.isdisjoint(found.plan.model_dump())
    assert min(p.weight for c in found.candidates if c.method == "net_yield" for p in c.pools) >= 0.05 - 1e-4
    request = json.loads((folder / "request.json").read_text())
    del request["edition"]  # as such a run was written
    (folder / "request.json").write_text(json.dumps(request))
    assert runs.replay(folder).differences == ()
    told = [difference for difference in verify(folder).differences if "request.json" not in str(difference)]
    assert told == []


def test_a_run_of_today_says_what_decided_it_and_how_small_a_position_may_be(saved: Saved) -> None:
    folder, found = saved[EDITION]
    assert found.plan is not None
    assert found.plan.prefers == "net_apy"
    assert found.plan.least_weight == pytest.approx(1e-4)
    assert verify(folder).differences == ()
    assert runs.replay(folder).differences == ()


def test_the_yield_that_is_kept_decides_between_near_equals_alone(saved: Saved) -> None:
    _, found = saved[EDITION]
    by_score = ranked(found.candidates, None)
    best = by_score[0].score.total
    first, *others = ranked(found.candidates, None, prefers="net_apy")
    near = [one for one in by_score if one.score.total >= best - 0.05]
    assert first.risk.all_in.net_apy == pytest.approx(max(one.risk.all_in.net_apy for one in near), abs=1e-12)
    assert first in near
    assert others == [one for one in by_score if one is not first]
    most = max(found.candidates, key=lambda one: one.risk.all_in.net_apy)
    far = most.model_copy(update={"score": most.score.model_copy(update={"total": best - 0.06})})
    kept = [far if one is most else one for one in found.candidates]
    assert ranked(kept, None, prefers="net_apy")[0] is not far
