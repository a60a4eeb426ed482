"""Records to draw: a recommendation with a choice as plain data, with the fields that the pictures read."""

from __future__ import annotations

from typing import Any

Plain = dict[str, Any]

# What whoever deploys a token may write into its name.
HOSTILE = (
    "</text><script>alert(1)</script>",
    '"><image href="javascript:alert(1)"/>',
    "x onload=alert(1) onclick = alert(2)",
    "javascript:alert(1) href = x",
    "]]><!-- &lt;b&gt; &#0; \x00\x1b[31m",
    "\u202egnp.exe \u200b日本語 ₮",
    "W" * 300,
    "a very long name of a pool that goes on about its own virtues " * 6,
    "",
)
PROBABILITIES = (0.5, 0.2, 0.1, 0.05, 0.025, 0.01, 0.005, 0.001)


def histogram(first: float, width: float, counts: list[int]) -> Plain:
    return {"edges": [round(first + i * width, 10) for i in range(len(counts) + 1)], "counts": counts}


def long_tail() -> Plain:
    """Return 100,000 paths: most of them gain 6 to 8 %, the losses thin out up to 60 %."""
    tail = [2100, 800, 500, *(round(420 * 0.87**i) for i in range(26)), 2]
    return histogram(-0.10, 0.02, [4, 100_000 - 8_954 - sum(tail), 7_000, 1_200, 750, *tail])


def curve(*losses: float) -> list[Plain]:
    return [{"probability": p, "loss": loss} for p, loss in zip(PROBABILITIES, losses, strict=True)]


def all_in(**changes: Any) -> Plain:
    plain: Plain = {
        "horizon_days": 365, "paths": 100_000, "block_days": 30, "seed": 0, "hazard_level": "central",
        "expected_loss": 0.0122, "expected_loss_low": 0.0025, "expected_loss_high": 0.037, "event_probability": 0.27,
        "gas_usd": 14.2, "gas_cost": 7.1e-6, "exit_cost": 0.0004, "impermanent_loss": 0.0, "cost_per_year": 0.000407,
        "dilution": 0.0003, "break_even_days": 4.5,
        "net_apy": 0.0534, "net_apy_low": 0.0286, "net_apy_high": 0.0631, "volatility": 0.048, "sharpe": 0.31,
        "alpha": -0.004, "mean_return": 0.0521, "standard_error": 0.00016, "loss_probability": 0.0715,
        "var_95": 0.031, "var_99": 0.2, "cvar_95": 0.1217, "cvar_99": 0.29, "evar_95": 0.2393, "drawdown_95": 0.0741,
        "drawdown_curve": curve(0.0, 0.0158, 0.0281, 0.0741, 0.171, 0.281, 0.353, 0.4329),
        "histogram": long_tail(), "missing": {},
    }  # fmt: skip
    return plain | changes


def event(name: str, title: str, date: str, loss: float, after: float | None, hit: list[str]) -> Plain:
    return {
        "event": name, "title": title, "date": date, "loss": loss, "loss_after": after, "days_after": 30, "hit": hit,
        "shocks": {}, "sources": [f"https://example.org/{name}"],
    }  # fmt: skip


def events() -> list[Plain]:
    return [
        event("terra-2022", "Terra: the dollar UST loses its backing", "2022-05-09", 0.0258, 0.0004, ["token:USDT"]),
        event("steth-2022", "stETH trades below ETH: Celsius and Three Arrows sell", "2022-06-10", 0.0, 0.0, []),
        event("ftx-2022", "FTX stops paying out", "2022-11-08", 0.0093, None, ["token:USDT"]),
        event("usdc-2023", "USDC: reserves at Silicon Valley Bank", "2023-03-10", 0.0613, 0.0004, ["token:USDC"]),
        event("ezeth-2024", "ezETH: airdrop farmers leave Renzo", "2024-04-24", 0.0, 0.0, []),
    ]


def pool(number: int, name: str, weight: float) -> Plain:
    return {"pool_id": f"pool-{number}", "name": name, "weight": weight}


def node(node_id: str, pools: int, lost: float, look: float | None = None, name: str | None = None) -> Plain:
    kind, _, rest = node_id.partition(":")
    shown = f"unknown {rest}" if kind == "unknown" else rest.title() if kind == "protocol" else rest
    return {
        "id": node_id, "kind": kind, "name": shown if name is None else name, "pools": pools,
        "look_through": lost if look is None else look, "lost_if_fails": lost, "hazard": None, "expected_loss": 0.0,
    }  # fmt: skip


