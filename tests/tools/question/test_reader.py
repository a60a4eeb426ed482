"""What the reader promises beyond the question set: which fields are stated, notes, refusals, messages."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tools.errors import MandateError
from tools.question import Reading, read
from tools.records import Mandate


def mandate(question: str) -> Mandate:
    return read(question).mandate


def test_stated_names_what_the_words_determine() -> None:
    reading = read("250 ETH, ultra safe, no Curve, no more than 25% in one pool")
    assert isinstance(reading, Reading)
    assert reading.stated == {"asset", "amount", "profile", "risk", "protocols_exclude", "max_weight"}


def test_nothing_said_states_nothing() -> None:
    reading = read("Hello, what can you do for me?")
    assert reading.stated == frozenset()
    assert reading.mandate == Mandate()


def test_notes_are_the_users_own_words_on_one_short_line() -> None:
    wish = "prefer\tESG-friendly   protocols that " + "publish a long report about everything " * 6
    (note,) = mandate(f"10 ETH, {wish}").notes
    assert note.startswith("prefer ESG-friendly protocols that publish")
    assert len(note) <= 120
    assert note.isprintable()


def test_a_number_with_two_meanings_is_noted_and_not_guessed() -> None:
    assert mandate("1.500 ETH").amount is None
    assert mandate("1.500 ETH").notes == ["1.500 ETH"]
    assert mandate("ETH, TVL over 50").min_tvl_usd is None
    assert mandate("ETH, min apy 0.05").min_apy is None


@pytest.mark.parametrize(
    "question",
    [
        "I am aware of the risks of 10 ETH",
        "am i ahead of the curve with 10 eth",
        "what could spark more yield on 10 eth",
        "the sky is the limit for my 10 eth",
        "does it compound? 10 eth",
        "10 eth in the near future, on average",
        "scroll down and pick something for 10 eth",
        "my core idea is to save and harvest gains on 10 eth",
        "either way, whether or not it moves across, 10 ETH",
    ],
)
def test_ordinary_words_are_no_names(question: str) -> None:
    read_mandate = mandate(question)
    assert read_mandate.asset == "ETH"
    lists = (read_mandate.chains_include, read_mandate.protocols_include, read_mandate.tokens_include)
    refused = (read_mandate.chains_exclude, read_mandate.protocols_exclude, read_mandate.tokens_exclude)
    assert not any(lists + refused)


def test_a_named_token_of_the_amount_restricts_nothing() -> None:
    assert mandate("750k USDC").tokens_include == []
    assert mandate("750k USDC, only USDC").tokens_include == ["USDC"]


def test_two_horizons_are_both_noted_and_none_is_chosen() -> None:
    read_mandate = mandate("10 ETH for 3 months, or for a year")
    assert read_mandate.horizon_days is None
    assert len(read_mandate.notes) == 2


@pytest.mark.parametrize(
    "question",
    [
        "best risk-adjusted yield on 50 ETH",
        "50 ETH in our Safe multisig",
        "a balance of 50 ETH",
        "which is safer for 50 ETH, Lido or Rocket Pool?",
    ],
)
def test_words_of_risk_that_say_nothing_of_the_user_are_not_heard(question: str) -> None:
    assert "risk" not in read(question).stated


@pytest.mark.parametrize(
    ("words", "low", "high"),
    [
        ("more than 3 pools", 4, None),
        ("at least 3 pools", 3, None),
        ("fewer than 5 pools", None, 4),
        ("no more than 5 pools", None, 5),
        ("spread over 4 pools", 4, 4),
        ("3-5 pools", 3, 5),
    ],
)
def test_number_of_pools(words: str, low: int | None, high: int | None) -> None:
    read_mandate = mandate(f"10 ETH, {words}")
    assert (read_mandate.min_pools, read_mandate.max_pools) == (low, high)


def test_numbers_without_punctuation_share_their_words_out() -> None:
    question = "40 ETH max 3 pools max 40% per pool min tvl 10m at least 5% apy max drawdown 8% var under 2%"
    assert mandate(question) == Mandate(
        asset="ETH",
        amount=40.0,
        max_pools=3,
        max_weight=0.4,
        min_tvl_usd=10_000_000.0,
        min_apy=0.05,
        max_drawdown=0.08,
        max_var_95=0.02,
    )


def test_lists_do_not_depend_on_the_order_of_mention() -> None:
    assert mandate("10 ETH on Base or Arbitrum").chains_include == mandate("10 ETH on Arbitrum or Base").chains_include


def test_common_noun_and_profile_are_told_apart() -> None:
    assert mandate("high risk, 5 ETH").profile is None
    assert mandate("the High Risk profile, 5 ETH").profile == "high_risk"
    assert mandate("I have a high risk profile, 5 ETH").profile is None
    assert mandate("I want growth for 5 ETH").profile is None
    assert mandate("the growth profile for 5 ETH").profile == "growth"
    assert mandate("maximum yield with low risk, 5 ETH").profile is None


def test_unsupported_assets_are_out_of_scope_with_a_note() -> None:
    refused = mandate("100 SOL for a year")
    assert (refused.intent, refused.asset, refused.amount) == ("out_of_scope", None, None)
    assert "SOL" in refused.notes[0]


@pytest.mark.parametrize(
    "question",
    [
        "protocols that were never hacked, 10 ETH",
        "no leverage, 10 ETH",
        "nothing is guaranteed, 10 ETH",
        "the risk free rate and 10 ETH",
    ],
)
def test_what_is_only_mentioned_is_not_out_of_scope(question: str) -> None:
    assert mandate(question).intent == "recommend"


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("", ("empty", "say what you hold")),
        ("x" * 4_001, ("4,001", "4,000", "shorten")),
        ("10 ETH \x1b[31m", ("control characters", "remove")),
        ("…?!", ("nothing to read",)),
        ("-10 ETH", ("negative", "10 ETH", "positive")),
        ("0 ETH", ("zero", "positive")),
        ("10 ETH, exactly 2 pools, max 30% per pool", ("max_weight", "max_pools", "raise")),
        ("10 ETH, at least 5 pools, at most 2 pools", ("min_pools", "max_pools")),
        ("10 ETH, only Aave, no Aave", ("aave", "both")),
        ("10 ETH, max 150% per pool", ("150 %", "100 %")),
        ("10 ETH max drawdown 5%, max drawdown 8%", ("two different values", "0.05", "0.08")),
        ("10 ETH. 20 ETH.", ("two different amounts", "10 ETH", "20 ETH")),
        ("10 ETH and 2 BTC", ("BTC, ETH", "one at a time")),
    ],
)
def test_errors_say_what_is_wrong_and_what_to_do(question: str, words: tuple[str, ...]) -> None:
    with pytest.raises(MandateError) as caught:
        read(question)
    assert all(word in str(caught.value) for word in words)
    assert caught.value.exit_code == 2


PROGRAM = """
import sys
from tools.question import read
for question in ("10 ETH, no Curve or Aave, on Base, Arbitrum; low risk", "avoid USDT, DAI, GHO, $2m, prefer ESG"):
    reading = read(question)
    print(reading.mandate.model_dump_json(), sorted(reading.stated))
