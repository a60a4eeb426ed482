"""Impermanent loss: what a liquidity provider has less than whoever held the deposited tokens, as a positive fraction.

Prices only: the fees that the pool paid over the same time stand against it and are in the APY. Charge this or the
loss versus rebalancing (Milionis et al. 2022, arXiv 2208.06046), never both: they measure one cost against two
benchmarks.

A pool that concentrates its liquidity around the price (Uniswap v3, Curve's stableswap) loses more by the same move
than a pool over all prices. ``impermanent_loss_of`` reckons with the latter: for the former it is too low.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

MAX_GAP_DAYS = 3
WEIGHTS_AGREE = 1e-9

PRICE_TABLES: Mapping[str, str] = {
    "BTC": "btc_usd_daily.csv",
    "DAI": "dai_usd_daily.csv",
    "ETH": "eth_usd_daily.csv",
    "USDC": "usdc_usd_daily.csv",
    "USDP": "usdp_usd_daily.csv",
    "USDT": "usdt_usd_daily.csv",
    "UST": "ust_usd_daily.csv",
    "USTC": "ust_usd_daily.csv",
    "WETH": "eth_usd_daily.csv",  # redeemed 1:1 by a contract without an owner
}
"""Tokens whose market price is recorded, and the table of ``prices/`` that has it.

