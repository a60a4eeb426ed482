"""How names, rules and figures are written in the picture: figures by ``tools.figures.show``, as in the text."""

from __future__ import annotations

from decimal import Decimal

from tools.figures.show import show
from tools.records import Unit
from tools.units import safe_label

MARKS = {"passed": "✓", "failed": "✗", "untested": "?", "chosen": "★", "neutral": ""}

_METHODS = {
    "equal": "equal weights",
    "inverse_volatility": "inverse volatility",
    "risk_adjusted": "risk-adjusted APY",
    "min_cvar": "minimum CVaR",
    "risk_parity": "risk parity",
    "max_sharpe": "maximum Sharpe",
    "min_loss": "least loss",
    "yield_less_loss": "yield less loss",
    "net_yield": "net yield at size",
}
_SPELLING = {
    "apy": "APY",
    "tvl": "TVL",
    "usd": "USD",
    "var": "VaR",
    "cvar": "CVaR",
    "il": "IL",
    "min": "minimum",
    "max": "maximum",
}
_RULES = {
    "profile_risk": "risk of the profile",
    "position_share": "share of a pool",
    "max_weight": "weight of one pool",
    "protocol_share": "share of one protocol",
    "issuer_share": "share of one issuer",
    "reward_share": "share of rewards",
    "apy_multiple": "multiple of the market APY",
    "history_days": "history",
    "min_tvl": "TVL of a pool",
    "min_apy": "APY",
    "min_pools": "number of pools",
    "max_pools": "number of pools",
    "var_95": "VaR",
    "cvar_95": "CVaR",
    "max_drawdown": "loss by events",
    "eligible_pools": "too few eligible pools",
    "chains_include": "another chain",
    "chains_exclude": "chain left out",
    "protocols_include": "another protocol",
    "protocols_exclude": "protocol left out",
    "tokens_include": "another token",
    "tokens_exclude": "token left out",
    "min_tvl_usd": "TVL of a pool",
    "allow_il": "impermanent loss",
    "not_trending_down": "APY trending down",
}
_ASSET_UNITS: dict[str, Unit] = {"USD": "usd", "ETH": "eth", "BTC": "btc"}
_PLACES = {"USD": 2, "ETH": 4, "BTC": 6}
_MOST_PLACES = 6
_WHOLE_DOLLARS = 1000.0  # from here on without cents


def percent(fraction: float, places: int = 2, *, trim: bool = False) -> str:
    """Write a fraction as percent: 0.0621 is ``6.21%``; ``trim`` drops trailing zeros, for limits and weights."""
    text = show(fraction, "percent", places)
    return f"{_trimmed(text[:-1])}%" if trim else text


def money(usd: float) -> str:
    """Write dollars in short: ``$1.2bn``, ``$10.5m``, ``$900,000``."""
    text = show(usd, "usd", short=True)
    return text.replace(".0", "") if text.endswith((".0m", ".0bn")) else text


def amount(value: float, asset: str) -> str:
    """Write an amount of the mandate's asset: ``34.5 ETH``, ``$250,000``; a small one with two digits, never as 0."""
    text = _bare_amount(value, asset)
    return text if asset == "USD" else f"{text} {asset}"


def amounts(low: float, high: float, asset: str) -> str:
    """Write a range of amounts: ``2.5 to 4 ETH``."""
    return f"{_bare_amount(low, asset)} to {amount(high, asset)}"


def _bare_amount(value: float, asset: str) -> str:
    if asset == "USD" and abs(value) >= _WHOLE_DOLLARS:
        return show(value, "usd")
    places = max(_PLACES[asset], 1 - Decimal(repr(value)).adjusted() if value else 0)
    return show(value, _ASSET_UNITS[asset], places).removesuffix(".00")


def score(value: float) -> str:
    """Write a score with three decimals."""
    return show(value, "ratio", 3)


def basis_points(value: float) -> str:
    """Write a difference in basis points with its sign."""
    text = show(value, "bps")
    return f"{text if text.startswith('-') or text == '0' else f'+{text}'} bps"


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def phrase(identifier: str) -> str:
    """Write an identifier in words, safe to show: ``short_history`` is ``short history``."""
    words = _RULES.get(identifier) or " ".join(_SPELLING.get(word, word) for word in identifier.split("_"))
    return safe_label(words, limit=60)


def sentence(text: str, limit: int) -> str:
    """Keep what prints of a text that is nobody's name (the question, a reason): its ``$`` and ``>`` mean something.

    Not safe to show by itself: the writers escape it, as they escape everything.
    """
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain[: limit - 1] + "…" if len(plain) > limit else plain


def profile_name(profile: str) -> str:
    """Write a profile's name as people do: ``balanced_apy`` is ``Balanced APY``."""
    return " ".join(word[:1].upper() + word[1:] for word in phrase(profile).split(" "))


def method_name(method: str) -> str:
    """Write a weight method in words."""
    return _METHODS.get(method) or phrase(method)


def measure(rule: str, value: float | str | None, places: int = 2) -> str:
    """Write the value or the limit of a gate in the unit that its rule implies; where it implies none, as a number."""
    if value is None:
        return "unknown"
    if isinstance(value, str):
        return safe_label(value.replace("_", " "))
    words = set(rule.split("_"))
    if words & {"tvl", "usd"}:
        return money(value)
    if "multiple" in words:
        return f"{_trimmed(show(value, 'ratio', places))}×"
    if words & {"share", "weight", "apy", "var", "cvar", "drawdown"}:
        return percent(value, places, trim=True)
    text = _trimmed(show(value, "ratio", places))
    return f"{text} days" if "days" in words else text


def breach(rule: str, value: float | str | None, limit: float | str | None) -> tuple[str, str]:
    """Write a value and the limit that it breaks with as many digits as it takes to tell them apart."""
    for places in range(2, _MOST_PLACES + 1):
        shown = measure(rule, value, places), measure(rule, limit, places)
        if shown[0] != shown[1]:
            break
    return shown