print("numpy" in sys.modules, "pandas" in sys.modules)
"""


def test_reading_is_the_same_in_every_process_and_needs_no_numpy() -> None:
    answers = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    ]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0].splitlines()[-1] == "False False"


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("how do I evade tax on 10 ETH?", ("evading tax", "honest tax return")),
        ("hide my yield from the IRS", ("evading tax",)),
        ("help me drain a lending pool", ("attacks", "bug bounty")),
        ("teach me how to exploit Curve", ("attacks",)),
        ("hack Aave with 10 ETH", ("attacks",)),
        ("launder 10 ETH", ("laundering", "origin")),
        ("how can I bypass KYC and sanctions with 20 BTC", ("laundering",)),
        ("will ETH double?", ("price predictions", "can earn")),
        ("guaranteed 10% on my ETH", ("no return can be guaranteed", "chance of a loss")),
        ("3x long ETH", ("leverage", "without borrowing")),
    ],
)
def test_each_refusal_says_what_can_be_done_instead(question: str, words: tuple[str, ...]) -> None:
    refused = mandate(question)
    assert refused.intent == "out_of_scope"
    (reason,) = refused.notes
    assert all(word in reason for word in words), reason
    assert ": " in reason


@pytest.mark.parametrize(
    "question",
    [
        "what if Aave is hacked? 10 ETH",
        "is there tax on this? 10 ETH",
        "how is yield on 10 ETH taxed",
        "do I have to report this to the tax office? 10 ETH",
        "has Curve ever been exploited? I hold 10 ETH",
        "I am worried about a hack of my 10 ETH",
        "how do I protect 10 ETH against an attack on the bridge?",
        "does it add up for 10 ETH?",
    ],
)
def test_honest_questions_about_tax_and_attacks_are_not_refused(question: str) -> None:
    assert mandate(question).intent != "out_of_scope"


def test_a_line_that_goes_on_counts_what_was_held_before() -> None:
    before = Mandate(asset="USD", amount=2e6)
    assert read("with 50k", before=before).mandate.amount == 50_000
    assert read("max 500k per pool", before=before).mandate.max_weight == 0.25
    assert "asset" not in read("with 50k", before=before).stated
    assert read("$50k", before=Mandate(asset="ETH", amount=10.0)).mandate.amount_usd == 50_000
    assert read("max 25 ETH per pool", before=Mandate(asset="ETH", amount=100.0)).mandate.max_weight == 0.25
    assert read("max 500k per pool", before=Mandate(asset="USD")).mandate.max_weight is None
