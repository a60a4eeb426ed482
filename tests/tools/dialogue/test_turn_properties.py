"""Laws of the reader of lines: it fails only as foreseen, reads the same twice, and undoes what it did."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from lines import Case, load_cases, load_memories

from tools.dialogue import Memory, Turn, load_concepts, read_turn
from tools.dialogue.dates import UnreadableDay, day_meant
from tools.dialogue.merging import Wishes, merge
from tools.errors import PlimsollError
from tools.question import check_mandate
from tools.records import Mandate

WORDS = """
less more risk safer riskier without and no drop also allow again Base Curve Aave Fluid sUSDe USDC BTC ETH dollars same
for with instead what if why not the second pool one explain CVaR is what changed since Monday 2025-01-15 31/02/2025
each limit cost me cap 25% 4 pools at most least 5 million 10k -5 0 half double start over compare equal weights or ?
. , ! it that when would you leave rate mind change your yield higher longer 3 months back next week guaranteed
hack launder tax
""".split()  # noqa: SIM905
memories = st.sampled_from(sorted(load_memories())).map(lambda name: load_memories()[name])
NAMES = {"protocols": ["Curve", "Aave", "Morpho"], "chains": ["Polygon", "Base", "Arbitrum"], "tokens": ["USDE", "DAI"]}


def turn_or_error(text: str, memory: Memory) -> Turn | str:
    try:
        return read_turn(text, memory)
    except PlimsollError as error:
        return str(error)


def check(text: str, memory: Memory) -> None:
    turn = turn_or_error(text, memory)
    assert turn == turn_or_error(text, memory)
    if isinstance(turn, str):
        assert turn
        return
    assert Turn.model_validate_json(turn.model_dump_json()) == turn
    assert (turn.reason is None) == (turn.kind not in {"out_of_scope", "unclear"})
    assert turn.concept is None or turn.concept in load_concepts()
    if turn.kind in {"recommend", "what_if"}:
        assert turn.mandate is not None
        assert turn.mandate.asset is not None
        check_mandate(turn.mandate)
    assert bool(turn.changes) == (turn.kind == "what_if")


@settings(max_examples=200)
@given(st.text(max_size=200), memories)
def test_any_text_is_read_or_refused(text: str, memory: Memory) -> None:
    check(text, memory)


@settings(max_examples=400)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=14), st.sampled_from([" ", ", ", ". "]), memories)
def test_any_mix_of_words_is_read_or_refused(words: list[str], separator: str, memory: Memory) -> None:
    check(separator.join(words), memory)


@pytest.mark.parametrize(
    "unit", ["less risk ", "start over ", "why not ", "no Curve ", "what if it ", "since 1 May ", "1/2"]
)
def test_long_repetitions_end(unit: str) -> None:
    check((unit * 4_000)[:4_000], load_memories()["usd"])


@settings(max_examples=60)
@given(st.data())
def test_a_name_kept_out_and_let_in_again_leaves_the_mandate_as_it_was(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(NAMES)))
    name = data.draw(st.sampled_from(NAMES[kind]))
    memory = load_memories()["usd"]
    out = read_turn(f"without {name}", memory)
    assert out.mandate is not None
    assert [change.field for change in out.changes] == [f"{kind}_exclude"]
    back = read_turn(f"allow {name} again", memory.model_copy(update={"mandate": out.mandate}))
    assert back.mandate == memory.mandate


@pytest.mark.parametrize("case", [case for case in load_cases() if case.expected], ids=lambda case: case.id)
def test_capitals_and_courtesy_change_nothing(case: Case) -> None:
    memory = load_memories()[case.memory]
    turn = read_turn(case.text, memory)
    polite = read_turn(f"{case.text.rstrip('.!')} please", memory)
    assert (polite.kind, polite.changes, polite.concept) == (turn.kind, turn.changes, turn.concept)


@settings(max_examples=100)
@given(
    st.dates(dt.date(2020, 2, 1), dt.date(2030, 12, 31)),
    st.sampled_from(["Monday", "tuesday", "Wed", "Thursday", "fri", "Sunday"]),
)
def test_a_weekday_is_the_last_such_day_strictly_before(as_of: dt.date, weekday: str) -> None:
    day = day_meant(f"since {weekday}", as_of)
    assert day is not None
    assert 1 <= (as_of - day).days <= 7
    assert f"{day:%A}".lower().startswith(weekday.lower())


@settings(max_examples=100)
@given(st.dates(dt.date(2020, 2, 1), dt.date(2030, 12, 31)), st.dates(dt.date(2020, 1, 1), dt.date(2030, 12, 31)))
def test_a_day_of_the_year_is_the_last_such_day_strictly_before(as_of: dt.date, day: dt.date) -> None:
    assume((day.month, day.day) != (2, 29))
    for words in (f"since {day.day} {day:%B}", f"since {day:%b} {day.day}"):
        found = day_meant(words, as_of)
        assert found is not None
        assert (found.month, found.day) == (day.month, day.day)
        assert 1 <= (as_of - found).days <= 366
    assert day_meant(f"since {day}", None) == day


def test_the_day_itself_is_not_before_it() -> None:
    today = dt.date(2025, 2, 28)
    assert day_meant("since 28 February", today) == dt.date(2024, 2, 28)
    assert day_meant("since the 28th", today) == dt.date(2025, 1, 28)
    assert day_meant("since Friday", today) == dt.date(2025, 2, 21)
    assert day_meant("since 29 February", today) == dt.date(2024, 2, 29)
    assert day_meant("since this month", dt.date(2025, 3, 1)) == dt.date(2025, 2, 1)


@pytest.mark.parametrize("words", ["since 31 June", "since 03/04/2025", "since the 32nd", "since 2025-13-01"])
def test_a_day_that_cannot_be_told_is_refused(words: str) -> None:
    with pytest.raises(UnreadableDay):
        day_meant(words, dt.date(2025, 2, 28))


@pytest.mark.parametrize("words", ["since Monday", "since 3 days", "since 1 May", "yesterday", "this year"])
def test_a_day_that_counts_from_the_last_run_needs_one(words: str) -> None:
    with pytest.raises(UnreadableDay, match="YYYY-MM-DD"):
        day_meant(words, None)


@settings(max_examples=100)
@given(st.text(max_size=60), st.dates())
def test_days_are_read_or_refused(text: str, as_of: dt.date) -> None:
    try:
        assert isinstance(day_meant(text, as_of), dt.date | None)
    except UnreadableDay:
        return


@settings(max_examples=100)
@given(
    st.sampled_from(["ETH", "BTC", "USD"]), st.sampled_from(["ETH", "BTC", "USD"]),
    st.none() | st.floats(1, 1e9), st.none() | st.floats(1, 1e9),
)  # fmt: skip
def test_another_asset_keeps_the_dollars_and_never_makes_an_amount_up(
    old: str, new: str, amount: float | None, dollars: float | None
) -> None:
    before = Mandate.model_validate({"asset": old, "amount": amount, "amount_usd": None if old == "USD" else dollars})
    after, notes = merge(before, Wishes(values={"asset": new}))
    known = before.amount if old == "USD" else before.amount_usd
    kept = (after.amount if new == "USD" else after.amount_usd) if old != new else known
    assert kept == known
    if old != new:
        assert new == "USD" or after.amount is None
        assert bool(notes) == (before.amount is not None and known is None)
    else:
        assert after == before
