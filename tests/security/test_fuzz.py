"""Mutated checkpoints and specs, some of those that `python -m tests.security.fuzz` generates."""

import queue

import pytest

from tests.security import fuzz


@pytest.mark.parametrize(("kind", "count"), [("checkpoints", 500), ("specs", 2_000)])
def test_no_mutation_crashes_hangs_or_is_loaded_silently(kind, count):
    outcomes, bad = fuzz.fuzz(kind, count, seed=0)
    assert not bad, "\n".join(bad)
    assert outcomes.total() == count
    assert len(outcomes) >= 3, outcomes  # some mutations pass the first check


@pytest.mark.parametrize(
    ("kind", "outcome"), [("crashing", "crash"), ("hanging", "hang"), ("raising", "traceback")]
)
def test_a_failing_case_is_detected_and_reported(monkeypatch, kind, outcome):
    monkeypatch.setattr(fuzz, "HANG_CPU_SECONDS", 1.0)
    outcomes, bad = fuzz.fuzz(kind, 3, seed=7)
    assert outcomes == {"passed": 2, outcome: 1}
    assert [line.split(": ")[:2] for line in bad] == [[f"{kind} --seed 7 --case 1", outcome]]


def test_a_case_that_waits_for_ever_is_detected_and_reported(monkeypatch):
    class Impatient(queue.Queue):
        """It waits for the first line of each process only."""

        def get(self, timeout):
            timeout, self.later = 0 if hasattr(self, "later") else timeout, True
            return super().get(timeout=timeout)

    monkeypatch.setattr(fuzz.queue, "Queue", Impatient)
    outcomes, bad = fuzz.fuzz("waiting", 3, seed=7)
    assert outcomes == {"passed": 2, "hang": 1}
    assert [line.split(": ")[:2] for line in bad] == [["waiting --seed 7 --case 1", "hang"]]
