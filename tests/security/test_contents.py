"""A checkpoint with a valid digest and one impossible value is refused wherever it is read."""

import contextlib
import io
import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnreg as package
from nnreg.cli.app import main
from nnreg.errors import CheckpointError, DataError, MissingPluginError
from tests.security.contents import SPECS, Original

MOMENT, VARIANCE = "optimizer/v", "state/layers/1/running_variance"
NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    return {name: Original(tmp_path_factory.mktemp(name), spec) for name, spec in SPECS.items()}


def put(name, value):
    """Return a change of the last value of an array."""
    return lambda document, arrays: arrays[name].reshape(-1).__setitem__(-1, value)


def state(*path, **values):
    """Return a change of the keys of an object in the document."""

    def change(document, arrays):
        for key in path:
            document = document[key]
        document.update(values)

    return change


def rename(old, new):
    return lambda document, arrays: arrays.__setitem__(new, arrays.pop(old))


INPUTS, TARGET, PROGRESS = ("preprocessing", "inputs"), ("preprocessing", "target"), ("progress",)
PARTIAL, STREAM = ("progress", "partial"), ("progress", "partial", "streams", 0)

ARRAYS = [
    (put(VARIANCE, -1), rf"'{VARIANCE}' are negative, such as -1.0; expected numbers >= 0"),
    (put(VARIANCE, NAN), rf"'{VARIANCE}' are not finite, such as nan"),
    (put("state/layers/1/running_mean", INF), "running_mean' are not finite"),
    (put("best/state", -1), "'best/state, layers/1/running_variance' are negative"),
    (put("best/state", NAN), "'best/state' are not finite"),
    (put("best/parameters", NAN), "'best/parameters' are not finite"),
    (put("average/state", -1), "'average/state, layers/1/running_variance' are negative"),
    (put("average/parameters", INF), "'average/parameters' are not finite"),
    (put("parameters/layers/0/weight", INF), "'parameters/layers/0/weight' are not finite"),
    (put("optimizer/m", INF), "'optimizer/m' are not finite, such as inf; expected finite"),
    (put(MOMENT, NAN), f"'{MOMENT}' are not finite"),
    (put(MOMENT, -1e-9), f"'{MOMENT}' are negative"),
    (rename("best/state", "best/other"), "'best/state' is missing"),
    (lambda d, a: [a.pop(f"best/{name}") for name in ("state", "parameters")],
     "'best/parameters' is missing"),
    (state(*PROGRESS, unfrozen={"layers/9/weight": 1}),
     r"\$.progress.unfrozen: 'layers/9/weight' is not a parameter"),
]  # fmt: skip
"""Changes that are found when the model is known: `inspect` needs no plugins, `--verify` does."""

DOCUMENTS = [
    (state(*PROGRESS, best_epoch=99), r"\$.progress: the best epoch is 99 of 1"),
    (state(*PROGRESS, epoch=2), "'history' is float64"),
    (state(*PROGRESS, step=1), r"\$.progress: 1 epochs cannot be 1 steps"),
    (state(*PROGRESS, averaged=99), "99 of . steps are averaged"),
    (state(*PROGRESS, resumable=False, averaged=0), r"\$.progress: .* not resumable"),
    (state(*PROGRESS, unfrozen={"layers/0/weight": 99}), "unfrozen after more than"),
    (state(*PARTIAL, seen=0), r"\$.progress.partial: 0 of 6"),
    (state(*PARTIAL, seen=6), "6 of 6 examples are not an unfinished epoch"),
    (state(*PARTIAL, examples="abc"), "examples: must be a SHA-256, found 'abc'"),
    (state(*STREAM, inc="2"), r"streams\[0\]: inc: must be odd, found 2"),
    (state(*STREAM, state="-1"), r"must be a number below 2\*\*128"),
    (state(*STREAM, uinteger=2**32), "uinteger: must be"),
    (state("data", **{"data.csv": "x"}), "data: must be a SHA-256, found 'x'"),
    (state("started_from", **{"a.h5": ""}), "started_from: must be a SHA-256"),
    (lambda d, a: d["history"].__setitem__(2, "loss"), "two columns of the same name"),
    (lambda d, a: d["history"].__setitem__(1, "other"), "'history' does not have the loss"),
    (lambda d, a: a["history"][:, 1].fill(NAN), "'history' does not have the loss"),
    (lambda d, a: a["history"][:, 0].fill(7), "does not number its epochs from 1"),
    (state(*TARGET, names=[]), r"target.names: must not be empty"),
    (state(*TARGET, names=["", "red"]), "names: must not contain an empty text"),
    (state(*TARGET, names=["red", "red"]), "names: must be distinct, found 'red' twice"),
    (state(*TARGET, names=["1", "1.0"], kind="number"), "distinct, found '1' twice"),
    (state(*TARGET, names=["nan", "1"], kind="number"), "'nan' is not a finite number"),
    (state(*TARGET, names=["inf", "1"], kind="number"), "'inf' is not a finite number"),
    (state(*TARGET, names=["1e5", "1"], kind="integer"), "'1e5' is not a finite integer"),
    (state(*TARGET, kind="boolean"), "'blue' is not a finite boolean"),
    (state(*INPUTS, 0, categories=["north", "north"]), "distinct, found 'north' twice"),
    (state(*INPUTS, 0, fill="east"), "fill: must be one of the categories, found 'east'"),
    (state(*INPUTS, 1, std=0.0), r"inputs\[1\].std: must be greater than 0"),
    (state(*INPUTS, 1, std=-1.0), r"inputs\[1\].std: must be greater than 0"),
]  # fmt: skip

