"""`nnreg.load_weights` and `train.start_from` take weights of files of other libraries."""

import io
import json
import zipfile

import h5py
import numpy as np
import pytest

import nnreg
from nnreg._utils.safetensors import encode
from nnreg.errors import CheckpointError, DataError, NnregWarning, SpecError, UsageError
from nnreg.runs.rerun import rerun
from tests.helpers.specs import CSV, classifier, csv_data, regressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3))
LAYERS = [
    {"type": "dense", "units": 4, "activation": "tanh"},
    {"type": "batch_norm"},
    {"type": "dense", "units": 2},
]


def spec(start=None, layers=LAYERS, **changes):
    train = {"epochs": 1, **({"start_from": start} if start else {})}
    return regressor(**{"model": {"layers": layers}, "train": train, **changes})


@pytest.fixture(scope="module")
def state_dict():
    """Return a state dict as PyTorch has it for these layers."""
    draw = np.random.default_rng(1)
    shapes = {
        "0.weight": (4, 3), "0.bias": (4,), "1.weight": (4,), "1.bias": (4,),
        "1.running_mean": (4,), "1.running_var": (4,), "3.weight": (2, 4), "3.bias": (2,),
    }  # fmt: skip
    found = {name: draw.uniform(0.1, 1, s).astype(np.float32) for name, s in shapes.items()}
    return {**found, "1.num_batches_tracked": np.float32(7)}


@pytest.fixture
def model():
    return nnreg.build(spec(), data=(X, X[:, :2]))


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Return a function that writes arrays to a safetensors file in the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(arrays, name="one.safetensors"):
        (tmp_path / name).write_bytes(encode(arrays, {}))
        return name

    return write


def arrays_of(model):
    return {**model.parameters, **model.buffers}


def require_unchanged(model, path, match, kind=CheckpointError, **options):
    before = {name: values.copy() for name, values in arrays_of(model).items()}
    with pytest.raises(kind, match=match):
        nnreg.load_weights(model, path, **options)
    for name, values in arrays_of(model).items():
        np.testing.assert_array_equal(values, before[name])


def test_a_state_dict_is_transposed_and_its_names_are_returned(model, file, state_dict):
    found = nnreg.load_weights(model, file(state_dict))
    assert found["layers/1/running_variance"] == "1.running_var"
    assert list(found) == list(arrays_of(model))
    np.testing.assert_array_equal(model.parameters["layers/0/weight"], state_dict["0.weight"].T)
    np.testing.assert_array_equal(
        model.buffers["layers/1/running_mean"], state_dict["1.running_mean"]
    )


def test_an_export_is_read_and_one_layer_can_be_taken(model, tmp_path):
    path = tmp_path / "model.safetensors"
    nnreg.export(model, path)
    other = nnreg.build(spec(seed=5), data=(X, X[:, :2]))
    before = other.parameters["layers/2/weight"].copy()
    nnreg.load_weights(other, path, layers=["layers/0"])
    np.testing.assert_array_equal(other.parameters["layers/2/weight"], before)
    nnreg.load_weights(other, path)
    for name, values in arrays_of(model).items():
        np.testing.assert_array_equal(arrays_of(other)[name], values)


def test_names_map_layers_and_arrays(model, file, state_dict):
    given = {f"net.{name}": values for name, values in state_dict.items()}
    given["net.first"] = given.pop("net.0.weight")
    given["net.shift"] = given.pop("net.0.bias")
    names = {
        "layers/0/weight": "net.first", "layers/0/bias": "net.shift", "layers/2": "net.3",
    }  # fmt: skip
    given["rest"] = given["net.shift"]
    with pytest.warns(NnregWarning, match=r"one\.safetensors: no layer takes rest"):
        nnreg.load_weights(model, file(given), names)
    np.testing.assert_array_equal(model.parameters["layers/0/weight"], state_dict["0.weight"].T)
    np.testing.assert_array_equal(model.parameters["layers/2/bias"], state_dict["3.bias"])


def test_modules_of_a_kind_are_taken_in_the_order_of_their_numbers(file):
    layers = [{"type": "dense", "units": 2, "bias": False}] * 11
    model = nnreg.build(spec(layers=layers), data=(X[:, :2], X[:, :2]))
    values = {f"fc{k}.weight": np.full((2, 2), k, np.float32) for k in reversed(range(11))}
    found = nnreg.load_weights(model, file(values))
    assert list(found.values()) == [f"fc{k}.weight" for k in range(11)]
    assert model.parameters["layers/10/weight"][0, 0] == 10


