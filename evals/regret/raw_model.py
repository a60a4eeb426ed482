"""A bare model as an adviser: it gets the whole case, curves and limits included, and is asked for weights.

One call to an OpenAI-compatible ``/chat/completions``, no tools, no retries, no workflow. It is told everything that
the optimum is computed from, so that what it loses is not for want of data.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import httpx

from evals.records import Endpoint
from evals.regret.advisers import Advice
from evals.regret.income import apy_parts
from evals.regret.markets import RegretCase

SECONDS = 60.0
MOST_BYTES = 1 << 20
INSTRUCTION = (
    "You advise on yield. All of the amount is to be placed for one year; maximise the income in dollars. Nobody else "
    "moves. x is your own deposit in a pool, D is deposits_usd. curve says what every dollar of x earns a year: flat: "
    "rate; root: rate*sqrt(N/(N+x)), N is network_usd; shared: usd_per_year/(D+x); square: rate*(D/(D+x))^2; lender: "
    "with u = borrowed_usd/(D+x) and r(u) = base_rate + slope_low*u/kink up to the kink, base_rate + slope_low + "
    "slope_high*(u-kink)/(1-kink) beyond, it is u*r(u)*(1-reserve_factor). reward_usd_per_year is shared among D+x on "
    "top. expected_loss is the fraction of x lost in the year, entry_cost_usd is paid once per pool that is used. "
    "weight is x over the amount: 0 to max_weight of each pool, and they add up to 1. Answer with one JSON object and "
    'nothing else: {"weights": {"pool id": weight, ...}}'
)


def raw_model(endpoint: Endpoint, transport: httpx.BaseTransport | None = None) -> Callable[[RegretCase], Advice]:
    """Return the adviser that asks this endpoint; ``transport`` stands in for the network in tests."""

    def adviser(case: RegretCase) -> Advice:
        try:
            answer = _asked(endpoint, case, transport)
        except httpx.HTTPError as error:
            return Advice({}, f"no answer: {type(error).__name__}", calls=1)
        except ValueError as error:
            return Advice({}, str(error), calls=1)
        usage = answer.get("usage")
        spent = [
            _count(usage.get(key)) if isinstance(usage, dict) else 0 for key in ("prompt_tokens", "completion_tokens")
        ]
        weights, reason = read_weights(_content(answer))
        return Advice(weights, reason, 1, *spent)

    return adviser


def table_of(case: RegretCase) -> dict[str, Any]:
    """Return what the model is shown: the amount and, of each pool, its rate of the day, its curve and its limit."""
    caps = case.caps()
    pools = [
        pool.model_dump(mode="json", exclude={"risk"})
        | {"apy_now": sum(apy_parts(pool)), "withdrawable_usd": pool.withdrawable_usd, "max_weight": caps[pool.id]}
        for pool in case.market.pools
    ]
    return {"asset": case.market.asset, "amount_usd": case.amount_usd, "pools": pools}


def read_weights(text: str) -> tuple[dict[str, float], str | None]:
    """Return the weights in an answer, or none and why: one JSON object in the text with finite numbers by pool id."""
    first, last = text.find("{"), text.rfind("}")
    try:
        found = json.loads(text[first : last + 1]) if first >= 0 else None
    except (ValueError, RecursionError):
        found = None
    weights = found.get("weights") if isinstance(found, dict) else None
    if not isinstance(weights, dict) or not weights:
        return {}, "no weights in the answer"
    if not all(isinstance(w, int | float) and not isinstance(w, bool) and math.isfinite(w) for w in weights.values()):
        return {}, "a weight in the answer is no number"
    return {pool: float(weight) for pool, weight in weights.items()}, None


def _asked(endpoint: Endpoint, case: RegretCase, transport: httpx.BaseTransport | None) -> dict[str, Any]:
    """Return the body of the completion; raises httpx.HTTPError, and ValueError in words of our own."""
    messages = [
        {"role": "system", "content": INSTRUCTION},
        {"role": "user", "content": json.dumps(table_of(case), ensure_ascii=False)},
    ]
    headers = {"Authorization": f"Bearer {endpoint.api_key or 'none'}"}
    with (
        httpx.Client(transport=transport, timeout=SECONDS, trust_env=False) as client,
        client.stream(
            "POST",
            f"{endpoint.base_url.rstrip('/')}/chat/completions",
            json={"model": endpoint.model, "messages": messages, "temperature": 0},
            headers=headers,
        ) as reply,
    ):
        if reply.status_code != httpx.codes.OK:
            raise ValueError(f"no answer: status {reply.status_code}")
        body = b""
        for part in reply.iter_bytes():
            body += part
            if len(body) > MOST_BYTES:
                raise ValueError("no answer: it is too long")
    return _object(body)


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError("no answer: it is no chat completion")
    return found


def _content(answer: dict[str, Any]) -> str:
    try:
        content = answer["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        return ""
    return content if isinstance(content, str) else ""


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