NUMBERS = [
    (state(*TARGET, mean=[1.0, 2.0]), "2 means and 1 deviations do not fit the columns length"),
    (state(*TARGET, std=[]), "1 means and 0 deviations do not fit"),
    (state(*TARGET, mean=[], std=[]), "0 means and 0 deviations do not fit"),
    (state(*TARGET, std=[0.0]), r"std\[0\]: must be greater than 0"),
    (state(*TARGET, names=["length", "depth"]), "do not fit the columns length, depth"),
]

TABLE = [
    *(("classes", change, message, True) for change, message in ARRAYS),
    *(("classes", change, message, False) for change, message in DOCUMENTS),
    *(("numbers", change, message, False) for change, message in NUMBERS),
]


@pytest.mark.parametrize(
    ("spec", "change", "message", "needs_model"), TABLE, ids=[row[2] for row in TABLE]
)
def test_an_impossible_value_is_refused_by_load_inspect_resume_and_predict(
    originals, nnreg, monkeypatch, spec, change, message, needs_model
):
    original = originals[spec]
    document, arrays = original.content()
    change(document, arrays)
    file = original.write(document, arrays)
    monkeypatch.chdir(file.parents[2])
    with pytest.raises(CheckpointError, match=f"(?s){re.escape(str(file))}: .*{message}"):
        package.load(file)
    inspect = ["inspect", "--verify"] if needs_model else ["inspect"]
    for command in (inspect, ["resume"], ["predict"]):
        code, out, err = nnreg(*command, file, *(["data.csv"] * (command == ["predict"])))
        assert code == 1, command
        assert re.search(message, " ".join((out + err).split())), command
        assert "a bug in nnreg" not in err


@pytest.mark.parametrize("name", SPECS)
def test_the_unchanged_checkpoint_is_read_by_load_inspect_resume_and_predict(
    originals, nnreg, monkeypatch, name
):
    original = originals[name]
    file = original.write(*original.content())
    monkeypatch.chdir(file.parents[2])
    package.load(file)
    commands = ["inspect", file], ["inspect", "--verify", file], ["predict", file, "data.csv"]
    for command in (*commands, ["resume", file]):
        assert nnreg(*command)[0] == 0, command


def leaves(tree, path=()):
    """Yield the path of every value in a JSON tree that contains no other."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        if isinstance(value, dict | list) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([1e308, -1e308, 5e-324, -0.0, 2**53, 2**63])
    | st.text(max_size=8)
    | st.sampled_from(["", ".", "..", "\0", "classes", "adam", "relu", "NaN", "nnreg", "0"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


def replaced(document, path, value):
    tree = document
    for key in path[:-1]:
        tree = tree[key]
    tree[path[-1]] = value


def command_output(*args):
    """Return the exit code and the output of a command."""
    out = io.StringIO()
    redirected = contextlib.redirect_stdout(out), contextlib.redirect_stderr(out)
    with redirected[0], redirected[1], pytest.raises(SystemExit) as caught:
        main(list(map(str, args)))
    return caught.value.code, out.getvalue()


ROWS = [{"island": "north", "length": 1.1, "depth": 5.2}, {"island": "", "length": 4, "depth": 3}]


def outcome(file):
    """Load a checkpoint and predict; return what happened."""
    try:
        model = package.load(file)
    except (CheckpointError, MissingPluginError):
        return "refused"
    try:
        predictions = model.predict(ROWS)
    except DataError:  # it takes other columns, or numbers of another size
        return "loaded"
    assert np.isfinite(predictions).all()
    return "loaded"


@pytest.mark.parametrize("name", SPECS)
def test_a_document_with_any_value_replaced_loads_or_is_refused(originals, name):
    original = originals[name]
    paths = list(leaves(original.content()[0]))

    @settings(max_examples=150)
    @given(st.sampled_from(paths), VALUES)
    def check(path, value):
        document, arrays = original.content()
        replaced(document, path, value)
        file = original.write(document, arrays)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = outcome(file)
            code, text = command_output("inspect", file)
        assert "a bug in nnreg" not in text
        assert code == 0 or (code == 1 and found == "refused"), text

    check()
