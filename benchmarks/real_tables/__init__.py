"""Real tables from packages of PyPI, through `nnreg init`, `run` and `predict` as they stand.

Each table is split five times. Beside nnreg: scikit-learn's MLP and a linear model in a usual
pipeline, and gradient boosting. `tables.py` has the list; those to tune on and those held out were
chosen before anything was measured on them.
"""
