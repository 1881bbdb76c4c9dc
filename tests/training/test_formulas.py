"""Training with layers, losses and activations that have only a formula."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest

import nnreg
from nnreg import Activation, Loss
from nnreg.builtin.losses import GaussianNll
from nnreg.checkpoint import save_load
from nnreg.errors import CheckpointError, NnregWarning, PluginError
from nnreg.interfaces import traced
from nnreg.training.parallelism import shard_count
from tests.helpers.formulas import Mixing, Quartic
from tests.helpers.trained import require_resumed_in_mid_epoch
from tests.training.test_returned_values import document

NEEDS_AUTOGRAD = pytest.mark.skipif(not traced.installed(), reason="needs autograd")
SLOW = "3 to 20 times as long"
X = np.random.default_rng(0).normal(size=(40, 3))
Y = X[:, :1] * X[:, 1:2]


@dataclass(frozen=True)
class Interpolated(Activation):
    """A curve that autograd cannot follow"""

    def formula(self, x):
        return np.interp(x, [-1, 0, 1], [-1, 0, 2]).astype(x.dtype) + x


COMPONENTS = {"mixing": Mixing, "quartic": Quartic, "interpolated": Interpolated}
OPTIONS = {"loss": "quartic", "optimizer": {"type": "adam", "learning_rate": 0.02}}


def spec(epochs=6, layers=({"type": "mixing"},), **sections):
    """Return a spec with the components of a plugin."""
    train = {"epochs": epochs, "batch_size": 16}
    return document(COMPONENTS, list(layers), **{**OPTIONS, "train": train, **sections})


@NEEDS_AUTOGRAD
def test_a_network_learns_in_its_own_type_and_one_note_states_the_cost():
    with pytest.warns(NnregWarning, match=SLOW) as notes:
        model = nnreg.run(spec(epochs=60, layers=[{"type": "mixing"}] * 2), data=(X, Y))
    assert model.history["loss"][-1] < model.history["loss"][0] / 4
    assert model.network.vector.dtype == np.float32
    texts = [str(note.message) for note in notes]
    assert [text.partition(" is ")[0] for text in texts] == [
        "$.model.layers[0]: Mixing",
        "$.loss: Quartic",
    ]


@NEEDS_AUTOGRAD
@pytest.mark.filterwarnings("ignore:.*3 to 20 times:nnreg.errors.NnregWarning")
def test_a_training_that_continues_from_a_checkpoint_is_bit_identical(tmp_path):
    whole, first = (nnreg.run(spec(epochs), data=(X, Y)) for epochs in (6, 3))
    nnreg.save(first, tmp_path / "model.h5")
    resumed = save_load.load(tmp_path / "model.h5", registry=first.document.registry)
    resumed.fit(X, Y, epochs=3)
    assert resumed.network.vector.tobytes() == whole.network.vector.tobytes()


@NEEDS_AUTOGRAD
@pytest.mark.filterwarnings("ignore:.*3 to 20 times:nnreg.errors.NnregWarning")
@pytest.mark.usefixtures("registering")
def test_a_run_stopped_in_mid_epoch_resumes_bit_identically(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    nnreg.register("mixing", Mixing)
    nnreg.register("quartic", Quartic)
    np.savetxt("data.csv", np.hstack([X, Y]), delimiter=",", header="a,b,c,y", comments="")
    spec = {
        "model": {"layers": [{"type": "mixing"}, {"type": "dense", "units": 1}]},
        "data": {"source": "csv", "path": "data.csv", "target": "y"},
        "train": {"epochs": 6, "batch_size": 16},
        **OPTIONS,
    }
    require_resumed_in_mid_epoch(spec, batches=8)


@NEEDS_AUTOGRAD
@pytest.mark.filterwarnings("ignore:.*3 to 20 times:nnreg.errors.NnregWarning")
def test_two_shards_in_two_threads_compute_what_one_does():
    train = {"epochs": 6, "batch_size": 16, "threads": 2}
    one, two = (
        nnreg.run(spec(train={**train, "shards": shards}), data=(X, Y)) for shards in (1, 2)
    )
    assert shard_count(two.network, two.evaluation, two.spec.train, len(X)) == 2
    np.testing.assert_allclose(two.history["loss"], one.history["loss"], rtol=1e-4)


@NEEDS_AUTOGRAD
@pytest.mark.filterwarnings("ignore:.*3 to 20 times:nnreg.errors.NnregWarning")
def test_models_that_train_in_threads_of_a_program_have_the_bits_of_one_alone():
    alone = nnreg.run(spec(), data=(X, Y)).network.vector.tobytes()
    models = [nnreg.build(spec(), data=(X, Y)) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        for training in [pool.submit(model.fit, X, Y) for model in models]:
            training.result()
    assert [model.network.vector.tobytes() for model in models] == [alone] * 2


@dataclass(frozen=True)
class Gaussian(GaussianNll):
    """gaussian_nll by its formula"""

    forward = Loss.forward

    def formula(self, y, t):
        m, v = y[:, :1], np.log1p(np.exp(y[:, 1:])) + self.min_variance
        return np.mean(0.5 * (np.log(v) + (t - m) ** 2 / v))


@dataclass(frozen=True)
class Energy(Loss):
    """mean((y² - 1)²), of no target"""

    takes_target = False
    predicts_target = False

    def formula(self, y, t):
        return np.mean((y * y - 1) ** 2)


@NEEDS_AUTOGRAD
@pytest.mark.filterwarnings("ignore:.*3 to 20 times:nnreg.errors.NnregWarning")
def test_a_loss_of_two_outputs_trains_as_the_built_in_one_with_an_optimizer_of_two_passes():
    components = {"mixing": Mixing, "gaussian": Gaussian}
    train = {"epochs": 6, "batch_size": 16}
    layers = [{"type": "mixing"}, {"type": "dense", "units": 2}]
    found, expected = (
        nnreg.run(
            document(
                components,
                loss=loss,
                optimizer={"type": "sam"},
                model={"layers": layers, "dtype": "float64"},
                train=train,
            ),
            data=(X, Y),
        )
        for loss in ("gaussian", "gaussian_nll")
    )
    np.testing.assert_allclose(found.history["loss"], expected.history["loss"], rtol=1e-9)
    np.testing.assert_allclose(found.predict(X), expected.predict(X), rtol=1e-9)


@NEEDS_AUTOGRAD
@pytest.mark.filterwarnings("ignore:.*3 to 20 times:nnreg.errors.NnregWarning")
def test_a_formula_of_no_target_trains():
    own = document({"energy": Energy}, loss="energy", optimizer="adam", train={"epochs": 40})
    losses = nnreg.run(own, data=(X, None)).history["loss"]
    assert losses[-1] < losses[0]


@NEEDS_AUTOGRAD
def test_a_formula_that_autograd_cannot_follow_falls_back_with_one_note():
    layers = [{"type": "dense", "units": 4, "activation": "interpolated"}]
    with pytest.warns(
        NnregWarning, match=r"Interpolated is differentiated by .*np\.interp"
    ) as notes:
        nnreg.run(spec(layers=layers, loss="mean_squared_error"), data=(X, Y))
    assert len(notes) == 1


@pytest.mark.parametrize("check", [True, False])
def test_without_autograd_training_says_how_to_install_it_and_writes_nothing(
    monkeypatch, tmp_path, check
):
    monkeypatch.setattr(traced, "installed", lambda: False)
    with pytest.raises(PluginError, match=r"Mixing has only .* pip install 'nnreg\[autograd\]'"):
        nnreg.run(spec(), data=(X, Y), out=tmp_path / "run", check=check)
    assert not (tmp_path / "run").exists()


@NEEDS_AUTOGRAD
@pytest.mark.filterwarnings("ignore:.*3 to 20 times:nnreg.errors.NnregWarning")
def test_a_checkpoint_predicts_without_autograd_and_still_notices_another_formula(
    monkeypatch, tmp_path
):
    document, file = spec(), tmp_path / "model.h5"
    model = nnreg.run(document, data=(X, Y))
    nnreg.save(model, file)
    with monkeypatch.context() as patch:
        patch.setattr(traced, "installed", lambda: False)
        loaded = save_load.load(file, registry=document.registry)
        np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
        patch.setattr(Mixing, "formula", lambda self, x, params: x @ params["weight"])
        with pytest.raises(CheckpointError, match=r"mixing.* its output differs"):
            save_load.load(file, registry=document.registry)


def test_autograd_is_imported_only_to_differentiate():
    code = (
        "import sys, nnreg; from tests.training.test_formulas import *; "
        "Mixing().forward; assert 'autograd' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
