"""Models, networks and histories are pickled and deep-copied with the same bits."""

import copy
import json
import multiprocessing
import pickle
import sys
from dataclasses import replace

import pytest

import nnreg
from nnreg import PluginError
from nnreg.errors import NnregWarning
from tests.helpers.specs import blobs, classifier

LAYERS = [
    {"type": "dense", "units": 6, "activation": "tanh"},
    {"type": "batch_norm"},
    {"type": "dropout", "rate": 0.2},
    {"type": "dense", "units": "classes", "activation": "softmax"},
]
WAYS = {"deepcopy": copy.deepcopy, "pickle": lambda one: pickle.loads(pickle.dumps(one))}

SOFT_SIGN = '''"""An activation in a file, whose class has no importable name."""
from dataclasses import dataclass
from nnreg import Activation, hookimpl

@dataclass(frozen=True)
class SoftSign(Activation):
    """y = x / (1 + |x|)"""

    def forward(self, x):
        y = x / (1 + abs(x))
        return y, lambda dy: dy * (1 - abs(y)) ** 2

@hookimpl
def nnreg_activations():
    return {"soft_sign": SoftSign}
'''


def trained(epochs=2, **train):
    data = blobs()
    spec = classifier(model={"layers": LAYERS}, train={"epochs": 4, "ema": 0.9, **train})
    model = nnreg.build(spec, data=data)
    model.fit(*data, epochs=epochs)
    return model


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def again(request):
    return request.param


def test_a_copy_predicts_and_continues_with_the_same_bits(again):
    model, (x, y) = trained(), blobs()
    other = again(model)
    assert other.predict(x).tobytes() == model.predict(x).tobytes()
    assert list(other.fit(x, y)) == list(model.fit(x, y))
    assert other.network.vector.tobytes() == model.network.vector.tobytes()
    assert other.predict(x).tobytes() == model.predict(x).tobytes()


def test_a_copy_shares_no_array(again):
    model, (x, y) = trained(), blobs()
    before = model.predict(x)
    other = again(model)
    other.parameters["layers/0/weight"] = 0.0
    other.fit(x, y)
    assert model.predict(x).tobytes() == before.tobytes()
    assert len(model.history) == 2


def test_the_parameters_of_a_copied_network_stay_views_of_its_vector(again):
    network = again(trained().network)
    network.parameters["layers/0/weight"] = 7.0
    assert (network.vector[: network.parameters["layers/0/weight"].size] == 7).all()


def test_a_run_in_mid_epoch_continues_from_a_copy(again):
    model, (x, y) = trained(), blobs()
    with_pause = model.trainer(model.examples(x, y)).iterate(lambda: True)
    next(with_pause)
    with_pause.close()
    other = again(model)
    assert list(other.fit(x, y)) == list(model.fit(x, y))
    assert other.network.vector.tobytes() == model.network.vector.tobytes()


def test_a_history_is_copied(again):
    history = trained().history
    assert list(again(history)) == list(history)


def test_a_model_with_a_plugin_from_a_file_is_copied(again, tmp_path, monkeypatch):
    (tmp_path / "nnregfile.py").write_text(SOFT_SIGN)
    monkeypatch.chdir(tmp_path)
    layers = [{**LAYERS[0], "activation": "soft_sign"}, LAYERS[-1]]
    (tmp_path / "s.json").write_text(json.dumps(classifier(model={"layers": layers})))
    x, y = blobs()
    with pytest.warns(NnregWarning, match="is loaded for this spec"):
        model = nnreg.run("s.json", data=(x, y))
    assert again(model).predict(x).tobytes() == model.predict(x).tobytes()


def test_a_component_of_another_version_is_refused():
    document = trained().document
    changed = {key: replace(one, version="0.0") for key, one in document.components.items()}
    pickled = pickle.dumps(replace(document, components=changed))
    with pytest.raises(PluginError, match=r"was that of nnreg 0\.0 when the model was pickled"):
        pickle.loads(pickled)


def predict(model, x):
    return model.predict(x).tobytes()


@pytest.mark.skipif(sys.platform == "emscripten", reason="it starts no process")
def test_a_spawned_process_gets_the_same_bits():
    model, (x, _) = trained(), blobs()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(predict, (model, x)) == predict(model, x)
