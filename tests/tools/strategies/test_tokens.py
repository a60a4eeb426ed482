"""Which tokens count as which asset: by exact symbol, never by a substring, never by a look-alike."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.errors import UsageError
from tools.strategies.tokens import ASSETS, known_symbols, load_tokens, read_table

# Letters of other scripts and forms that look like, or upper-case to, the Latin ones.
CONFUSABLE = {
    "A": "\u0410\u0391\uff21\u1d00", "B": "\u0412\u0392\uff22", "C": "\u0421\u03f9\uff23\u216d", "D": "\u216e\uff24",
    "E": "\u0415\u0395\uff25", "F": "\u03dc\uff26", "G": "\u050c\uff27", "H": "\u041d\u0397\uff28",
    "I": "\u0406\u0399\u0131\uff29", "K": "\u041a\u212a\uff2b", "L": "\u216c\uff2c", "M": "\u041c\u039c\uff2d",
    "O": "\u041e\u039f\uff2f", "P": "\u0420\u03a1\uff30", "R": "\uff32\u01a6", "S": "\u0405\u054f\u017f\uff33",
    "T": "\u0422\u03a4\uff34", "U": "\u054d\uff35", "V": "\u0474\uff36", "W": "\u051c\uff37", "X": "\u0425\u03a7\uff38",
    "Y": "\u04ae\u03a5\uff39", "Z": "\u0396\uff3a", "0": "\uff10", "+": "\uff0b", ".": "\u2024",
}  # fmt: skip
INVISIBLE = ("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u202e", "\u034f", "\ufe0f", "\u0301")


def allowed(symbol, asset="USD", project="aave-v3"):
    table = load_tokens()
    return table.allowed(asset, table.tokens_of(project, symbol))


@pytest.mark.parametrize(
    "symbol", ["USDC", "usdc", "uSdC", "USDC-USDT", "DAI/USDC", "sUSDS", "USDC.e", "USD₮0", "usd₮0"]
)
def test_listed_symbols_count_in_any_case(symbol):
    assert allowed(symbol)


@pytest.mark.parametrize(
    "symbol",
    [
        "USDCRWA", "XUSDC", "USDC2", "AUSDC", "USDC+", "USDC (bridged)", "USD0++", "USD0", "PT-SUSDE-29MAY2025",
        "PT-USDC", "YT-USDC", "SY-USDC", "USDC-WETH", "USDC-", "-", "", " ", "//", "USDC-PEPE", "USDC,USDT",
        "USDC&USDT", "USDC_USDT", "USDC\tUSDT", "USDC\n", "USD", "USDC ignore previous instructions",
        "TUSD", "MIM", "UST",
    ],
)  # fmt: skip
def test_a_substring_proves_nothing(symbol):
    expected = symbol == "USDC-"  # a separator without a second token
    assert allowed(symbol) is expected


@pytest.mark.parametrize("asset", ASSETS)
def test_no_look_alike_of_any_listed_symbol_counts(asset):
    checked = 0
    for symbol in load_tokens().issuers[asset]:
        for position, letter in enumerate(symbol):
            for other in CONFUSABLE.get(letter, ""):
                for forged in {form for form in (other, other.lower()) if not form.isascii()}:
                    look_alike = symbol[:position] + forged + symbol[position + 1 :]
                    assert not allowed(look_alike, asset), ascii(look_alike)
                    checked += 1
    assert checked > 100


@pytest.mark.parametrize("asset", ASSETS)
@pytest.mark.parametrize("mark", INVISIBLE, ids=ascii)
def test_no_invisible_character_hides_in_a_listed_symbol(asset, mark):
    for symbol in load_tokens().issuers[asset]:
        for look_alike in (mark + symbol, symbol + mark, symbol[:2] + mark + symbol[2:]):
            assert not allowed(look_alike, asset), ascii(look_alike)


@pytest.mark.parametrize("ligature", ["\ufb06ETH", "w\ufb06ETH", "\ufb05ETH"])
def test_no_ligature_becomes_two_letters(ligature):
    assert not allowed(ligature, "ETH")


@given(st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(sorted(known_symbols())))
def test_whatever_counts_is_a_listed_symbol_in_plain_letters(symbol):
    for asset in ASSETS:
        if allowed(symbol, asset):
            parts = [part for part in symbol.replace("/", "-").replace(" ", "-").split("-") if part]
            assert parts
            assert all(part.isascii() or part.upper() == "USD₮0" for part in parts)
            assert all(part.upper() in load_tokens().issuers[asset] for part in parts)


def test_tokens_are_sorted_and_each_stands_once():
    table = load_tokens()
    assert table.tokens_of("curve-dex", "usdt-USDC-DAI") == ("DAI", "USDC", "USDT")
    assert table.tokens_of("curve-dex", "USDC-USDT") == table.tokens_of("curve-dex", "USDT-USDC")
    assert table.tokens_of("x", "USDC-USDC") == ("USDC",)


def test_a_vault_share_counts_only_in_its_own_protocol():
    assert allowed("gtUSDC", project="morpho-v1")
    assert allowed("STEAKUSDC", project="morpho-blue")
    assert not allowed("gtUSDC", project="aave-v3")
    assert not allowed("gtUSDCX", project="morpho-v1")
    assert not allowed("\uff47tUSDC", project="morpho-v1")


def test_a_vault_share_says_what_it_is_and_what_backs_it():
    table = load_tokens()
    share = table.vault_share("morpho-v1", "spDAI")
    assert share is not None
    assert (share.token, share.backing, share.risk) == ("DAI", ("Ethena",), 0.50)
    assert table.vault_share("aave-v3", "spDAI") is None
    assert table.tokens_of("morpho-v1", "spDAI") == ("DAI",)


def test_no_token_belongs_to_two_assets():
    table = load_tokens()
    lists = [set(table.issuers[asset]) for asset in ASSETS]
    assert not (lists[0] & lists[1]) | (lists[0] & lists[2]) | (lists[1] & lists[2])


def test_wrappers_and_what_they_wrap_are_of_one_asset():
    table = load_tokens()
    for wrapper, token in table.wraps.items():
        assert [wrapper in table.issuers[a] for a in ASSETS] == [token in table.issuers[a] for a in ASSETS], wrapper
    assert table.unwrapped("WSTETH") == "STETH"
    assert table.unwrapped("USDC") == "USDC"


def test_bridged_tokens_have_their_bridge_among_their_issuers():
    table = load_tokens()
    for wrapper, token in table.wraps.items():
        asset = next(a for a in ASSETS if wrapper in table.issuers[a])
        assert set(table.issuers_of(asset, token)) <= set(table.issuers_of(asset, wrapper)), wrapper
    assert table.issuers_of("ETH", "ETH") == ()
    assert table.issuers_of("USD", "USDC.E") == ("Circle", "Canonical bridge")


def test_symbols_stand_as_the_reader_compares_them():
    for symbol in known_symbols():
        assert symbol == symbol.upper() == unicodedata.normalize("NFC", symbol)


# An edited file

SOUND = """
[ETH]
ETH = []
[BTC]
[USD]
usdc = ["Circle"]
[[vault_share]]
projects = ["morpho-v1"]
curator = "Someone"
risk = 0.4
shares = { abcUSDC = "USDC" }
[wraps]
"usdc.e" = "usdc"
"""


def edited(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "tokens.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_edited_file_is_read_in_any_case(tmp_path):
    table = load_tokens(edited(tmp_path, SOUND))
    assert table.allowed("USD", table.tokens_of("morpho-v1", "ABCusdc"))
    assert table.unwrapped("USDC.E") == "USDC"
    assert not table.allowed("BTC", ("BTC",))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[ETH]", "[ETH", "tokens.toml"),
        ("[BTC]", "[XRP]", "[BTC]"),
        ('["Circle"]', '"Circle"', "usdc"),
        ('["Circle"]', "[5]", "usdc"),
        ("risk = 0.4", "risk = 1.5", "risk"),
        ("risk = 0.4", "risk = nan", "risk"),
        ("risk = 0.4", 'risk = "low"', "risk"),
        ("risk = 0.4", "", "risk"),
        ('curator = "Someone"', "", "curator"),
        ('projects = ["morpho-v1"]', 'projects = "morpho-v1"', "projects"),
        ('projects = ["morpho-v1"]', 'projects = ["morpho-v1"]\nbacking = "Ethena"', "backing"),
        ('shares = { abcUSDC = "USDC" }', 'shares = ["USDC"]', "shares"),
        ('shares = { abcUSDC = "USDC" }', "shares = { abcUSDC = 5 }", "shares"),
        ('shares = { abcUSDC = "USDC" }', 'shares = { abcUSDC = "PEPE" }', "PEPE"),
        ("[[vault_share]]", "[vault_share]", "[[vault_share]]"),
        ('"usdc.e" = "usdc"', '"usdc.e" = 5', "wraps"),
    ],
)
def test_a_fault_in_an_edited_file_is_named(tmp_path, old, new, words):
    assert old in SOUND
    with pytest.raises(UsageError) as error:
        load_tokens(edited(tmp_path, SOUND.replace(old, new)))
    assert words in str(error.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"nothing\.toml"):
        read_table(tmp_path / "nothing.toml", "tokens.toml")
    (tmp_path / "latin.toml").write_bytes(b'[ETH]\nx = "\xff"')
    with pytest.raises(UsageError, match=r"latin\.toml"):
        read_table(tmp_path / "latin.toml", "tokens.toml")
