"""The commands that check a spec before training: validate and run --dry-run."""

import functools
import json
import shutil

import pytest

from nnreg.runs.estimate import estimate
from tests.helpers.paths import MODELS
from tests.helpers.specs import CSV, classifier, csv_data, regressor

CONV = {"type": "conv2d", "filters": 2, "kernel": 3}


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nnreg.runs.estimate.estimate", functools.partial(estimate, seconds=0.05))
    (tmp_path / "data.csv").write_text(CSV)
    good = classifier(data=csv_data())
    first, _, last = good["model"]["layers"]
    three = {"layers": [{"type": "dense", "units": 3}]}
    specs = {
        "good": good,
        "shape": classifier(data=csv_data(), model={"layers": [first, CONV, last]}),
        "wrong": classifier(data=csv_data(), loss="nonsense", train={"epoch": 1}),
        "target": classifier(data=csv_data(target="specis")),
        "monitor": classifier(data=csv_data(), train={"early_stopping": {}}),
        "units": regressor(data=csv_data(), model=three),
    }
    for name, spec in specs.items():
        sections = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in spec.items()]
        (tmp_path / f"{name}.json").write_text("{\n" + ",\n".join(sections) + "\n}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "shown", "path", "message"),
    [
        ("shape", json.dumps(CONV), "$.model.layers[1]", "the input has shape (batch, 8), but"),
        ("wrong", '"nonsense"', "$.loss", "no loss 'nonsense'"),
        ("target", json.dumps(csv_data(target="specis")), "$.data", "; did you mean 'species'?"),
        ("monitor", '{"early_stopping": {}}', "$.train", "early stopping monitors 'val_loss', but"),
        ("units", '{"type": "dense", "units": 3}', "$.model.layers[0]", "gives shape (3,) for one"),
    ],
)  # fmt: skip
def test_every_kind_of_problem_has_file_and_line(directory, nnreg, name, shown, path, message):
    code, out, err = nnreg("validate", f"{name}.json")
    assert (code, out) == (2, "")
    found = json.loads(nnreg("validate", f"{name}.json", "--json")[1])["problems"]
    (problem,) = [one for one in found if one["path"] == path]
    line, start, end = problem["line"], problem["column"], problem["end_column"]
    text = (directory / f"{name}.json").read_text().splitlines()[line - 1]
    assert text[start - 1 : end - 1] == shown
    assert problem["spec"] == problem["file"] == f"{name}.json"
    assert f"  {name}.json:{line}:{start}: {path}: {problem['message']}" in err
    assert message in problem["message"]


def test_run_shows_the_same_lines(directory, nnreg):
    for name in ("shape", "wrong", "units"):
        assert nnreg("run", f"{name}.json")[2] == nnreg("validate", f"{name}.json")[2]
    assert not (directory / "runs").exists()


def test_several_specs_are_checked_at_once(directory, nnreg):
    code, out, err = nnreg("validate", "wrong.json", "good.json", "shape.json", "nowhere.json")
    assert code == 2
    assert out.startswith("good.json: valid\n")
    assert [line for line in err.splitlines() if line.startswith("error: ")] == [
        "error: wrong.json: 2 problems",
        "error: shape.json: 1 problem",
        "error: nowhere.json: cannot read the spec: No such file or directory",
    ]
    found = json.loads(nnreg("validate", "wrong.json", "good.json", "nowhere.json", "--json")[1])
    assert found["valid"] is False
    assert [one["spec"] for one in found["problems"]] == ["wrong.json"] * 2 + ["nowhere.json"]
    assert nnreg("validate", "good.json", "good.json")[0] == 0


def test_json_names_the_set_option_of_a_problem(directory, nnreg):
    found = json.loads(nnreg("validate", "good.json", "--set", "loss=x", "--json")[1])
    (problem,) = found["problems"]
    assert problem.keys() == {"spec", "set", "path", "message"}
    assert (problem["set"], problem["path"]) == ("loss=x", "$.loss")


def test_a_missing_plugin_has_its_own_exit_code(directory, nnreg):
    changes = ("--set", 'requires=["nnreg-nothing"]')
    code, out, _ = nnreg("validate", "good.json", *changes, "--json")
    assert code == 4
    assert "nnreg-nothing" in json.loads(out)["problems"][0]["message"]


