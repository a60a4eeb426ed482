"""A walk-forward backtest: what following the adviser would have come to, beside simpler rules.

``known`` is the market as it was known on a day, ``decisions`` what every strategy holds from that day on (no decision
depends on another, so they run anywhere), ``realised`` what happened next, ``accounting`` the book of one strategy,
``statistics`` and ``overfitting`` what so many days can prove, ``report``, ``tables`` and ``curves`` what is shown, and
``run`` puts them in their order. ``plimsoll backtest`` is the face, docs/backtest.md the page.
"""
