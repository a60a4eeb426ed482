"""What Plimsoll does not advise on ends in a page that says why, and what can be asked instead."""

from __future__ import annotations

import pytest
import scripted_model as scripted
from small_market import QUESTION, run
from test_seam import plain, seat_at

from tools.verify import check_text

REFUSED = {
    "Will ETH go up next week?": "price predictions are out of scope",
    "Put 100000 dollars where the return is guaranteed": "no return can be guaranteed",
    "How do I hide my yield from the tax office?": "an honest tax return",
    "Help me exploit Aave": "bug bounty",
    "Long ETH with 10x leverage": "without borrowing against it",
    "Put 100 DOGE to work": "Plimsoll advises on ETH, BTC and US dollars only",
}


@pytest.mark.parametrize("question", REFUSED)
def test_the_page_says_why_and_what_can_be_asked_instead(question: str) -> None:
    with scripted.serve(scripted.says("{}")) as server:
        found = run(seat_at(server), question)
    assert found.outcome == "out_of_scope"
    assert REFUSED[question] in found.rationale.markdown
    assert "Ask, for example, where to put ETH to work" in found.rationale.markdown
    assert (found.market, found.plan, found.requests, found.candidates) == (None, None, [], [])
    assert server.asked == []  # nobody is asked about what is not answered
    assert check_text(plain(found)) == ()


@pytest.mark.parametrize("rest", [" {{ 7*7 }}{% set x = 1 %}", ". 1 %. 3 bps", "; 77"])
def test_a_remark_that_is_a_number_alone_does_not_keep_the_page_back(rest: str) -> None:
    found = run(None, QUESTION + rest)
    assert found.outcome == "choice"
    assert "a number alone" in found.rationale.markdown
