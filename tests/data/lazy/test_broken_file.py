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
from tests.data.lazy.stored import SPLIT, content, prepared, readers, spec, write


class TestBrokenFile:
    def test_a_change_mid_epoch_is_reported_with_its_rows_and_the_last_epoch_is_kept(
        self, directory
    ):
        nnreg.run(spec(split=SPLIT), out="good", overrides=["train.epochs=2"])
        whole_file = content("d.h5")

        def cut(record):
            if record["epoch"] == 2:
                os.truncate("d.h5", len(whole_file) // 2)

        with pytest.raises(DataError, match=r"d\.h5, rows \d+ to \d+ of '/x': .* has changed"):
            nnreg.run(spec(split=SPLIT), out="out", on_epoch=cut)
        assert not readers()
        summary = json.loads((directory / "out/summary.json").read_text())
        assert (summary["stopped"], summary["epochs"]) == ("failed", 2)
        last, good = (nnreg.load(f"{name}/checkpoints/last.h5") for name in ("out", "good"))
        assert last.network.vector.tobytes() == good.network.vector.tobytes()
        (directory / "d.h5").write_bytes(whole_file)
        nnreg.resume("out")
        nnreg.run(spec(split=SPLIT), out="once")
        assert content("out/checkpoints/last.h5") == content("once/checkpoints/last.h5")

    def test_the_weights_of_the_previous_epoch_are_restored(self, directory):
        run = prepared()
        epochs = run.model.trainer(run.train).epochs()
        next(epochs)
        good = run.model.network.vector.copy()
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
        np.testing.assert_array_equal(run.model.network.vector, good)
        assert run.model.training_state.epoch == 1

    def test_a_chunk_that_cannot_be_decompressed_is_reported_with_its_rows(self, directory):
        write("d.h5", chunks=(8, 2, 4), compression="gzip", fletcher32=True)
        with h5py.File("d.h5") as file:
            chunk = file["x"].id.get_chunk_info(30)
        with open("d.h5", "r+b") as file:
            file.seek(chunk.byte_offset)
            file.write(b"broken")
        rows = f"rows {chunk.chunk_offset[0]} to {chunk.chunk_offset[0] + 7} of '/x'"
        with pytest.raises(DataError, match=f"{rows}: cannot read"):
            prepared()
        assert not readers()

    def test_rows_of_a_file_truncated_while_open_are_not_read_as_zeros(self, directory):
        dataset = Hdf5(stream=True).read(directory / "d.h5").columns["x"].dataset
        blocks = dataset.read([(0, 8), (490, 500)])
        next(blocks)
        os.truncate("d.h5", os.path.getsize("d.h5") // 2)
        with pytest.raises(DataError, match=r"rows 490 to 499 of '/x': cannot read"):
            list(blocks)

    def test_a_deleted_file_is_reported(self, directory):
        run = prepared()
        os.remove("d.h5")
        with pytest.raises(DataError, match=r"d\.h5, rows .*: cannot read: .*No such file"):
            next(run.model.trainer(run.train).epochs())

    def test_a_link_to_another_file_is_not_followed(self, directory):
        with h5py.File("link.h5", "w") as file:
            file["x"] = h5py.ExternalLink("d.h5", "x")
        with pytest.raises(DataError, match="is not a hard link"):
            prepared(path="link.h5")
