"""What a model may write: sentences and slots pass; what smuggles in a figure, a name or a promise does not."""

from __future__ import annotations

import random

import pytest

from agents.prose import MAX_CHARACTERS, SLOTS, check_prose, filled

GOOD = [
    "This mix keeps to steady lending.",
    "{{choice_apy}}",
    "{{ choice_apy }} {{doing_nothing}}",
    "A quiet mix. {{choice_apy}} The premium pays for the risk of the contracts.",
    "The money can be withdrawn while nobody rushes. {{largest_protocol}} Watch it!",
    "{{pool_count}} Is that enough? It spreads what can go wrong.",
    "Yields on ETH follow demand (and DeFi has moods); this mix doesn't chase them.",
    "“Steady” is the word – no surprises so far. I would keep it.",
    "{{runner_up}} {{score}} {{income}} {{apy_range}} {{weakest_protocol}}",
]
LIES = {
    "a figure": "It yields 5.2 a year.",
    "a date": "It holds since March 2024.",
    "a number in words": "It yields twelve a year.",
    "a number in hyphenated words": "It yields twenty-one a year.",
    "a fraction in words": "Half of it sits in lending.",
    "a multiple in words": "It pays double.",
    "an ordinal": "It is the first of its kind.",
    "a number with a unit in another language": "It yields fuenf percent a year.",
    "basis points in words": "It adds some hundred bps.",
    "full-width digits": "It yields ５ a year.",
    "Arabic digits": "It yields ٥ a year.",
    "a superscript": "It yields x² a year.",
    "a vulgar fraction": "It yields ½ a year.",
    "a Roman numeral sign": "It yields Ⅳ a year.",
    "a look-alike letter": "It yields tеn a year.",
    "a hidden character": "It yields t\u200ben a year.",
    "another direction": "It yields \u202eten a year.",
    "a mark of the ledger": "It yields \ue0000\ue003 a year.",
    "a comparison": "It yields more.",
    "a comparison with than": "It is calm, rather than wild.",
    "a superlative": "It is the best mix.",
    "a comparison of risk": "It is safer.",
    "a superiority": "It outperforms the market.",
    "a sign of comparison": "Yield > risk.",
    "an unknown slot": "{{moon_apy}}",
    "a slot with spaces in its name": "{{choice apy}}",
    "a slot as an attribute": "{{choice_apy.__class__}}",
    "a slot inside a sentence": "Doing nothing earns {{choice_apy}}",
    "a slot for another's figure": "The runner-up yields {{choice_apy}} a year.",
    "a slot after a colon": "The runner-up: {{choice_apy}}",
    "a slot continued": "{{choice_apy}} for the runner-up.",
    "a slot continued with a capital": "{{choice_apy}} More or less",
    "half a slot": "{{choice_apy",
    "code": "{% for x in r %}{% endfor %}",
    "an expression": "{{ cycler.__init__.__globals__ }}",
    "a name at the start": "Lido was hacked.",
    "a name inside": "The money sits with Aave.",
    "an invented name": "The money sits with Foobank.",
    "a chain": "It lives on Arbitrum.",
    "a token": "It holds USDC.",
    "a promise": "The yield is guaranteed.",
    "a promise of safety": "There is no risk.",
    "a promise in other words": "This mix cannot lose.",
    "HTML": "<script>alert(document)</script>",
    "an image": "<img src=x onerror=alert(a)>",
    "an entity": "A &lt; B.",
    "a link": "[Click](https://evil.example).",
    "an address": "Go to evil.example now.",
    "emphasis": "This is **important**.",
    "a heading": "# Buy",
    "a table": "A | B",
    "code in Markdown": "Run `rm`.",
    "a terminal sequence": "\x1b[31mBuy.\x1b[0m",
    "a terminal title": "\x1b]52;c;aGk=\x07",
    "a bell": "Buy.\x07",
    "a line of its own": "Fine.\n\n## Buy",
    "half a surrogate pair": "Fine \ud800.",
    "no sentence": "steady lending",
    "too much": "A quiet mix. " * (MAX_CHARACTERS // 13 + 1),
}


@pytest.mark.parametrize("text", GOOD)
def test_plain_sentences_and_slots_pass(text: str) -> None:
    assert check_prose({"why": text, "caution": ""}) == {"why": text}


@pytest.mark.parametrize("name", LIES)
@pytest.mark.parametrize("passage", ["why", "caution"])
def test_anything_else_is_refused_without_being_repeated(name: str, passage: str) -> None:
    with pytest.raises(ValueError, match=f"^{passage} ") as raised:
        check_prose({passage: LIES[name]})
    told = set(str(raised.value).split())
    assert not {"evil.example", "Foobank", "Aave", "moon_apy", "twelve", "guaranteed"} & told


@pytest.mark.parametrize("value", [5, 5.2, True, ["It is calm."], {"text": "It is calm."}])
def test_a_passage_is_a_text(value: object) -> None:
    with pytest.raises(ValueError, match="must be a text"):
        check_prose({"why": value})


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ValueError, match=r"^why holds numbers in words; why promises; caution compares$"):
        check_prose({"why": "It is guaranteed to hold ten pools.", "caution": "It is safer."})


def test_line_breaks_between_sentences_become_spaces() -> None:
    assert check_prose({"why": "It is calm. \n{{score}}\r\n"}) == {"why": "It is calm. {{score}}"}


def test_only_the_slots_of_a_passage_are_filled() -> None:
    sentences = {slot: f"<{slot}>" for slot in SLOTS}
    assert filled("It is calm. {{ score }} {{income}}", sentences) == "It is calm. <score> <income>"
    assert filled(None, sentences) is None


FIGURES = ["5", "4.2", "12%", "$3m", "1e3", "٣", "７", "½", "Ⅷ", "二", "ten", "Ten", "TWENTY", "twenty-one"]
FIGURES += ["half", "thrice", "dozen", "seventh", "hundreds", "percent", "bps", "cents"]


def test_no_figure_slips_into_a_good_passage(published: list[str]) -> None:
    chance, accepted = random.Random(7), 0
    for _ in range(2_000):
        words = chance.choice(GOOD).split(" ")
        words.insert(chance.randrange(len(words) + 1), chance.choice(FIGURES))
        try:
            check_prose({"why": " ".join(words)})
            accepted += 1
        except ValueError:
            continue
    published.append(f"figures slipped into a model's passages: {accepted} of 2,000 accepted")
    assert accepted == 0