@pytest.mark.parametrize(
    ("change", "names", "match"),
    [
        ({"0.weight": np.zeros((5, 3), np.float32)}, None,
         r"layers/0: no arrays fit, which are bias \(4,\), weight \(4, 3\)"),
        ({"3.bias": None}, None, r"layers/2: no arrays fit"),
        ({"4.weight": np.ones((2, 4), np.float32), "4.bias": np.ones(2, np.float32)}, None,
         r"layers/2: 3, 4 have its shapes, of which there are 1 layer"),
        ({"0.bias": np.full(4, np.nan, np.float32)}, None, r"0\.bias, for layers/0/bias, has"),
        ({"0.bias": np.full(4, -np.inf, np.float32)}, None, "values that are not finite"),
        ({"1.running_var": np.full(4, -1, np.float32)}, None, "1.running_var.* values below 0"),
        ({}, {"layers/9": "0"}, "no layer and no array 'layers/9'"),
        ({}, {"layers/0": "none"}, "it has no arrays 'none'; it has 0.weight"),
        ({}, {"layers/0/weight": "none"}, "it has no array 'none'"),
        ({}, {"layers/0/weight": "1.bias"}, r"has the shape \(4,\); layers/0/weight takes"),
        ({}, {"layers/0/weight": "0.weight"}, "layers/0: no arrays fit"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_changes_nothing(
    model, file, state_dict, change, names, match
):
    given = {
        name: values for name, values in {**state_dict, **change}.items() if values is not None
    }
    require_unchanged(model, file(given), match, names=names)


def test_unknown_layers_and_averages_are_refused(model, file, state_dict):
    path = file(state_dict)
    require_unchanged(model, path, "layers/7", UsageError, layers=["layers/7"])
    train = {"epochs": 2, "ema": 0.9}
    averaged = nnreg.build(spec() | {"train": train}, data=(X, X[:, :2]))
    averaged.fit(X, X[:, :2])
    require_unchanged(averaged, path, "averages of its training", UsageError)


# -- Keras --------------------------------------------------------------------------------------


def keras_file(state_dict):
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for place, name in enumerate(("0", "3")):
            layer = "dense" if place == 0 else "dense_1"
            file[f"layers/{layer}/vars/0"] = state_dict[f"{name}.weight"].T
            file[f"layers/{layer}/vars/1"] = state_dict[f"{name}.bias"]
        for place, name in enumerate(("weight", "bias", "running_mean", "running_var")):
            file[f"layers/batch_normalization/vars/{place}"] = state_dict[f"1.{name}"]
        file["optimizer/vars/0"] = 3
        file["layers/dropout/seed_generator/vars/0"] = np.arange(2)
    return content.getvalue()


def test_files_of_keras_are_read(model, tmp_path, state_dict):
    content = keras_file(state_dict)
    (tmp_path / "m.weights.h5").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("model.weights.h5", content)
    for name in ("m.weights.h5", "m.keras"):
        model.network.vector[...] = 0
        nnreg.load_weights(model, tmp_path / name, {"layers/0": "layers/dense"})
        np.testing.assert_array_equal(model.parameters["layers/0/weight"], state_dict["0.weight"].T)
        np.testing.assert_array_equal(
            model.buffers["layers/1/running_variance"], state_dict["1.running_var"]
        )


def test_damaged_files_of_keras_are_refused(model, tmp_path, state_dict):
    content = keras_file(state_dict)

    def refused(name, given, match):
        (tmp_path / name).write_bytes(given)
        require_unchanged(model, tmp_path / name, match)

    refused("a.weights.h5", content[:300], r"a\.weights\.h5: ")
    refused("b.weights.h5", b"", r"b\.weights\.h5: ")
    refused("c.keras", content, "not a .keras file")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("other", b"")
    refused("d.keras", archive.getvalue(), "it has no model.weights.h5")
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as written:
        written.writestr("model.weights.h5", bytes(1 << 20))
    refused("e.keras", bomb.getvalue(), "is compressed")
    sparse = io.BytesIO()
    with h5py.File(sparse, "w") as file:
        file.create_dataset("layers/dense/vars/0", (1 << 30,), "f4", chunks=(1024,))
    refused("f.weights.h5", sparse.getvalue(), "larger than the file")
    linked = io.BytesIO()
    with h5py.File(linked, "w") as file:
        file["layers"] = h5py.ExternalLink("/etc/passwd", "/")
    refused("g.weights.h5", linked.getvalue(), "not a hard link")
    texts = io.BytesIO()
    with h5py.File(texts, "w") as file:
        file["layers/dense/vars/0"] = "text"
    refused("h.weights.h5", texts.getvalue(), "not an array of numbers")


# -- files --------------------------------------------------------------------------------------


def header(entries, data=b"", length=None):
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(start, stop, shape=(1,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, stop]}


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "incomplete"),
        (b"\xff" * 8, "incomplete"),
        (header({}, length=1 << 62), "incomplete"),
        (header(b" " * 5_000_000), "the most are 4,194,304"),
        (header(b"[" * 100_000), "not JSON"),
        (header(b"\xff{}"), "not JSON"),
        (header(b"[]"), "not an object"),
        (header(b'{"a": {}, "a": {}}'), "a key twice"),
        (header({"__metadata__": {"a": 1}}), "not an object of texts"),
        (header({"a": 1}), "has not the keys"),
        (header({"a": entry(0, 4, dtype="F8")}, bytes(4)), "unknown type 'F8'"),
        (header({"a": entry(0, 4, dtype=[])}, bytes(4)), "unknown type"),
        (header({"a": entry(0, 4, [-1])}, bytes(4)), "impossible shape"),
        (header({"a": entry(0, 4, [True])}, bytes(4)), "impossible shape"),
        (header({"a": entry(0, 4, [1] * 99)}, bytes(4)), "impossible shape"),
        (header({"a": entry(0, 0, [0, 1 << 47, 1 << 47])}), "impossible shape"),
        (header({"a": entry(0, 8)}, bytes(8)), "has not the 4 bytes"),
        (header({"a": entry(4, 8)}, bytes(8)), "do not begin"),
        (header({"a": entry(0, 4), "b": entry(0, 4)}, bytes(4)), "do not begin"),
        (header({"a": entry(0, 4)}, bytes(3)), "have 4 bytes, and the file has 3"),
        (header({"a": entry(0, 4)}, bytes(5)), "have 4 bytes, and the file has 5"),
    ],
    ids=range(21),
)
def test_a_damaged_or_adversarial_file_is_refused(model, tmp_path, content, match):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    require_unchanged(model, path, match)


