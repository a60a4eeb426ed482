"""The published claim that optimised weights of staked ether beat equal ones in Sharpe ratio, put to the record.

``python -m evals.claim --source FOLDER --out docs/claim.md`` writes the tables into the page.

``record`` reads the series, ``walk`` holds weights that were estimated on the past alone, ``events`` adds what may
fail, ``figures`` measures, ``study`` puts a period together, ``tables`` and ``__main__`` write.
"""
