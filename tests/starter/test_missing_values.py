"""How well the spec proposed for a table with missing values predicts, beside one that imputes."""

from statistics import mean

import pytest

from nnreg.runs.prepare import prepare_from_spec
from nnreg.runs.run import Run
from nnreg.spec.document import read_spec
from tests.starter.proposals import rng

SEEDS = range(2)


def columns(seed, *, tells):
    """Return a table with gaps in a number and a category; if a gap `tells`, so does the target."""
    draw = rng(seed)
    a, b, noise = draw.normal(size=(3, 600))
    kind, gaps = draw.integers(0, 3, 600), draw.random((2, 600)) < 0.3
    price = a + 0.5 * b + 0.5 * (kind == 1) + 0.1 * noise + tells * (gaps[0] * 1.0 - gaps[1])
    return {
        "a": ["" if gap else value for gap, value in zip(gaps[0], a.round(4), strict=True)],
        "b": b.round(4),
        "kind": ["" if gap else "uvw"[value] for gap, value in zip(gaps[1], kind, strict=True)],
        "price": price.round(4),
    }


def score(tree):
    run = Run(prepare_from_spec(read_spec(tree)), None)
    run.train()
    return run.summary["validation"]["r2"]


@pytest.mark.slow
@pytest.mark.parametrize(("tells", "least"), [(False, -0.03), (True, 0.05)])
def test_knowing_that_a_value_was_missing_helps_where_it_tells_and_is_no_loss_elsewhere(
    table, tells, least
):
    gains = []
    for seed in SEEDS:
        tree = table(columns(seed, tells=tells), "price").tree
        imputed = {**tree, "data": {**tree["data"], "missing": "impute"}}
        gains.append(score(tree) - score(imputed))
    assert mean(gains) > least
