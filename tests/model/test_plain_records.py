"""A few rows in mappings and data frames, encoded cell by cell: the same as by the general way."""

import numpy as np
import pytest

import nnreg
from nnreg.errors import DataError
from nnreg.model import model as model_module

RNG = np.random.default_rng(0)
COUNT = 60
COLUMNS = {
    "size": RNG.normal(40, 9, COUNT).round(2),
    "age": RNG.integers(1, 90, COUNT),
    "kind": RNG.choice(["a", "b", "c d"], COUNT),
    "NA": RNG.choice(["NA", "1"], COUNT),
}
CLASSES = np.arange(COUNT) % 3


class NoPlan:
    """The plan of a model that has none."""

    def predicted(self, network, x):
        return None


@pytest.fixture(scope="module", params=["plain", "gaps", "ignore"])
def model(request, tmp_path_factory):
    """Return a model of these columns: as they are, with gaps and indicators, of few categories."""
    columns = {name: values.astype(str) for name, values in COLUMNS.items()}
    options = {"columns": {"NA": "category"}}
    if request.param == "gaps":
        columns["size"][::7] = columns["kind"][::5] = ""
        options["missing"] = "indicate"
    if request.param == "ignore":
        options |= {"unseen": "ignore", "max_categories": 2, "scaling": "robust"}
    path = tmp_path_factory.mktemp("records") / "rows.csv"
    rows = [
        ",".join([*columns, "y"]),
        *map(",".join, zip(*columns.values(), map(str, CLASSES), strict=True)),
    ]
    path.write_text("\n".join(rows))
    spec = {
        "model": {
            "layers": [
                {"type": "dense", "units": 5},
                {"type": "dense", "units": "classes", "activation": "softmax"},
            ]
        },
        "loss": "cross_entropy",
        "optimizer": "adam",
        "data": {
            "source": {"type": "csv", "missing": [""]},
            "path": str(path),
            "target": "y",
            **options,
        },
    }
    return nnreg.build(spec)


@pytest.fixture
def general(model, monkeypatch):
    """Return a function that predicts in the general way."""

    def predict(x):
        with monkeypatch.context() as patch:
            patch.setitem(vars(model), "_planned", NoPlan())
            return model.predict(x)

    return predict


@pytest.fixture
def planned(model, monkeypatch):
    """Return a function that predicts, and fails if the plan does not."""

    def refuse(*arguments, **options):
        raise AssertionError("the general way was used")

    def predict(x):
        with monkeypatch.context() as patch:
            patch.setattr(model_module, "prepare_inputs", refuse)
            return model.predict(x)

    return predict


ROW = {"size": 41.5, "age": 30, "kind": " a ", "NA": "NA"}
MORE = [ROW, {"age": 2, "kind": "c d", "NA": "1", "size": np.float64(38.25)}, {**ROW, "size": 40}]
LISTS = {name: [row[name] for row in MORE] for name in ROW}
ARRAYS = {name: np.array(values) for name, values in LISTS.items()}
PLANNED = {
    "a row": [ROW],
    "rows": MORE,
    "lists": LISTS,
    "arrays": ARRAYS,
    "small types": {
        **ARRAYS, "size": ARRAYS["size"].astype("f4"), "age": ARRAYS["age"].astype("u1"),
    },
    "text as objects": {**ARRAYS, "kind": np.array(LISTS["kind"], object)},
    "more columns": [{**ROW, "id": 2**70, "note": None, "y": "0"}],
    "more lists": {**LISTS, "id": ["x", None, True]},
    "29 rows": [ROW] * 29,
}  # fmt: skip


@pytest.mark.parametrize("name", PLANNED)
def test_usual_cells_are_encoded_with_the_same_bits(name, planned, general):
    np.testing.assert_array_equal(planned(PLANNED[name]), general(PLANNED[name]), strict=True)


def test_columns_of_data_frames_are_encoded_with_the_same_bits(planned, general):
    frame = pytest.importorskip("pandas").DataFrame(LISTS)
    for x in (frame, frame.assign(note="new"), frame.astype({"kind": "category", "size": "f4"})):
        np.testing.assert_array_equal(planned(x), general(x))


OTHER = {
    "no rows": [],
    "30 rows": [ROW] * 30,
    "a number as text": [{**ROW, "age": "30"}],
    "a category as a number": [{**ROW, "NA": 1}],
    "another category": [{**ROW, "kind": "z"}],
    "a truth value": [{**ROW, "age": True}],
    "missing": [{**ROW, "size": None}, ROW],
    "nan": [{**ROW, "size": np.nan}],
    "missing text": [{**ROW, "kind": ""}],
    "infinite": [{**ROW, "size": np.inf}],
    "far": [{**ROW, "size": 1e6}],
    "large": [{**ROW, "age": 2**60}],
    "float32": [{**ROW, "size": np.float32(0.1)}],
    "a list": [{**ROW, "kind": ["a"]}],
    "other keys": [{1: 2, **ROW}],
    "no column": [{"size": 1.0}],
    "not in all rows": [ROW, {"size": 1.0}],
    "lengths": {**LISTS, "size": [1.0]},
    "one value": ROW,
    "numbers as objects": {**LISTS, "size": np.array([41.5, 40, 39], object)},
    "two axes": {**LISTS, "size": np.ones((3, 1))},
    "tuples": {name: tuple(values) for name, values in LISTS.items()},
    "nothing": {},
    "None": None,
    "text": "rows.csv",
}


@pytest.mark.filterwarnings("ignore::nnreg.errors.NnregWarning")
@pytest.mark.parametrize("name", OTHER)
def test_other_cells_are_read_or_refused_in_the_general_way(name, model, general):
    found = []
    for predict in (model.predict, general):
        try:
            found.append(predict(OTHER[name]).tolist())
        except (DataError, TypeError) as error:
            found.append(f"{type(error)} {error}")
    assert found[0] == found[1]
