"""Differences of recorded environments."""

import pytest

from nnreg.provenance.environment import differences


@pytest.mark.parametrize(
    ("before", "now", "found"),
    [
        ({"threads": 2, "divided": True}, {"shards": 8}, ["shards is 8, was 2"]),
        ({"threads": 1, "divided": False}, {"shards": 1}, []),
        ({"blas": [{"version": "3", "num_threads": 4}]}, {"blas": [{"version": "3"}]}, []),
        ({"blas": [{"version": "3"}]}, {"blas": [{"version": "4"}]},
         ["blas is version 4, was version 3"]),
        ({"threads": 2, "reproducible": False}, {"reproducible": True},
         ["reproducible is True, was False"]),
        ({"threads": 1, "divided": False}, {"blocks": True}, ["blocks is True, was False"]),
        ({"threads": 1, "divided": False}, {"blocks": False}, []),
        ({"reproducible": True}, {"blocks": True}, []),  # not recorded
    ],
)  # fmt: skip
def test_environments_of_any_version_are_compared_in_what_both_have(before, now, found):
    assert differences(before, now) == found
