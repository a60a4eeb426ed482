"""An event replayed on a portfolio."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.stress import Event, Shock, load_events, replay

NODES = ["token:USDC", "token:DAI", "issuer:Circle", "protocol:aave", "protocol:curve", "chain:Ethereum"]
fractions = st.floats(0.0, 1.0)


def event(*shocks, days_after=3):
    made = [Shock(node=node, loss=loss, loss_after=after) for node, loss, after in shocks]
    return Event(id="test", title="Test", date=dt.date(2024, 1, 1), days_after=days_after, shocks=made)


@st.composite
def scenes(draw):
    struck = draw(st.lists(st.sampled_from(NODES), min_size=1, unique=True))
    shocks = [(node, loss := draw(fractions), draw(st.none() | st.floats(0.0, loss))) for node in struck]
    pools = draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True))
    raw = [draw(st.floats(0.01, 1.0)) for _ in pools]
    weights = {pool: part / (sum(raw) * 1.000001) for pool, part in zip(pools, raw, strict=True)}
    lost = {pool: draw(st.dictionaries(st.sampled_from(NODES), fractions)) for pool in pools}
    return event(*shocks), weights, lost


def test_a_token_and_its_issuer_are_one_loss():
    told_twice = event(("token:USDC", 0.1, 0.0), ("issuer:Circle", 0.1, 0.0))
    result = replay(told_twice, {"a": 1.0}, {"a": {"token:USDC": 1.0, "issuer:Circle": 1.0}})
    assert (result.loss, result.loss_after) == (0.1, 0.0)
    assert result.hit == ["issuer:Circle", "token:USDC"]


def test_a_pool_of_several_tokens_is_left_with_the_worst():
    both = event(("token:USDC", 0.12, None), ("token:DAI", 0.10, None))
    assert replay(both, {"a": 1.0}, {"a": {"token:USDC": 1.0, "token:DAI": 1.0}}).loss == 0.12


def test_what_the_protocol_did_not_lose_is_worth_less():
    both = event(("token:USDC", 0.1, 0.1), ("protocol:aave", 0.2, 0.0))
    result = replay(both, {"a": 1.0}, {"a": {"token:USDC": 1.0, "protocol:aave": 1.0}})
    assert result.loss == pytest.approx(1.0 - 0.9 * 0.8)
    assert result.loss_after == pytest.approx(0.1)


def test_a_channel_of_the_file_is_used():
    shocks = [
        Shock(node="token:XUSD", loss=0.9),
        Shock(node="protocol:stream", loss=0.9, channel="price"),
    ]
    made = Event(id="x", title="x", date=dt.date(2025, 11, 3), shocks=shocks)
    assert replay(made, {"a": 1.0}, {"a": {"token:XUSD": 1.0, "protocol:stream": 1.0}}).loss == 0.9


def test_weights_and_shares_scale_the_loss():
    result = replay(event(("token:USDC", 0.5, None)), {"a": 0.25, "b": 0.75}, {"a": {"token:USDC": 0.5}, "b": {}})
    assert result.loss == pytest.approx(0.25 * 0.5 * 0.5)
    assert result.loss_after is None


def test_what_is_not_held_does_not_make_the_after_unknown():
    shocks = event(("token:USDC", 0.5, 0.1), ("token:DAI", 0.5, None))
    assert replay(shocks, {"a": 1.0, "b": 0.0}, {"a": {"token:USDC": 1.0}, "b": {"token:DAI": 1.0}}).loss_after == 0.1


def test_sources_are_those_of_what_was_hit():
    usdc = next(known for known in load_events() if known.id == "usdc-2023")
    result = replay(usdc, {"a": 1.0}, {"a": {"token:DAI": 1.0}})
    assert "https://coinmarketcap.com/currencies/multi-collateral-dai/historical-data/" in result.sources
    assert "https://coinmarketcap.com/currencies/usd-coin/historical-data/" not in result.sources


@given(scenes())
def test_a_loss_is_a_fraction_and_the_order_changes_nothing(scene):
    made, weights, lost = scene
    result = replay(made, weights, lost)
    assert 0.0 <= result.loss <= 1.0
    assert result.loss_after is None or result.loss_after <= result.loss + 1e-12
    turned = made.model_copy(update={"shocks": made.shocks[::-1]})
    mirrored = replay(turned, dict(reversed(weights.items())), {pool: lost[pool] for pool in reversed(lost)})
    assert (mirrored.loss, mirrored.loss_after, mirrored.hit) == (result.loss, result.loss_after, result.hit)


@given(scenes(), st.sampled_from(NODES), fractions)
def test_one_more_shock_never_lessens_the_loss(scene, node, loss):
    made, weights, lost = scene
    others = [shock for shock in made.shocks if shock.node != node]
    if not others:
        return
    fewer = made.model_copy(update={"shocks": others})
    more = made.model_copy(update={"shocks": [*others, Shock(node=node, loss=loss)]})
    assert replay(more, weights, lost).loss >= replay(fewer, weights, lost).loss


@given(scenes())
def test_splitting_a_pool_changes_nothing(scene):
    made, weights, lost = scene
    first = next(iter(weights))
    split = {**weights, first: weights[first] / 2, "twin": weights[first] / 2}
    assert replay(made, split, {**lost, "twin": lost[first]}).loss == pytest.approx(
        replay(made, weights, lost).loss, abs=1e-11
    )


@pytest.mark.parametrize(
    ("weights", "lost", "names"),
    [
        ({"a": float("nan")}, {"a": {}}, "weight of a"),
        ({"a": -0.1}, {"a": {}}, "weight of a"),
        ({"a": 0.7, "b": 0.7}, {"a": {}, "b": {}}, "sum to 1.4"),
        ({"a": 1.0}, {}, "what a depends on"),
        ({"a": 1.0}, {"a": {"token:USDC": 1.5}}, "share of a lost with token:USDC"),
        ({"a": 1.0}, {"a": {"token:USDC": float("inf")}}, "share of a lost with token:USDC"),
    ],
)
def test_what_is_no_fraction_is_refused_by_name(weights, lost, names):
    with pytest.raises(ValueError, match=names):
        replay(event(("token:USDC", 0.5, None)), weights, lost)