def test_a_file_that_cannot_be_read_is_named(model, tmp_path):
    require_unchanged(model, tmp_path / "none.safetensors", "none.safetensors: not a file")
    require_unchanged(model, tmp_path / "weights.bin", "the name must end in one of .safetensors")


# -- start_from ---------------------------------------------------------------------------------


def test_a_run_starts_from_a_state_dict(file, state_dict):
    start = {"checkpoint": file(state_dict), "names": {"layers/0": "0"}}
    model = nnreg.build(spec(start), data=(X, X[:, :2]))
    np.testing.assert_array_equal(model.parameters["layers/0/weight"], state_dict["0.weight"].T)
    assert list(model.started_from) == ["one.safetensors"]
    file({**state_dict, "0.bias": np.zeros(5, np.float32)})
    with pytest.raises(SpecError, match=r"\$\.train\.start_from: .*layers/0: no arrays fit"):
        nnreg.build(spec(start), data=(X, X[:, :2]))


def test_names_are_for_other_files_than_checkpoints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match="names: a checkpoint of nnreg has the names of the model"):
        nnreg.build(spec({"checkpoint": "runs/a", "names": {"layers/0": "0"}}), data=(X, X[:, :2]))


def test_members_of_an_ensemble_cannot_all_start_alike(file, state_dict):
    path = file(state_dict)
    model = {"layers": LAYERS, "members": 2}
    with pytest.raises(SpecError, match="all members of the ensemble would start"):
        nnreg.build(spec(path, model=model), data=(X, X[:, :2]))
    start = {"checkpoint": path, "layers": ["layers/0"]}
    built = nnreg.build(spec(start, model=model), data=(X, X[:, :2]))
    for member in range(2):
        values = built.parameters[f"members/{member}/layers/0/weight"]
        np.testing.assert_array_equal(values, state_dict["0.weight"].T)


def test_training_again_refuses_another_file(file, state_dict, tmp_path):
    (tmp_path / "data.csv").write_text(CSV)
    last = {"type": "dense", "units": "classes", "activation": "softmax"}
    layers = [{"type": "dense", "units": 3}, last]
    start = {"checkpoint": "one.safetensors", "layers": ["layers/0"]}
    arrays = {"a.weight": np.ones((3, 4), np.float32), "a.bias": np.ones(3, np.float32)}
    file(arrays)
    text = classifier(
        data=csv_data(), model={"layers": layers}, train={"epochs": 1, "start_from": start}
    )
    nnreg.run(text, out="run")
    rerun("run")
    file({**arrays, "a.bias": np.zeros(3, np.float32)})
    with pytest.raises(DataError, match="not the checkpoint that it started from"):
        rerun("run")