def link(source: str, target: str, share: float = 1.0) -> Plain:
    return {"source": source, "target": target, "share": share}


def record(pools: list[Plain], exposure: Plain, **changes: Any) -> Plain:
    """Return a record with one choice among two candidates; ``changes`` replace parts of its risk or the market."""
    risk = {
        "all_in": all_in(), "stress": events(), "exposure": exposure, "gate_view": "all_in", "max_drawdown": 0.0002,
    }  # fmt: skip
    risk |= {key: value for key, value in changes.items() if key in risk}
    gates = [
        {"rule": rule, "limit": limit, "value": limit / 2, "passed": True, "tested": True}
        for rule, limit in (("var_95", 0.1), ("cvar_95", 0.15), ("max_drawdown", 0.15))
    ]
    other = {"id": "other", "pools": [], "risk": {}, "gates": []}
    return {
        "outcome": "choice",
        "as_of": "2025-02-28T23:59:59Z",
        "market": {"synthetic": changes.get("synthetic", False), "snapshot_date": "2025-02-28"},
        "candidates": [other, {"id": "chosen", "pools": pools, "risk": risk, "gates": gates}],
        "choice": {"candidate_id": "chosen"},
    }


def one_pool(**changes: Any) -> Plain:
    exposure = {
        "nodes": [node("chain:Ethereum", 1, 1.0), node("protocol:lido", 1, 1.0), node("token:STETH", 1, 1.0)],
        "links": [
            link("pool:pool-0", "chain:Ethereum"),
            link("pool:pool-0", "protocol:lido"),
            link("pool:pool-0", "token:STETH"),
            link("token:STETH", "protocol:lido"),
        ],
        "effective_risks": 1.0,
        "effective_by_kind": {"protocol": 1.0},
        "single_point": "protocol:lido",
    }
    return record([pool(0, "Lido stETH, Ethereum", 1.0)], exposure, **changes)


_SIX = (
    (0.34, "Morpho v1 GTUSDCCORE, Ethereum",
     ("protocol:morpho", "curator:Gauntlet", "token:USDC", "unknown:oracle", "chain:Ethereum")),
    (0.22, "Fluid Lending USDT, Ethereum", ("protocol:fluid", "token:USDT", "chain:Ethereum")),
    (0.16, "Ethena sUSDe, Ethereum", ("protocol:ethena", "token:SUSDE", "chain:Ethereum")),
    (0.12, "Curve USDC-crvUSD, Arbitrum",
     ("protocol:curve", "token:USDC/2", "token:CRVUSD/2", "chain:Arbitrum", "bridge:Arbitrum canonical bridge/2")),
    (0.10, "Aave v3 USDC.e, Avalanche", ("protocol:aave", "token:USDC.E", "chain:Avalanche", "unknown:bridge")),
    (0.06, "Morpho v1 MCUSR, Base",
     ("protocol:morpho", "curator:MEV Capital", "token:USDC", "unknown:oracle", "unknown:collateral", "chain:Base")),
)  # fmt: skip
_BELOW = (
    ("token:USDC", "issuer:Circle", 1.0),
    ("token:USDT", "issuer:Tether", 1.0),
    ("token:SUSDE", "token:USDE", 1.0),
    ("token:USDE", "protocol:ethena", 1.0),
    ("token:CRVUSD", "protocol:curve", 1.0),
    ("token:USDC.E", "token:USDC", 1.0),
    ("protocol:ethena", "issuer:Custodians and exchanges of Ethena", 1.0),
    ("protocol:fluid", "oracle:Chainlink", 1.0),
    ("protocol:aave", "oracle:Chainlink", 1.0),
    ("curator:MEV Capital", "token:USDE", 0.25),
    ("chain:Base", "issuer:Coinbase", 1.0),
)


