"""How large a difference between fingerprints is taken for one of machines."""

import copy

import pytest

from nnreg import CheckpointError
from nnreg.checkpoint.file_format import Checkpoint, read_checkpoint
from nnreg.checkpoint.save_load import from_file_content
from tests.checkpoint.plugin_of_every_kind import best, registry


def load_with_recorded(saved, factor):
    """Load with another version of the plugin, whose recorded output differs by a factor."""
    checkpoint = read_checkpoint(best(saved))
    document = copy.deepcopy(checkpoint.document)
    (bent,) = (one for one in document["components"] if one["name"] == "bent")
    for numbers in bent["probes"].values():
        numbers["output"] = [factor * value for value in numbers["output"]]
    changed = Checkpoint(document, checkpoint.arrays)
    from_file_content(changed, "a.h5", registry=registry("2.0"))


@pytest.mark.parametrize("difference", [2e-5, -2e-5, 1e-4, 5e-4])
def test_a_difference_of_more_than_a_hundred_thousandth_is_refused(saved, difference):
    with pytest.raises(CheckpointError, match=r"activation 'bent' of nnreg-all 2\.0.*differs by"):
        load_with_recorded(saved, 1 + difference)


@pytest.mark.parametrize("difference", [0, 1e-6, -5e-6])
def test_a_smaller_difference_is_one_of_machines(saved, difference):
    load_with_recorded(saved, 1 + difference)
