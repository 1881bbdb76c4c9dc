"""Mutated checkpoints and specs, a few of the many that `python -m tests.security.fuzz` makes."""

import pytest

from tests.security import fuzz


@pytest.mark.parametrize(("kind", "count"), [("checkpoints", 500), ("specs", 2_000)])
def test_no_mutation_crashes_hangs_or_passes_for_what_it_is_not(kind, count):
    outcomes, bad = fuzz.fuzz(kind, count, seed=0)
    assert not bad, "\n".join(bad)
    assert outcomes.total() == count
    assert len(outcomes) >= 3, outcomes  # the mutations reach beyond the first check


@pytest.mark.parametrize(
    ("kind", "outcome"), [("crashing", "crash"), ("hanging", "hang"), ("raising", "traceback")]
)
def test_a_case_that_must_not_be_is_noticed_and_named(monkeypatch, kind, outcome):
    monkeypatch.setattr(fuzz, "PATIENCE", 5.0)
    outcomes, bad = fuzz.fuzz(kind, 3, seed=7)
    assert outcomes == {"well": 2, outcome: 1}
    assert [line.split(": ")[:2] for line in bad] == [[f"{kind} --seed 7 --case 1", outcome]]
