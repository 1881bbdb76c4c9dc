"""A run and its directory."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest

import nnreg
from nnreg import CheckpointError, DataError, DivergedError, SpecError, UsageError
from nnreg.checkpoint.file_format import Checkpoint, read_checkpoint, write_checkpoint
from nnreg.network.parameters import views
from nnreg.runs.directory import create_numbered
from nnreg.runs.run import prepare_run
from tests.helpers.specs import CSV, classifier, csv_data, regressor

SPLIT = {"validation": 0.25, "test": 0.25}


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(CSV)
    spec = classifier(data=csv_data(split=SPLIT, unseen="ignore"))
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    return tmp_path / "spec.json"


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def records(directory):
    return lines(directory / "metrics.jsonl")


def read(path):
    return json.loads(path.read_text())


def content(path):
    return path.read_bytes()


def test_a_run_writes_its_files(spec, tmp_path):
    model = nnreg.run(spec, out=tmp_path / "out", overrides=["train.epochs=7"])
    out = tmp_path / "out"
    files = {str(file.relative_to(out)) for file in out.rglob("*") if file.is_file()}
    assert files == {
        "spec.json", "resolved.json", "environment.json", "metrics.jsonl", "gradients.jsonl",
        "summary.json", "checkpoints/best.h5", "checkpoints/last.h5",
    }  # fmt: skip
    assert records(out) == [dict(record) for record in model.history]
    assert list(records(out)[0]) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    summary = json.loads((out / "summary.json").read_text())
    assert summary["epochs"] == 7
    assert summary["stopped"] == "epochs"
    assert summary["test"].keys() == {"loss", "accuracy"}
    assert 0 <= summary["baseline"]["accuracy"] <= 1


@pytest.mark.parametrize("text", ["{0}", "\ufeff// mine\r\n{0}\r\n", "{0} /* end */"])
def test_the_spec_is_copied_byte_for_byte_and_overrides_are_recorded(spec, tmp_path, text):
    given = text.replace("{0}", spec.read_text()).encode()
    spec.write_bytes(given)
    nnreg.run(spec, out=tmp_path / "out", overrides=["train.epochs=2"])
    assert content(tmp_path / "out/spec.json") == given
    assert read(tmp_path / "out/environment.json")["overrides"] == ["train.epochs=2"]
    nnreg.resume(tmp_path / "out", overrides=["train.epochs=3"])
    assert content(tmp_path / "out/spec.json") == given
    assert read(tmp_path / "out/resolved.json")["train"]["epochs"] == 3


def test_the_resolved_spec_has_every_option_and_trains_bit_identically(spec, tmp_path):
    held_out = CSV.splitlines()[:1] + CSV.splitlines()[-3:]
    (tmp_path / "held out.csv").write_text("\n".join(held_out) + "\n")
    changes = ['data.split={"validation": "held out.csv"}', "optimizer=adam"]
    nnreg.run(spec, out=tmp_path / "runs/out", overrides=changes)
    resolved = tmp_path / "runs/out/resolved.json"
    tree = read(resolved)
    assert tree["optimizer"].keys() == {"type", "learning_rate", "beta1", "beta2", "epsilon"}
    assert tree["data"]["path"] == "../../data.csv"
    assert tree["data"]["split"]["validation"] == "../../held out.csv"
    nnreg.run(resolved, out=tmp_path / "again")
    for file in ("metrics.jsonl", "gradients.jsonl"):
        assert content(tmp_path / "runs/out" / file) == content(tmp_path / "again" / file)
    assert read(tmp_path / "again/resolved.json") == {
        **tree,
        "data": {
            **tree["data"],
            "path": "../data.csv",
            "split": {**tree["data"]["split"], "validation": "../held out.csv"},
        },
    }


def test_the_environment_has_versions_commands_and_those_of_earlier_runs(
    spec, tmp_path, monkeypatch
):
    monkeypatch.setattr(sys, "argv", ["/bin/nnreg", "run", "a b.json"])
    git = ["git", "-c", "user.name=me", "-c", "user.email=me@example.com"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "spec.json"], check=True)
    subprocess.run([*git, "commit", "-qm", "a spec"], check=True)
    nnreg.run(spec, out=tmp_path / "out")
    first = read(tmp_path / "out/environment.json")
    assert first["command"] == ["nnreg", "run", "a b.json"]
    assert {"python", "numpy", "blas", "platform", "processor", "threads", "kernels"} < first.keys()
    assert first["distributions"]["nnreg"] == nnreg.__version__
    assert first["distributions"].keys() > {"numpy", "h5py", "pydantic"}
    (digest,) = first["data"].values()
    assert digest == hashlib.sha256(CSV.encode()).hexdigest()
    assert first["started"].endswith("+00:00")
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    assert first["git"] == {"commit": commit.stdout.strip()}
    monkeypatch.setattr(sys, "argv", ["nnreg", "resume"])
    nnreg.resume(tmp_path / "out", overrides=["train.epochs=6"])
    then = read(tmp_path / "out/environment.json")
    assert then["command"] == ["nnreg", "resume"]
    assert then["git"] == first["git"]
    assert then["earlier"] == [first]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("environment.json", '{"python": ', "not JSON: Expecting value: line 1 column 12"),
        ("environment.json", "[1]", "not a JSON object"),
        ("environment.json", '{"python": "3", "earlier": 3}', '"earlier" is not a list'),
        ("environment.json", b"\xff", "not text"),
        ("environment.json", 100_000 * "[", "not JSON: maximum recursion depth"),
        ("summary.json", "3", "not a JSON object"),
        ("summary.json", '{"a": 1}' * 2, "not JSON: Extra data"),
    ],
)
def test_a_file_that_nnreg_did_not_write_is_never_replaced(spec, tmp_path, name, content, problem):
    nnreg.run(spec, out=tmp_path / "out")
    content = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "out" / name).write_bytes(content)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=f"out/{name}: {problem}.*; restore or remove the file"):
        nnreg.resume(tmp_path / "out", overrides=["train.epochs=6"])
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_the_norm_of_each_layers_last_gradient_is_recorded_per_epoch(spec, tmp_path):
    run = prepare_run(spec, out=tmp_path / "out")
    expected = []

    def record_norms(record):
        gradients = views(run._trainer._shards.gradient, run.model.network.params)
        norms = {
            layer: np.sqrt(sum(np.sum(np.square(gradients[f"{layer}/{name}"], dtype=np.float64))
                               for name in ("weight", "bias")))
            for layer in ("layers/0", "layers/2")
        }  # fmt: skip
        expected.append({"epoch": record["epoch"], **norms})

    run.train(record_norms)
    found = lines(tmp_path / "out/gradients.jsonl")
    assert len(found) == len(expected) == 5
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other)


def test_gradient_records_beyond_the_checkpoint_are_removed(spec, tmp_path):
    nnreg.run(spec, out=tmp_path / "whole")
    nnreg.run(spec, out=tmp_path / "out", overrides=["train.epochs=2"])
    file = tmp_path / "out/gradients.jsonl"
    with file.open("a") as target:
        target.write('{"epoch": 3, "layers/0": 1.0}\n{"epoch": 4, "lay')
    nnreg.resume(tmp_path / "out", overrides=["train.epochs=5"])
    assert content(file) == content(tmp_path / "whole/gradients.jsonl")


def test_runs_that_start_at_the_same_time_get_separate_directories(spec, tmp_path):
    first, second = (prepare_run(spec, out=create_numbered("spec")) for _ in range(2))
    assert first.directory == second.directory
    first.train()
    second.train()
    assert (str(first.directory), str(second.directory)) == ("runs/spec-001", "runs/spec-002")
    assert content(first.directory / "metrics.jsonl") == content(second.directory / "metrics.jsonl")


def test_best_predicts_as_the_returned_model_and_last_is_resumable(spec, tmp_path):
    model = nnreg.run(spec, out=tmp_path / "out")
    best = nnreg.load(tmp_path / "out" / "checkpoints" / "best.h5")
    rows = [{"island": "north", "length": 1, "depth": 5}]
    assert best.predict(rows).tobytes() == model.predict(rows).tobytes()
    assert nnreg.load(tmp_path / "out" / "checkpoints" / "last.h5").resumable


def test_without_out_nothing_is_written(spec, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    nnreg.run(spec)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_same_spec_gives_identical_files_twice(spec, tmp_path):
    for name in ("a", "b"):
        nnreg.run(spec, out=tmp_path / name)
    for file in ("metrics.jsonl", "checkpoints/best.h5", "checkpoints/last.h5"):
        assert content(tmp_path / "a" / file) == content(tmp_path / "b" / file)


def test_a_resumed_run_is_bit_identical_to_an_uninterrupted_one(spec, tmp_path):
    nnreg.run(spec, out=tmp_path / "once", overrides=["train.epochs=10"])
    nnreg.run(spec, out=tmp_path / "resumed", overrides=["train.epochs=4"])
    command = "import nnreg, sys; nnreg.resume(sys.argv[1], overrides=['train.epochs=10'])"
    subprocess.run([sys.executable, "-c", command, str(tmp_path / "resumed")], check=True)
    for file in ("spec.json", "metrics.jsonl", "checkpoints/best.h5", "checkpoints/last.h5"):
        assert content(tmp_path / "once" / file) == content(tmp_path / "resumed" / file)


def test_a_checkpoint_file_resumes_in_its_run(spec, tmp_path):
    nnreg.run(spec, out=tmp_path / "out")
    nnreg.resume(tmp_path / "out" / "checkpoints" / "last.h5", overrides=["train.epochs=6"])
    assert len(records(tmp_path / "out")) == 6


def test_an_existing_run_is_not_overwritten(spec, tmp_path):
    nnreg.run(spec, out=tmp_path / "out")
    with pytest.raises(UsageError, match="already has a run; choose another directory or"):
        nnreg.run(spec, out=tmp_path / "out")


def test_a_run_does_not_resume_on_other_data(spec, tmp_path):
    nnreg.run(spec, out=tmp_path / "out")
    (tmp_path / "data.csv").write_text(CSV.replace("4.4", "4.5"))
    with pytest.raises(DataError, match="not the data that it was trained on"):
        nnreg.resume(tmp_path / "out")


def test_the_best_weights_alone_do_not_resume(spec, tmp_path):
    nnreg.run(spec, out=tmp_path / "out")
    with pytest.raises(UsageError, match=r"resume its last\.h5"):
        nnreg.resume(tmp_path / "out" / "checkpoints" / "best.h5")


def test_a_directory_without_a_checkpoint_does_not_resume(tmp_path):
    with pytest.raises(CheckpointError, match=r"has no checkpoints/last\.h5"):
        nnreg.resume(tmp_path)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"loss": "nonsense"}, SpecError),
        ({"data": csv_data(target="nothing")}, DataError),
        ({"data": csv_data(path="nowhere.csv")}, DataError),
        ({"model": {"layers": [{"type": "lstm", "units": 2}]}}, SpecError),
        ({"metrics": ["r2"]}, SpecError),
        ({"train": {"early_stopping": {}}}, UsageError),
    ],
)
def test_bad_input_writes_nothing(spec, tmp_path, change, error):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error):
        nnreg.run(classifier(**{"data": csv_data(), **change}), out=tmp_path / "out")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_that_diverges_keeps_the_last_finite_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text("x,y\n1,1\n2,2\n3,5\n4,4\n")
    data = csv_data(target="y", inputs=["x"])
    diverging = regressor(
        data=data, optimizer={"type": "sgd", "learning_rate": 1e30}, train={"epochs": 50}
    )
    with pytest.raises(DivergedError):
        nnreg.run(diverging, out="out")
    last = nnreg.load("out/checkpoints/last.h5")
    done = last.training_state.epoch
    assert 1 <= done < 50
    assert len(records(tmp_path / "out")) == done
    assert json.loads((tmp_path / "out/summary.json").read_text())["stopped"] == "diverged"
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    fresh = nnreg.run({**diverging, "train": {"epochs": done}})
    assert fresh.network.vector.tobytes() == last.network.vector.tobytes()


def test_an_interrupted_run_is_saved(spec, tmp_path):
    def interrupt(record):
        if record["epoch"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nnreg.run(spec, out=tmp_path / "out", on_epoch=interrupt)
    nnreg.resume(tmp_path / "out")
    nnreg.run(spec, out=tmp_path / "whole")
    assert content(tmp_path / "out/metrics.jsonl") == content(tmp_path / "whole/metrics.jsonl")


def test_data_may_be_passed_in():
    from tests.helpers.specs import blobs

    model = nnreg.run(classifier(), data=blobs())
    assert len(model.history) == 5
    with pytest.raises(SpecError, match=r"\$\.data: required"):
        nnreg.run(classifier())


def test_a_data_file_is_read_only_if_the_checkpoint_has_its_digest(spec, tmp_path):
    nnreg.run(spec, out=tmp_path / "out")
    file = tmp_path / "out" / "checkpoints" / "last.h5"
    saved = read_checkpoint(file)
    for digests in ({}, {"data.csv": "0" * 64}, {**saved.document["data"], "more": "0" * 64}):
        write_checkpoint(file, Checkpoint({**saved.document, "data": digests}, saved.arrays))
        with pytest.raises(DataError, match="trained on"):
            nnreg.resume(tmp_path / "out")


def test_a_data_file_that_is_a_pipe_is_rejected_without_waiting(spec, tmp_path):
    (tmp_path / "data.csv").unlink()
    os.mkfifo(tmp_path / "data.csv")
    with pytest.raises(DataError, match=r"data\.csv: cannot read the data: not a regular file"):
        nnreg.run(spec)


def test_a_resumed_run_adds_its_seconds_to_the_earlier_ones(spec, tmp_path):
    summary = tmp_path / "out/summary.json"
    nnreg.run(spec, out=tmp_path / "out")
    summary.write_text(json.dumps({**read(summary), "seconds": 1000.0}))
    nnreg.resume(tmp_path / "out")
    assert 1000 <= read(summary)["seconds"] < 2000
    nnreg.resume(tmp_path / "out", overrides=["train.epochs=9"])
    assert 1000 <= read(summary)["seconds"] < 2000


@pytest.mark.parametrize("text", ["", "{}", '{"seconds": "x"}', '{"seconds": 1e999}'])
def test_a_resumed_run_whose_summary_is_lost_counts_from_there(spec, tmp_path, text):
    nnreg.run(spec, out=tmp_path / "out")
    (tmp_path / "out/summary.json").write_text(text)
    nnreg.resume(tmp_path / "out", overrides=["train.epochs=9"])
    assert 0 <= read(tmp_path / "out/summary.json")["seconds"] < 500
