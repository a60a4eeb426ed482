"""How often each thing that the money depends on fails, and how much is lost when it does.

Protocols and tokens: Gamma–Poisson shrinkage. The rate of the class is worth ``strength_years`` of observation, and the
own record updates it:

    rate = (strength_years · class rate + events) / (strength_years + years)          events per year

What is known of the own rate is then the Gamma distribution of shape strength_years · class rate + events and rate
parameter strength_years + years (Gelman et al., *Bayesian Data Analysis*, 3rd ed., section 2.6). ``rate`` is its mean,
the low and the high rate its quantiles at 10 % and 90 %. Issuers, curators, bridges, chains and oracles have no record
to learn from: their range is a judgement, which ``data/hazards.toml`` states with its reasons.

Everything is as known at a day: class rates, launches, exploits and depegs later than it are not seen. See
``docs/design/hazards.md``.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, get_args

from tools.errors import UsageError
from tools.market.names import family_aliases, family_of
from tools.records import NodeHazard, NodeKind
from tools.risk.hazard_data import UNKNOWN, ShrunkClass, depegs_between, load_hazards
from tools.risk.protocol import Exploit, FactFiles, exploits_by_family, fact_files
from tools.risk.protocol_facts import FACTS, load_facts
from tools.strategies.tokens import load_tokens
from tools.units import DAYS_PER_YEAR

LOW, HIGH = 0.10, 0.90  # the quantiles that the low and the high rate stand for
SIGNIFICANT_DIGITS = 6
# An exploit counts at least so much, however little was lost: it has shown that the code could be broken.
SMALLEST_EVENT = 0.1
# Stands for the TVL of a protocol where it is not known: small for a protocol that anybody asks about.
ASSUMED_TVL_USD = 5e7
_SMALLEST_LOG = math.log(1e-300)
_NEWTON_STEPS, _CLOSE_ENOUGH = 60, 1e-13
_KINDS = frozenset(get_args(NodeKind))
_NOTHING: Mapping[str, float] = {}


class Known(NamedTuple):
    """What the facts say of a family at a day: its kind, and when the first of it went live. None: not known."""

    kind: str | None
    launch: dt.date | None


class Hazards:
    """The hazards of a day, looked up by the id of a node; each is worked out once.

    ``hacks`` are rows of DefiLlama's list of exploits, as for ``tools.risk.protocol.assess``. ``overrides`` are the
    user's own rates per year by node id. ``tvl_usd`` is the TVL of protocol families in dollars, by which an exploit
    weighs as the share of the protocol that it took, where the data do not hold the TVL of its day;
    ``ASSUMED_TVL_USD`` for those that are not there. ``extra`` is a file of the user's own facts on protocols.
    Raises ``UsageError`` for an override that names no node or whose rate is negative or not finite, and ``ValueError``
    for a TVL that is.
    """

    def __init__(
        self,
        as_of: dt.date,
        hacks: Sequence[Mapping[str, Any]],
        overrides: Mapping[str, float] = _NOTHING,
        tvl_usd: Mapping[str, float] = _NOTHING,
        extra: Path | None = None,
    ) -> None:
        self._as_of = as_of
        self._table = load_hazards()
        self._files = fact_files(extra)
        self._exploits = exploits_by_family(hacks, as_of, self._files)
        self._overrides = dict(_checked_override(*item) for item in overrides.items())
        self._tvl_usd = {family: _checked_tvl(family, tvl) for family, tvl in tvl_usd.items()}
        self._found: dict[str, NodeHazard | None] = {}

    def of(self, node_id: str) -> NodeHazard | None:
        """Return the hazard of a node (``kind:name``); None for what cannot fail by itself, as a native coin.

        Raises ``UsageError`` for an id that is not a kind of ``tools.records.NodeKind`` and a name.
        """
        if node_id not in self._found:
            own = self._overrides.get(_key(node_id))
            found = self._look_up(*_split(node_id))
            self._found[node_id] = found if own is None else _set_by_user(own, found or self._judged(UNKNOWN, ""))
        return self._found[node_id]

    def _look_up(self, kind: str, name: str) -> NodeHazard | None:
        if kind == "protocol":
            return self._protocol(_family(name))
        if kind == "token" or (kind, name) == ("unknown", "token"):
            return self._token(name.upper())
        if kind == "unknown" and name in _KINDS:
            return self._protocol(UNKNOWN) if name == "protocol" else self._judged(name, UNKNOWN)
        if (kind, name.casefold()) == ("oracle", "none"):
            return None
        return self._judged(kind, name)

    def _judged(self, kind: str, name: str) -> NodeHazard:
        group = self._table.judged(kind, name)
        low, central, high = group.rate
        return _hazard(low, central, high, group.severity, group.says, group.sources)

    def _protocol(self, family: str) -> NodeHazard:
        known = known_of(family, self._as_of, self._files)
        name = self._table.protocol_class(family, known.kind)
        group = self._table.protocol[name]
        exploits = self._exploits.get(family, ())
        events = math.fsum(self._weight(exploit, family, group) for exploit in exploits)
        record = "1 exploit known" if len(exploits) == 1 else f"{len(exploits)} exploits known"
        if events != len(exploits):
            record += f", counted as {events:.2g} by the share of the TVL that was lost"
        years = (self._as_of - known.launch).days / DAYS_PER_YEAR if known.launch else None
        age = "launch unknown" if years is None else f"{years:.1f} years live"
        words = "unknown protocol" if name == UNKNOWN else name.replace("_", " ")
        return self._shrunk(words, group, years or 0.0, events, f"{age}, {record}")

    def _weight(self, exploit: Exploit, family: str, group: ShrunkClass) -> float:
        """Return how many events of the mean severity an exploit counts as, by the share of the TVL that it took."""
        if exploit.loss_usd is None:
            return 1.0
        then = self._table.tvl_at(family, exploit.day)
        tvl_usd = then or self._tvl_usd.get(family) or ASSUMED_TVL_USD
        return min(1.0, max(SMALLEST_EVENT, exploit.loss_usd / tvl_usd / group.mean_severity))

    def _token(self, symbol: str) -> NodeHazard | None:
        if symbol in self._table.native or load_tokens().unwrapped(symbol) != symbol:
            return None  # what a wrapper is a claim on is a node of its own
        name = self._table.token_class(symbol)
        group, watched = self._table.token[name], self._table.depegs_since
        launch = group.tokens.get(symbol)
        years = max(0.0, (self._as_of - max(launch, watched)).days / DAYS_PER_YEAR) if launch else None
        depegs = len(depegs_between(symbol, watched, self._as_of))
        age = "launch unknown" if years is None else f"{years:.1f} years watched"
        record = "1 depeg known" if depegs == 1 else f"{depegs} depegs known"
        words = "unknown token" if name == UNKNOWN else name.replace("_", " ")
        return self._shrunk(words, group, years or 0.0, depegs, f"{age}, {record}")

    def _shrunk(self, words: str, group: ShrunkClass, years: float, events: float, record: str) -> NodeHazard:
        """Update the rate of a class by the own record of a member."""
        prior = group.prior_at(self._as_of)
        shape, weight = group.strength_years * prior.rate + events, group.strength_years + years
        central = shape / weight
        low, high = (gamma_quantile(shape, probability) / weight for probability in (LOW, HIGH))
        basis = f"{words} prior {100 * prior.rate:.3g} % a year over {group.strength_years:g} years; {record}"
        if prior.since > self._as_of:
            basis += f"; no prior is older than that of {prior.since.isoformat()}"
        # A very lopsided distribution has its mean above its 90 % quantile.
        return _hazard(low, central, max(high, central), group.severity, basis, group.sources)


def gamma_quantile(shape: float, probability: float) -> float:
    """Return the quantile of the Gamma distribution of the given shape and scale 1.

    Newton's method on ln P(shape, x) as a function of ln x. That is concave, and the start lies below the root because
    P(shape, x) ≤ x^shape / Γ(shape + 1): it rises to the root and never beyond. Equal to scipy.special.gammaincinv to
    1e-12, without the quarter of a second that its import takes. A quantile too small for a float is 0.
    """
    target = math.log(probability)
    log_x = (target + math.lgamma(shape + 1.0)) / shape
    if log_x < _SMALLEST_LOG:
        return 0.0
    for _ in range(_NEWTON_STEPS):
        series = _gamma_series(shape, math.exp(log_x))
        log_p = shape * log_x - math.exp(log_x) - math.lgamma(shape) + math.log(series)
        log_x += (target - log_p) * series  # the derivative of ln P by ln x is 1 / series
        if abs(target - log_p) < _CLOSE_ENOUGH:
            break
    return math.exp(log_x)


def _gamma_series(shape: float, x: float) -> float:
    """Return P(shape, x) · Γ(shape) · e^x / x^shape by its power series (Abramowitz & Stegun 6.5.29)."""
    term = total = 1.0 / shape
    power = shape
    while term > total * 1e-16:
        power += 1.0
        term *= x / power
        total += term
    return total


@lru_cache(maxsize=4096)
def known_of(family: str, as_of: dt.date, files: FactFiles = (FACTS,)) -> Known:
    """Return the kind and the launch of a family as known at the day.

    The kind is the one that it began with: a family of several (an exchange that also lends) is judged by its oldest.
    """
    known = load_facts(*files).get(family)
    launches = [fact.since for fact in known.launch if fact.since <= as_of] if known else []
    if known is None or not launches:
        return Known(None, None)
    kinds = [fact for fact in known.category if fact.since <= as_of]
    return Known(min(kinds, key=lambda fact: fact.since).value if kinds else None, min(launches))


def _family(name: str) -> str:
    return family_aliases().get(name.casefold()) or family_of(name)


def _split(node_id: str) -> tuple[str, str]:
    kind, colon, name = node_id.partition(":")
    if kind not in _KINDS or not colon or not name.strip():
        raise UsageError(f"{node_id!r} is no node: kind:name with a kind among {', '.join(sorted(_KINDS))}")
    return kind, name.strip()


def _key(node_id: str) -> str:
    kind, name = _split(node_id)
    return f"{kind}:{_family(name) if kind == 'protocol' else name.casefold()}"


def _checked_override(node_id: str, rate: float) -> tuple[str, float]:
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not math.isfinite(rate) or rate < 0.0:
        raise UsageError(f"the hazard of {node_id} must be a rate per year, finite and not negative, not {rate!r}")
    return _key(node_id), float(rate)


def _checked_tvl(family: str, tvl_usd: float) -> float:
    if not math.isfinite(tvl_usd) or tvl_usd < 0.0:
        raise ValueError(f"the TVL of {family!r} must be finite and not negative, not {tvl_usd!r}")
    return tvl_usd


def _set_by_user(rate: float, found: NodeHazard) -> NodeHazard:
    severity = [found.severity_low, found.severity_high]
    return _hazard(rate, rate, rate, severity, "set by the user", [])


def _hazard(
    low: float, central: float, high: float, severity: Sequence[float], basis: str, sources: Sequence[str]
) -> NodeHazard:
    return NodeHazard(
        rate_low=_rounded(low),
        rate=_rounded(central),
        rate_high=_rounded(high),
        severity_low=severity[0],
        severity_high=severity[1],
        basis=basis,
        sources=list(sources),
    )


def _rounded(rate: float) -> float:
    return float(f"{rate:.{SIGNIFICANT_DIGITS}g}")
