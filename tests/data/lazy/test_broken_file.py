"""A file that changes or breaks while its data are read."""

import json
import os

import h5py
import numpy as np
import pytest

import nnreg
import nnreg._utils.memory
import nnreg.tables.lazy
from nnreg import DataError
from nnreg._utils.hdf5 import FileDataset
from nnreg.builtin.sources.arrays import Hdf5
from tests.data.lazy.stored import SPLIT, assembled, bits, readers, spec, write


class TestABrokenFile:
    def test_in_mid_epoch_it_is_told_with_its_rows_and_the_last_good_epoch_is_kept(self, folder):
        nnreg.run(spec(split=SPLIT), out="good", overrides=["train.epochs=2"])
        whole_file = bits("d.h5")

        def cut(record):
            if record["epoch"] == 2:
                os.truncate("d.h5", len(whole_file) // 2)

        with pytest.raises(DataError, match=r"d\.h5, rows \d+ to \d+ of '/x': .* has changed"):
            nnreg.run(spec(split=SPLIT), out="out", on_epoch=cut)
        assert not readers()
        summary = json.loads((folder / "out/summary.json").read_text())
        assert (summary["stopped"], summary["epochs"]) == ("failed", 2)
        last, good = (nnreg.load(f"{name}/checkpoints/last.h5") for name in ("out", "good"))
        assert last.network.vector.tobytes() == good.network.vector.tobytes()
        (folder / "d.h5").write_bytes(whole_file)
        nnreg.resume("out")
        nnreg.run(spec(split=SPLIT), out="once")
        assert bits("out/checkpoints/last.h5") == bits("once/checkpoints/last.h5")

    def test_the_weights_go_back_to_the_epoch_before(self, folder):
        parts = assembled()
        epochs = parts.model.trainer(parts.train).epochs()
        next(epochs)
        good = parts.model.network.vector.copy()
        read, calls = FileDataset.read, []

        def failing(self, segments):
            calls.append(segments)
            if len(calls) == 5:
                raise DataError("the disk is broken")
            return read(self, segments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FileDataset, "read", failing)
            with pytest.raises(DataError, match="the disk is broken"):
                next(epochs)
        np.testing.assert_array_equal(parts.model.network.vector, good)
        assert parts.model.training_state.epoch == 1

    def test_a_chunk_that_cannot_be_unpacked_names_its_rows(self, folder):
        write("d.h5", chunks=(8, 2, 4), compression="gzip", fletcher32=True)
        with h5py.File("d.h5") as file:
            chunk = file["x"].id.get_chunk_info(30)
        with open("d.h5", "r+b") as file:
            file.seek(chunk.byte_offset)
            file.write(b"broken")
        rows = f"rows {chunk.chunk_offset[0]} to {chunk.chunk_offset[0] + 7} of '/x'"
        with pytest.raises(DataError, match=f"{rows}: cannot read"):
            assembled()
        assert not readers()

    def test_what_is_missing_after_the_file_was_opened_is_not_taken_for_zeros(self, folder):
        dataset = Hdf5(stream=True).read(folder / "d.h5").columns["x"].dataset
        blocks = dataset.read([(0, 8), (490, 500)])
        next(blocks)
        os.truncate("d.h5", os.path.getsize("d.h5") // 2)
        with pytest.raises(DataError, match=r"rows 490 to 499 of '/x': cannot read"):
            list(blocks)

    def test_a_file_that_is_gone_is_told(self, folder):
        parts = assembled()
        os.remove("d.h5")
        with pytest.raises(DataError, match=r"d\.h5, rows .*: cannot read: .*No such file"):
            next(parts.model.trainer(parts.train).epochs())

    def test_a_link_to_another_file_is_not_followed(self, folder):
        with h5py.File("link.h5", "w") as file:
            file["x"] = h5py.ExternalLink("d.h5", "x")
        with pytest.raises(DataError, match="is a link to somewhere else"):
            assembled(path="link.h5")