def six_pools(**changes: Any) -> Plain:
    """Return six pools over 25 nodes: slices, links within a column, links that lead back, unknown nodes."""
    links = [link(*below) for below in _BELOW]
    for i, (_, _, targets) in enumerate(_SIX):
        for target in targets:
            name, half, _ = target.partition("/")
            links.append(link(f"pool:pool-{i}", name, 0.5 if half else 1.0))
    names = sorted({each["target"] for each in links})
    nodes = [node(name, *_lost(name, links)) for name in names]
    nodes.sort(key=lambda each: (-each["lost_if_fails"], each["id"]))
    exposure = {
        "nodes": nodes, "links": links, "effective_risks": 2.42, "effective_by_kind": {"protocol": 4.4},
        "single_point": "issuer:Circle",
    }  # fmt: skip
    return record([pool(i, name, weight) for i, (weight, name, _) in enumerate(_SIX)], exposure, **changes)


def _lost(name: str, links: list[Plain]) -> tuple[int, float]:
    """Return how many pools hang on a node, and their weight."""
    found, ends = set[str](), [name]
    while ends:
        end = ends.pop()
        above = {each["source"] for each in links if each["target"] == end} - found
        found |= above
        ends += sorted(above)
    pools = [i for i in range(len(_SIX)) if f"pool:pool-{i}" in found]
    return len(pools), round(sum(_SIX[i][0] for i in pools), 12)


def hostile(**changes: Any) -> Plain:
    """Return names, titles and reasons as bad as they come, in a market of our own making."""
    pools = [pool(i, name, 1.0 / len(HOSTILE)) for i, name in enumerate(HOSTILE)]
    kinds = ("protocol", "token", "issuer", "curator", "bridge", "chain", "oracle", "unknown", "token")
    nodes = [
        node(f"{kind}:{name}", 1, 0.9 - i / 10, name=name)
        for i, (kind, name) in enumerate(zip(kinds, HOSTILE, strict=True))
    ]
    links = [link(f"pool:pool-{i}", each["id"], 0.7) for i, each in enumerate(nodes)]
    links += [link(a["id"], b["id"]) for a, b in zip(nodes, nodes[1:] + nodes[:1], strict=True)]
    exposure = {
        "nodes": nodes, "links": links, "effective_risks": 3.3, "effective_by_kind": {},
        "single_point": nodes[-2]["id"],
    }  # fmt: skip
    struck = [
        event(f"e{i}", name, "2022-05-09" if i else HOSTILE[2], i / 20, None, [f"token:{name}", f"issuer:{name}"])
        for i, name in enumerate(HOSTILE)
    ]
    reasons = {"gas_cost": HOSTILE[0], "exit_cost": HOSTILE[2], "impermanent_loss": HOSTILE[3]}
    parts: Plain = {"synthetic": True, "stress": struck, "all_in": all_in(missing=reasons)}
    return record(pools, exposure, **(parts | changes))


def crowd(**changes: Any) -> Plain:
    """Return more pools, nodes and events than a sheet holds."""
    pools = [pool(i, f"Pool number {i}, Ethereum", round(2 * (30 - i) / 930, 6)) for i in range(30)]
    kinds = ("protocol", "token", "issuer", "chain")
    nodes = [node(f"{kinds[i % 4]}:Name {i:02}", 1, round(0.9 - i / 100, 4)) for i in range(80)]
    links = [link(f"pool:pool-{i % 30}", each["id"]) for i, each in enumerate(nodes)]
    exposure = {
        "nodes": nodes, "links": links, "effective_risks": 12.7, "effective_by_kind": {},
        "single_point": "protocol:Name 00",
    }  # fmt: skip
    many = [event(f"e{i}", f"Event {i}", "2022-05-09", (i + 1) / 100, 0.0, ["token:A"]) for i in range(25)]
    return record(pools, exposure, **({"stress": many} | changes))


def quiet(**changes: Any) -> Plain:
    """Return a year in which nothing can happen: one bar, no loss by events, no known past event."""
    still = all_in(
        histogram=histogram(-0.0301, 1e-7, [100_000]), var_95=-0.0301, cvar_95=-0.0301, evar_95=-0.0301,
        mean_return=0.0301, loss_probability=0.0, drawdown_95=0.0, drawdown_curve=curve(*[0.0] * 8),
    )  # fmt: skip
    return one_pool(**({"all_in": still, "stress": []} | changes))


CASES = {"one_pool": one_pool, "six_pools": six_pools, "hostile": hostile, "crowd": crowd, "quiet": quiet}
