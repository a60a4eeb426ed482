"""Regret: how far advice is from the best that could have been done, in basis points a year, with a proof.

Frozen markets whose rates are known functions of the deposit (``markets``), their true optimum with a certificate
(``oracle``), advisers (``advisers``, ``raw_model``, ``served``) and what their advice earns (``judging``).
``docs/evaluation.md`` has the case format; ``docs/design/evaluation.md`` says why it is so.
"""