class TestDryRun:
    def test_it_prints_shapes_memory_and_time_and_writes_nothing(self, directory, nnreg):
        before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
        code, out, err = nnreg("run", "good.json", "--dry-run")
        assert (code, err) == (0, "")
        for text in ("good.json: valid", "(batch, 8)", "8 training rows", "gradients", "total",
                     "per epoch (1 step)", "for 5 epochs", "nothing was written",
                     "results bit-identical on any number of threads\n",
                     "next: nnreg run good.json"):  # fmt: skip
            assert text in out
        assert {
            path: path.read_bytes() for path in directory.rglob("*") if path.is_file()
        } == before

    def test_the_next_command_has_the_changes(self, directory, nnreg):
        (directory / "my spec.json").write_bytes((directory / "good.json").read_bytes())
        out = nnreg("run", "my spec.json", "--dry-run", "--set", 'metrics=["f1"]')[1]
        assert out.endswith("next: nnreg run 'my spec.json' --set 'metrics=[\"f1\"]'\n")
        spec = (directory / "good.json").read_text()
        assert nnreg("run", "-", "--dry-run", stdin=spec)[1].endswith("nothing was written\n")

    def test_json_has_the_numbers(self, directory, nnreg):
        found = json.loads(nnreg("run", "good.json", "--dry-run", "--json")[1])
        assert found["layers"][0]["output"] == "(batch, 8)"
        assert found["rows"] == {"train": 8}
        assert (found["threads"], found["shards"], found["reproducible"]) == (1, 1, True)
        assert found["parameters"] == sum(layer["parameters"] for layer in found["layers"])
        memory = found["memory_bytes"]
        assert memory.pop("total") == sum(memory.values())
        assert memory["optimizer"] == 2 * memory["parameters"] == 8 * found["parameters"]
        assert found["seconds"] == pytest.approx(5 * found["seconds_per_epoch"])

    def test_the_time_of_folds_is_that_of_all_trainings(self, directory, nnreg):
        out = nnreg("run", "good.json", "--dry-run", "--json", "--set", "train.folds=2")[1]
        found = json.loads(out)
        assert found["seconds"] == pytest.approx(10 * found["seconds_per_epoch"])
        assert (
            "  for 2 folds" in nnreg("run", "good.json", "--dry-run", "--set", "train.folds=2")[1]
        )

    def test_it_reports_the_same_errors_as_a_run(self, directory, nnreg):
        assert nnreg("run", "shape.json", "--dry-run") == nnreg("run", "shape.json")
        code, _, err = nnreg(
            "run", "good.json", "--dry-run", "--set", "optimizer.learning_rate=1e39"
        )
        assert code == 3
        assert "is not finite" in err

    def test_plugins_receive_no_events(self, directory, nnreg):
        (directory / "nnregfile.py").write_text(
            "from nnreg import hookimpl\n"
            "@hookimpl\n"
            "def nnreg_run_started(run): open('received', 'w')\n"
        )
        assert nnreg("run", "good.json", "--dry-run")[0] == 0
        assert not (directory / "received").exists()

    def test_a_model_from_the_repository_is_estimated(self, directory, nnreg):
        for name in ("penguins.json", "penguins.csv"):
            shutil.copy(MODELS / name, directory)
        assert ", or less if it stops early" in nnreg("run", "penguins.json", "--dry-run")[1]


def test_a_warning_of_each_fold_is_printed_once(spec, nnreg):
    metric = '--set=metrics=[{"type": "f1", "average": "binary"}]'
    folds = "--set=train.folds=2", "--set=data.split={}"
    assert nnreg("run", "plain.json", "--quiet", "--out", "out", metric, *folds)[::2] == (
        0,
        "note: the f1 is that of class 'red', the second of 'blue' and 'red'; set 'positive' to "
        "the class that is meant\n",
    )


WRONG = """
from dataclasses import dataclass
from nnreg import Activation, hookimpl

@dataclass(frozen=True)
class Wrong(Activation):
    def forward(self, x):
        return x * x, lambda dy: dy * x

@hookimpl
def nnreg_activations():
    return {"wrong": Wrong}
"""


@pytest.mark.parametrize("command", [["validate"], ["run", "--dry-run"]])
@pytest.mark.parametrize("folds", [None, 3])
def test_a_plugin_that_fails_its_checks_is_refused_without_no_check(
    nnreg, tmp_path, monkeypatch, command, folds
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong.py").write_text(WRONG)
    (tmp_path / "data.csv").write_text(CSV)
    layers = [{"type": "dense", "units": 3, "activation": "wrong"},
              {"type": "dense", "units": "classes", "activation": "softmax"}]  # fmt: skip
    train = {"epochs": 1, **({"folds": folds} if folds else {})}
    (tmp_path / "spec.json").write_text(
        json.dumps(
            classifier(data=csv_data(unseen="ignore"), model={"layers": layers}, train=train)
        )
    )
    call = [*command, "spec.json", "--plugin", "wrong.py"]
    code, out, err = nnreg(*call)
    assert code == 1, out
    assert "the gradient is not that of its output" in err
    code, out, err = nnreg(*call, "--no-check")
    assert code == 0, err
