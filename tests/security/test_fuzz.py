"""Mutated checkpoints and specs, some of those that `python -m tests.security.fuzz` generates."""

import sys

import pytest

from nnreg import CheckpointError
from nnreg.checkpoint.file_format import decode
from tests.security import fuzz
from tests.security.fuzz import checksums, corpus

needs_limits = pytest.mark.skipif(sys.platform != "linux", reason="limits a process as Linux does")


@needs_limits
@pytest.mark.parametrize("share", [0.25, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("kind", "most"), [("structures", 2_000), ("checkpoints", 500), ("specs", 2_000)]
)
def test_no_mutation_crashes_hangs_or_is_loaded_silently(kind, most, share):
    count = int(most * share)
    outcomes, bad = fuzz.fuzz(kind, count, seed=0)
    assert not bad, "\n".join(bad)
    assert outcomes.total() == count
    assert len(outcomes) >= (3 if share == 1 else 2), outcomes  # some pass the first check


@needs_limits
@pytest.mark.parametrize(
    ("kind", "outcome"), [("crashing", "crash"), ("hanging", "hang"), ("raising", "traceback")]
)
def test_a_failing_case_is_detected_and_reported(monkeypatch, kind, outcome):
    monkeypatch.setattr(fuzz, "HANG_CPU_SECONDS", 1.0)
    outcomes, bad = fuzz.fuzz(kind, 3, seed=7)
    assert outcomes == {"passed": 2, outcome: 1}
    assert [line.split(": ")[:2] for line in bad] == [[f"{kind} --seed 7 --case 1", outcome]]


FILES = corpus.others()


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_structures_of_later_formats_is_refused(name):
    with pytest.raises(CheckpointError, match=r"not a well-formed checkpoint: .*, byte [\d,]+: "):
        decode(FILES[name][0], name)


@pytest.mark.parametrize("name", FILES)
def test_checksums_are_corrected_where_bytes_have_changed(name):
    data, spans = FILES[name]
    assert all(checksums.stored(data, span[1]) == checksums.computed(data, span) for span in spans)
    changed = bytearray(data)
    for start, at, _ in spans:
        changed[(start + at) // 2] ^= 1
    wrong = [checksums.stored(changed, s[1]) != checksums.computed(changed, s) for s in spans]
    assert all(wrong)
    found = checksums.restored(bytes(changed), spans, data)
    assert all(checksums.stored(found, s[1]) == checksums.computed(found, s) for s in spans)


def test_the_file_of_a_case_is_always_the_same(tmp_path):
    for directory in ("a", "b"):
        fuzz.write_case("structures", 3, 14, tmp_path / directory)
    one, other = (list((tmp_path / directory).iterdir()) for directory in ("a", "b"))
    assert one[0].read_bytes() == other[0].read_bytes()
