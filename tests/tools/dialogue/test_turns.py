"""Lines of a conversation: what each asks for, after what was said before."""

from __future__ import annotations

import datetime as dt

from tools.dialogue import Memory, read_turn
from tools.records import Mandate

SOLVED = Memory(mandate=Mandate(asset="USD", amount=2e6), as_of=dt.date(2025, 2, 28), outcome="choice")


def test_a_line_goes_on_from_the_mandate_before() -> None:
    turn = read_turn("and without Curve?", SOLVED)
    assert turn.kind == "what_if"
    assert turn.mandate == Mandate(asset="USD", amount=2e6, protocols_exclude=["curve"])
    assert [change.field for change in turn.changes] == ["protocols_exclude"]