Staked ether and wrapped bitcoin are not here: a redemption rate, or the price of what they stand for, is not the price
that they fetch.
"""

PriceSeries = Mapping[dt.date, float]


@dataclass(frozen=True)
class RealisedLoss:
    """The loss at the end of the window and the worst of any of its days; both None with a reason."""

    loss: float | None
    worst: float | None
    reason: str = ""


def constant_product_loss(price_ratio: float) -> float:
    """Return 1 − 2√k/(1 + k) of a 50/50 pool, k the relative price at the end over that at the beginning.

    Uniswap v2 (Pintail 2019, "Understanding Uniswap returns"). Raises ValueError unless 0 < k < ∞.
    """
    return weighted_loss((0.5, 0.5), (price_ratio, 1.0))


def weighted_loss(weights: Sequence[float], price_ratios: Sequence[float]) -> float:
    """Return 1 − Π k_i^{w_i} / Σ w_i k_i of a pool that keeps the value weights w, each token's price times k_i.

    Balancer (Martinelli & Mushegian 2019, value function). Raises ValueError for weights that are not positive or do
    not sum to 1, for ratios that are not positive and finite, and for different numbers of both.
    """
    if len(weights) != len(price_ratios) or not weights:
        raise ValueError(f"{len(weights)} weights and {len(price_ratios)} price ratios")
    if not all(weight > 0.0 for weight in weights) or abs(math.fsum(weights) - 1.0) > WEIGHTS_AGREE:
        raise ValueError(f"weights must be positive and sum to 1: {tuple(weights)}")
    for position, ratio in enumerate(price_ratios):
        _check(f"price_ratios[{position}]", ratio)
    logarithm = math.fsum(w * math.log(k) for w, k in zip(weights, price_ratios, strict=True))
    held = math.fsum(w * k for w, k in zip(weights, price_ratios, strict=True))
    return max(0.0, -math.expm1(logarithm - math.log(held)))  # by the inequality of the means never below 0


def concentrated_loss(price_before: float, price_after: float, lower: float, upper: float) -> float:
    """Return 1 − V(P₁)/(x₀ P₁ + y₀) of a Uniswap v3 position in [lower, upper], against the deposited amounts.

    With s = √clip(P): x = L(1/s − 1/√upper), y = L(s − √lower), V = x P + y, exact in and out of range (Adams et al.
    2021, the Uniswap v3 whitepaper, section 6.2; prices in token 1 per token 0). Raises ValueError unless all prices
    are positive and finite and lower < upper.
    """
    for name, price in (
        ("price_before", price_before), ("price_after", price_after), ("lower", lower), ("upper", upper),
    ):  # fmt: skip
        _check(name, price)
    if lower >= upper:
        raise ValueError(f"the range must have a width: {lower} to {upper}")
    before_0, before_1 = _concentrated_amounts(price_before, lower, upper)
    after_0, after_1 = _concentrated_amounts(price_after, lower, upper)
    held = before_0 * price_after + before_1
    return max(0.0, 1.0 - (after_0 * price_after + after_1) / held)


def _concentrated_amounts(price: float, lower: float, upper: float) -> tuple[float, float]:
    """Return the amounts of both tokens for a liquidity of 1."""
    root = math.sqrt(min(max(price, lower), upper))
    return 1.0 / root - 1.0 / math.sqrt(upper), root - math.sqrt(lower)


def capital_efficiency(width: float) -> float:
    """Return 1/(1 − width^(−1/2)): the liquidity of the range [P/width, P·width] over that of all prices, at price P.

    Fees and impermanent loss both grow with it. Raises ValueError unless width > 1.
    """
    _check("width", width)
    if width <= 1.0:
        raise ValueError(f"width must be above 1, not {width}")
    return 1.0 / (1.0 - 1.0 / math.sqrt(width))


def impermanent_loss_of(
    tokens: Sequence[str], prices: Mapping[str, PriceSeries], first: dt.date, last: dt.date
) -> RealisedLoss:
    """Return what a pool of equal parts over all prices lost from ``first`` to ``last``, from daily prices.

    ``prices`` maps each token to its closes by day, all in one currency. A single token loses nothing. A missing day
    takes the close of at most three days before; a token without a series, or with a longer hole, has no answer, and
    the reason names it. Raises ValueError for a window that ends before it begins, for a price that is not positive
    and finite, and for no token at all.
    """
    if not tokens or last < first:
        raise ValueError(f"tokens {tuple(tokens)!r} from {first} to {last}: a pool and a window are needed")
    if len(tokens) == 1:
        return RealisedLoss(0.0, 0.0)
    days = [first + dt.timedelta(days=number) for number in range((last - first).days + 1)]
    series: list[list[float]] = []
    for token in tokens:
        closes = prices.get(token)
        if closes is None:
            return RealisedLoss(None, None, f"no market price of {token} is recorded")
        filled = _filled(token, closes, days)
        if isinstance(filled, str):
            return RealisedLoss(None, None, filled)
        series.append(filled)
    weights = [1.0 / len(tokens)] * len(tokens)
    losses = [weighted_loss(weights, [closes[day] / closes[0] for closes in series]) for day in range(len(days))]
    return RealisedLoss(losses[-1], max(losses))


def _filled(token: str, closes: PriceSeries, days: Sequence[dt.date]) -> list[float] | str:
    """Return one close a day, or the reason why there is none."""
    filled: list[float] = []
    for day in days:
        ages = (day - dt.timedelta(days=age) for age in range(MAX_GAP_DAYS + 1))
        close = next((closes[known] for known in ages if known in closes), None)
        if close is None:
            return f"no market price of {token} is recorded for {day.isoformat()}"
        _check(f"the price of {token} on {day.isoformat()}", close)
        filled.append(close)
    return filled


def read_prices(
    tokens: Sequence[str],
    table: Callable[[str], Sequence[Mapping[str, str]] | None],
    first: dt.date = dt.date.min,
) -> dict[str, dict[dt.date, float]]:
    """Read the closes of the tokens that have a table; ``table`` returns the rows of a name of ``PRICE_TABLES``.

    Closes from ``first`` on, and of the days before it that may stand in for a missing one. A row without a day or
    without a finite close above 0 is no price. A token without a table, or whose table is not
    there, is left out.
    """
    earliest = dt.date.fromordinal(max(1, first.toordinal() - MAX_GAP_DAYS)).isoformat()
    series: dict[str, dict[dt.date, float]] = {}
    for token in sorted(set(tokens) & PRICE_TABLES.keys()):
        rows = table(PRICE_TABLES[token])
        if rows is not None:
            closes = (_close(row) for row in rows if row.get("date", "") >= earliest)
            series[token] = dict(close for close in closes if close is not None)
    return series


def _close(row: Mapping[str, str]) -> tuple[dt.date, float] | None:
    try:
        day, close = dt.date.fromisoformat(row.get("date", "")[:10]), float(row.get("close", ""))
    except ValueError:
        return None
    return (day, close) if 0.0 < close < math.inf else None


def _check(name: str, value: float) -> None:
    if not 0.0 < value < math.inf:
        raise ValueError(f"{name} must be positive and finite: {value}")
