"""Pools made by hand for the tests of exposure, as the universe makes them of a row."""

from __future__ import annotations

import dataclasses
import datetime as dt

from made_market import pool

from tools.market.names import family_of
from tools.strategies.tokens import load_tokens
from tools.strategies.universe import Pool

DAY = dt.date(2025, 2, 28)


def lying_in(number: int, project: str, symbol: str, chain: str = "Ethereum") -> Pool:
    """A pool with the tokens and issuers that the universe gives a row of this project and symbol."""
    table = load_tokens()
    tokens = table.tokens_of(project, symbol)
    listed = {token: issuers for symbols in table.issuers.values() for token, issuers in symbols.items()}
    vault = table.vault_share(project, symbol)
    shares = dict.fromkeys(vault.backing, 1.0) if vault else {}
    for token in tokens:
        for issuer in listed.get(token, ()):
            shares[issuer] = min(1.0, shares.get(issuer, 0.0) + 1.0 / len(tokens))
    made = pool(number, project=project, family=family_of(project), chain=chain, tokens=tokens, issuer_shares=shares)
    return dataclasses.replace(made, row=dataclasses.replace(made.row, symbol=symbol))
