"""Specs proposed for arrays and images."""

import gzip
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.components.sources.test_idx import idx
from tests.components.sources.test_images import png
from tests.starter.proposals import rng, tried


class TestArrays:
    @pytest.mark.parametrize(
        ("shape", "layers"),
        [
            ((8, 8), ["conv2d", "conv2d", "max_pool2d", "flatten", "dense", "dense"]),
            ((28, 28, 1), ["conv2d", "max_pool2d", "conv2d", "max_pool2d", "flatten", "dense",
                           "dense"]),
            ((3, 50), ["flatten", "dense", "dense"]),
            ((6, 5, 7), ["flatten", "dense", "dense"]),
            ((5,), ["dense", "dense"]),
            ((4, 4), ["conv2d", "conv2d", "max_pool2d", "flatten", "dense", "dense"]),
        ],
    )  # fmt: skip
    def test_images_are_convolved_and_other_arrays_flattened(
        self, tmp_path, monkeypatch, shape, layers
    ):
        monkeypatch.chdir(tmp_path)
        label = rng().integers(0, 3, 60)
        np.savez("data.npz", label=label, pixels=rng().normal(size=(60, *shape)), day=label + 0.5)
        proposal = tried("data.npz")
        assert [layer["type"] for layer in proposal.tree["model"]["layers"]] == layers
        assert (proposal.target, proposal.inputs) == ("label", ("pixels",))
        assert "needs an input of its own beside the arrays of 'pixels'" in proposal.excluded["day"]

    def test_a_directory_of_images(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for number in range(20):
            directory = tmp_path / "pictures" / "ab"[number % 2]
            directory.mkdir(parents=True, exist_ok=True)
            (directory / f"{number}.png").write_bytes(png(rng().integers(0, 256, (6, 6)), (6, 6)))
        proposal = tried("pictures")
        assert (proposal.target, proposal.inputs) == ("label", ("image",))
        assert proposal.tree["model"]["layers"][0]["type"] == "conv2d"

    def test_images_in_the_format_of_mnist(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        images, labels = rng().integers(0, 256, (30, 5, 5)), np.arange(30) % 3
        Path("t-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        Path("t-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
        proposal = tried("t-images-idx3-ubyte.gz")
        assert (proposal.target, proposal.inputs) == ("label", ("image",))
        assert proposal.tree["data"]["source"] == "idx"

    def test_hdf5(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with h5py.File("data.h5", "w") as file:
            file["images"] = rng().normal(size=(30, 6, 6, 3)).astype(np.float32)
            file["class"] = np.arange(30) % 2
        assert tried("data.h5").inputs == ("images",)
