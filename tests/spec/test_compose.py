"""A spec made of files that extend each other, environment variables, and --set changes."""

import json
import time

import pytest

import nnreg
from nnreg import SpecError, UsageError
from nnreg.checkpoint.save_load import from_checkpoint, to_checkpoint
from nnreg.spec.compose import MOST_FILES
from nnreg.spec.document import read_spec
from tests.helpers.specs import CSV, blobs, classifier, csv_data


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Write specs by name, in the folder that is worked in; return their folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(CSV)

    def write(**specs):
        for name, spec in specs.items():
            file = tmp_path / f"{name.replace('__', '/')}.json"
            file.parent.mkdir(exist_ok=True)
            file.write_text(spec if isinstance(spec, str) else json.dumps(spec))
        return tmp_path

    return write


def tree_of(*args, **kwargs):
    return read_spec(*args, **kwargs).tree


def problems_of(*args):
    with pytest.raises(SpecError) as caught:
        read_spec(*args)
    return [str(problem) for problem in caught.value.problems]


class TestExtends:
    def test_objects_merge_and_everything_else_replaces(self, files):
        files(
            base=classifier(metrics=["accuracy", "f1"], train={"epochs": 5, "batch_size": 8}),
            spec={"extends": "base.json", "metrics": ["f1"], "train": {"epochs": 9}, "seed": 3},
        )
        assert tree_of("spec.json") == classifier(
            metrics=["f1"], train={"epochs": 9, "batch_size": 8}, seed=3
        )

    def test_null_takes_a_key_away(self, files):
        files(
            base=classifier(data=csv_data(), train={"epochs": 5, "early_stopping": {}}),
            spec={"extends": "base.json", "train": {"early_stopping": None}, "data": None},
        )
        assert tree_of("spec.json") == classifier(train={"epochs": 5})

    def test_null_is_a_value_where_there_is_nothing_to_take_away(self, files):
        files(spec=classifier(seed=None), again={"extends": "spec.json", "seed": None})
        assert "$.seed: must be a valid integer, found null" in problems_of("spec.json")[0]
        assert "seed" not in tree_of("again.json")

    @pytest.mark.parametrize(
        ("base", "over", "merged"),
        [
            ({"type": "adam", "beta1": 0.8}, "sgd", "sgd"),
            ({"type": "adam", "beta1": 0.8}, "adam", "adam"),
            ({"type": "adam", "beta1": 0.8}, {"type": "sgd", "momentum": 0.5},
             {"type": "sgd", "momentum": 0.5}),
            ({"type": "adam", "beta1": 0.8}, {"type": "adam", "beta2": 0.9},
             {"type": "adam", "beta1": 0.8, "beta2": 0.9}),
            ({"type": "adam", "beta1": 0.8}, {"beta2": 0.9},
             {"type": "adam", "beta1": 0.8, "beta2": 0.9}),
            ({"type": "adam", "beta1": 0.8}, {"beta1": None}, {"type": "adam"}),
            ("adam", {"beta2": 0.9}, {"type": "adam", "beta2": 0.9}),
            ("adam", {"type": "adam", "beta2": 0.9}, {"type": "adam", "beta2": 0.9}),
            ("adam", {"type": "sgd", "momentum": 0.5}, {"type": "sgd", "momentum": 0.5}),
        ],
    )  # fmt: skip
    def test_options_of_one_component_do_not_leak_into_another(self, files, base, over, merged):
        files(base=classifier(optimizer=base), spec={"extends": "base.json", "optimizer": over})
        assert tree_of("spec.json")["optimizer"] == merged

    def test_a_column_named_type_is_a_column(self, files):
        own = {"columns": {"type": "words", "depth": "number"}}
        own["class_weights"] = {"type": 1, "b": 2}
        over = {"columns": {"type": "number"}, "class_weights": {"type": 3}}
        files(base=classifier(data=csv_data(**own)), spec={"extends": "base.json", "data": over})
        data = tree_of("spec.json")["data"]
        assert data["columns"] == {"type": "number", "depth": "number"}
        assert data["class_weights"] == {"type": 3, "b": 2}

    def test_of_several_the_later_counts_and_the_spec_most(self, files):
        files(
            one=classifier(train={"epochs": 1, "batch_size": 1, "l2": 0.1}),
            two={"train": {"epochs": 2, "batch_size": 2}},
            spec={"extends": ["one.json", "two.json"], "train": {"epochs": 3}},
        )
        assert tree_of("spec.json")["train"] == {"epochs": 3, "batch_size": 2, "l2": 0.1}

    def test_what_is_extended_may_extend(self, files):
        files(
            a=classifier(train={"epochs": 1, "l1": 0.1}),
            b={"extends": "a.json", "train": {"epochs": 2, "l2": 0.1}},
            spec={"extends": "b.json"},
        )
        document = read_spec("spec.json")
        assert document.tree["train"] == {"epochs": 2, "l1": 0.1, "l2": 0.1}
        assert [text.name for text in document.texts] == ["a.json", "b.json", "spec.json"]
        assert document.texts[0].path == (files() / "a.json").resolve()
        assert json.loads(document.texts[-1].text) == {"extends": "b.json"}

    def test_data_are_sought_from_the_folder_of_the_file_that_names_them(self, files):
        folder = files(
            shared__base=classifier(data=csv_data(path="../data.csv", split={"test": "t.csv"})),
            own__spec={"extends": "../shared/base.json"},
            own__other={"extends": "../shared/base.json", "data": {"path": "d.csv"}},
            own__absolute={"extends": "../shared/base.json", "data": {"path": "/d.csv"}},
        )
        (folder / "shared" / "t.csv").write_text(CSV)
        data = tree_of("own/spec.json")["data"]
        assert data["path"] == "../shared/../data.csv"
        assert data["split"]["test"] == "../shared/t.csv"
        assert tree_of("own/other.json")["data"]["path"] == "d.csv"
        assert tree_of("own/absolute.json")["data"]["path"] == "/d.csv"
        assert nnreg.build("own/spec.json").classes == ("blue", "red")

    def test_what_is_saved_is_the_whole_spec(self, files):
        folder = files(
            base=classifier(data=csv_data()), spec={"extends": "base.json", "train": {"epochs": 2}}
        )
        nnreg.run("spec.json", out="out")
        (folder / "base.json").unlink()
        assert nnreg.load("out").document.tree == classifier(data=csv_data(), train={"epochs": 2})
        assert nnreg.resume("out", overrides=["train.epochs=3"]).progress.epoch == 3

    def test_a_mistake_is_told_in_the_file_that_made_it(self, files):
        files(
            a=json.dumps(classifier(loss="cross_entropi"), indent=1),
            spec='{"extends": "a.json",\n "train": {"epoch": 3},\n "optimizer": {"beta3": 1}}',
        )
        first, second, third = problems_of("spec.json")
        assert first.startswith("a.json:20:10: $.loss: no loss 'cross_entropi'")
        assert second.startswith("spec.json:2:12: $.train.epoch: unknown key 'epoch'")
        assert third.startswith("spec.json:3:16: $.optimizer.beta3: unknown key 'beta3'")

    def test_what_is_not_given_anywhere_is_missed_in_the_spec_itself(self, files):
        files(a={"loss": "huber"}, spec={"extends": "a.json", "model": {"layers": ["flatten"]}})
        assert problems_of("spec.json") == [
            "spec.json:1:1: $.optimizer: required, but not given"
        ]  # fmt: skip

    def test_what_is_taken_away_and_missed_is_told_where_it_was_taken_away(self, files):
        files(a=classifier(), spec='{"extends": "a.json",\n "optimizer": null}')
        (problem,) = problems_of("spec.json")
        assert problem == "spec.json:2:15: $.optimizer: required, but not given"

    def test_large_files_are_merged_in_no_time(self, files):
        keys = {f"key {number}": {"x": number} for number in range(8_000)}
        files(
            a={"data": keys},
            b={"extends": "a.json", "data": dict.fromkeys(keys, 1)},
            spec={"extends": "b.json", "data": dict.fromkeys(keys, 2)},
        )
        began = time.perf_counter()
        assert len(problems_of("spec.json")) == 4
        assert time.perf_counter() - began < 2

    def test_files_that_extend_each_other_are_refused_with_the_chain(self, files):
        files(a={"extends": "b.json"}, b={"extends": ["c.json"]}, c={"extends": "a.json"})
        assert problems_of("a.json") == [
            "c.json:1:13: $.extends: the files extend each other: "
            "a.json extends b.json extends c.json extends a.json"
        ]
        files(a={"extends": "a.json"})
        assert "a.json extends a.json" in problems_of("a.json")[0]

    def test_the_number_of_files_is_bounded(self, files):
        chain = {f"s{n}": {"extends": f"s{n + 1}.json"} for n in range(MOST_FILES + 1)}
        files(**chain, **{f"s{MOST_FILES + 1}": classifier()})
        assert f"more than {MOST_FILES} files" in problems_of("s0.json")[0]
        assert read_spec("s2.json")
        doubling = {f"d{n}": {"extends": [f"d{n + 1}.json"] * 2} for n in range(40)}
        files(**doubling, d40=classifier())
        assert f"more than {MOST_FILES} files" in problems_of("d0.json")[0]

    @pytest.mark.parametrize(
        ("extends", "message"),
        [
            (3, '$.extends: must be the name of a spec, such as "base.json", or a list of names'),
            ([""], "$.extends[0]: must be the name of a spec"),
            ([None], "found null"),
            ({"file": "a.json"}, "$.extends: must be the name of a spec"),
            ("nowhere.json", "$.extends: cannot read nowhere.json: No such file"),
            (["data.csv"], "data.csv:1:1: $: not JSON"),
            (".", "not a regular file"),
            ("\0", "embedded null"),
            ("list.json", "list.json must hold a JSON object"),
            ("${env:NNREG_NOTHING}", "'NNREG_NOTHING' is not set"),
        ],
    )
    def test_a_base_that_is_none_is_refused_with_its_place(self, files, extends, message):
        files(spec={"extends": extends}, list=[])
        (problem,) = problems_of("spec.json")
        assert message in problem
        assert problem.startswith(("spec.json:1:", "data.csv:1:1"))

    def test_only_a_file_extends(self, files):
        files(base=classifier())
        assert "only a spec in a file extends" in problems_of({"extends": "base.json"})[0]

    def test_standard_input_extends_from_where_one_is(self, files, nnreg):
        files(base=classifier(data=csv_data(), train={"epochs": 1}))
        assert nnreg("run", "-", "--out", "out", stdin='{"extends": "base.json"}')[0] == 0


@pytest.mark.parametrize("content", [CSV.encode(), b"\xff\x00PK"])
def test_data_in_the_place_of_a_spec_are_told_what_to_do_with_them(files, content):
    (files() / "data.csv").write_bytes(content)
    with pytest.raises(UsageError, match=r"not JSON, as a spec is; .* nnreg init data\.csv"):
        read_spec("data.csv")
    (files() / "spec.json").write_bytes(content)
    with pytest.raises((UsageError, SpecError), match=r"(?s)spec\.json:.*(not JSON:|UTF-8)"):
        read_spec("spec.json")


def test_standard_input_that_is_no_text_is_told_so(nnreg):
    code, _, err = nnreg("run", "-", stdin=b"\xff{}")
    assert code == 2
    assert "standard input: byte 0 is not UTF-8" in err


class TestEnvironment:
    @pytest.mark.parametrize(
        ("value", "text", "found"),
        [
            ("7", "${env:NNREG_X}", 7),
            ("0.5", "${env:NNREG_X:-1}", 0.5),
            ("[1, 2]", "${env:NNREG_X}", [1, 2]),
            ("relu", "${env:NNREG_X}", "relu"),
            ('"7"', "${env:NNREG_X}", "7"),
            ("NaN", "${env:NNREG_X}", "NaN"),
            ("", "${env:NNREG_X}", ""),
            ("", "${env:NNREG_X:-10}", 10),
            (None, "${env:NNREG_X:-10}", 10),
            (None, "${env:NNREG_X:-}", ""),
            (None, "${env:NNREG_X:-a:-b c}", "a:-b c"),
            ("7", "run ${env:NNREG_X}-${env:NNREG_X:-8}", "run 7-7"),
            ("${env:HOME}", "${env:NNREG_X}", "${env:HOME}"),
            ("7", "$${env:NNREG_X}", "${env:NNREG_X}"),
            ("7", "$$${env:NNREG_X}", "$${env:NNREG_X}"),
            ("7", "$NNREG_X ${NNREG_X} $$", "$NNREG_X ${NNREG_X} $$"),
        ],
    )  # fmt: skip
    def test_a_variable_becomes_its_value(self, files, monkeypatch, value, text, found):
        if value is not None:
            monkeypatch.setenv("NNREG_X", value)
        files(spec=classifier(data=csv_data(path=text), train={"epochs": 3}))
        (problem,) = problems_of("spec.json") if not isinstance(found, str) or not found else [""]
        if problem:
            assert problem.endswith(f"found {json.dumps(found)}")
        else:
            assert tree_of("spec.json")["data"]["path"] == found

    def test_a_number_may_come_from_the_environment(self, files, monkeypatch):
        files(spec=classifier(train={"epochs": "${env:NNREG_EPOCHS:-10}"}))
        assert read_spec("spec.json").spec.train.epochs == 10
        monkeypatch.setenv("NNREG_EPOCHS", "12")
        assert read_spec("spec.json").spec.train.epochs == 12

    def test_every_variable_that_is_missing_is_told_with_its_place_and_the_mend(self, files):
        files(spec=classifier(loss="${env:NNREG_A}", optimizer={"type": "${env:NNREG_B}"}))
        first, second = problems_of("spec.json")
        assert first.startswith("spec.json:1:")
        assert "$.loss: the environment variable 'NNREG_A' is not set; set it, or give" in first
        assert "as in ${env:NNREG_B:-value}" in second

    @pytest.mark.parametrize(
        "text", ["${env:}", "${env:A", "a${env:1}", "${env:A-b}", "${env:A:b}"]
    )
    def test_a_variable_that_is_written_wrongly_is_refused(self, files, text):
        files(spec=classifier(loss=text))
        assert "is no variable; write ${env:NAME} or" in problems_of("spec.json")[0]

    def test_a_variable_that_nothing_needs_may_be_missing(self, files):
        files(
            base=classifier(data=csv_data(path="${env:NNREG_NOWHERE}/x.csv")),
            spec={"extends": "base.json", "data": {"path": "data.csv"}},
        )
        assert tree_of("spec.json")["data"]["path"] == "data.csv"

    def test_files_named_by_a_variable_are_found_from_the_folder_of_the_spec(
        self, files, monkeypatch
    ):
        files(
            sub__base=classifier(data=csv_data(path="${env:NNREG_FILE}")),
            spec={"extends": "sub/base.json"},
        )
        monkeypatch.setenv("NNREG_FILE", "x.csv")
        assert tree_of("spec.json")["data"]["path"] == "sub/x.csv"
        monkeypatch.setenv("NNREG_FILE", "/x.csv")
        assert tree_of("spec.json")["data"]["path"] == "/x.csv"

    def test_a_run_is_written_so_that_it_reads_as_it_was(self, files, monkeypatch):
        monkeypatch.setenv("NNREG_X", "1")
        missing = ["$${env:NNREG_X}", "$$${env:NNREG_X}", "${env:NNREG_X}2"]
        source = {"type": "csv", "missing": ["", "NA", *missing]}
        files(
            spec=classifier(
                data=csv_data(source=source), train={"epochs": 1}, seed="${env:NNREG_X}"
            )
        )
        nnreg.run("spec.json", out="run")
        first, again = read_spec("spec.json"), read_spec("run/resolved.json")
        assert first.spec.data.source.missing[2:] == ("${env:NNREG_X}", "$${env:NNREG_X}", "12")
        assert again.spec.data.source == first.spec.data.source
        assert again.spec.train.epochs == 1


class TestCheckpoint:
    @pytest.mark.parametrize(
        "change",
        [{"extends": "base.json"}, {"extends": []}, {"seed": "${env:NNREG_X:-1}"}],
        ids=["extends", "extends nothing", "environment"],
    )
    def test_a_checkpoint_opens_no_file_and_no_environment(self, files, monkeypatch, change):
        files(base={"train": {"epochs": 9}})
        monkeypatch.setenv("NNREG_X", "1")
        saved = to_checkpoint(nnreg.build(classifier(), data=blobs()))
        assert from_checkpoint(saved, "sound")
        saved.document["spec"] = {**saved.document["spec"], **change}
        with pytest.raises(nnreg.CheckpointError, match=r"\$\.(extends|seed)"):
            from_checkpoint(saved, "hostile")

    def test_text_that_looks_like_a_variable_stays_as_it_is(self, monkeypatch):
        monkeypatch.setenv("NNREG_X", "secret")
        saved = to_checkpoint(nnreg.build(classifier(), data=blobs()))
        data = {"source": "csv", "path": "${env:NNREG_X}.csv", "target": "y"}
        saved.document["spec"] = {**saved.document["spec"], "data": data}
        model = from_checkpoint(saved, "hostile")
        assert model.spec.data.path == "${env:NNREG_X}.csv"
        again = from_checkpoint(to_checkpoint(model), "again", ["train.epochs=2"])
        assert again.document.tree["data"] == data


class TestSet:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ("train.epoch=5", "unknown key 'epoch'; did you mean 'epochs'?"),
            (
                "optimizer.learning_rat=1",
                "unknown key 'learning_rat'; did you mean",
            ),
            ("optimzer.learning_rate=1", "unknown key 'optimzer'; did you mean 'optimizer'?"),
            ("train.epochs=many", 'must be a valid integer, found "many"'),
            ("train.l2=NaN", 'must be a valid number, found "NaN"'),
            ("train.early_stopping.patiense=3", "unknown key 'patiense'; did you mean 'patience'"),
            ('train={"epoch": 3}', "$.train.epoch: unknown key 'epoch'; did you mean 'epochs'?"),
            ("model.layers.0.activation.slope=2", "unknown key 'slope'; there are no options"),
            ("loss=cross_entropi", "no loss 'cross_entropi'; did you mean 'cross_entropy'?"),
        ],
    )
    def test_what_is_set_wrongly_is_told_by_the_set(self, files, change, message):
        files(spec=classifier())
        for source in ("spec.json", classifier()):
            (problem,) = problems_of(source, [change])
            assert problem.startswith(f"--set {change}: {message}")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ("model.layers.5.units=3",
             "--set model.layers.5.units=3: no item '5' in model.layers, which has 3, "
             "numbered 0 to 2"),
            ("model.layers.x=3", "no item 'x' in model.layers"),
            ("metrics.0=f1", "no item '0' in metrics, which has 0"),
            ("train.epochs.x=3", "train.epochs is 5, with nothing in it to set"),
        ],
    )  # fmt: skip
    def test_a_path_that_leads_nowhere_is_refused(self, change, message):
        with pytest.raises(UsageError) as caught:
            read_spec(classifier(metrics=[]), [change])
        assert message in str(caught.value)

    def test_a_component_that_is_only_named_is_given_options(self):
        changes = ["optimizer.learning_rate=0.5", "model.layers.0.activation=leaky_relu",
                   "model.layers.0.activation.slope=0.3"]  # fmt: skip
        spec = read_spec(classifier(optimizer="adam"), changes).spec
        assert spec.optimizer.learning_rate == 0.5
        assert spec.model.layers[0].activation.slope == 0.3

    def test_a_section_that_is_null_or_absent_is_made(self):
        spec = classifier(train={"early_stopping": None})
        for path in ("train.early_stopping.patience", "checkpoint.keep"):
            assert read_spec(spec, [f"{path}=3"])
        assert read_spec(spec, ["train.early_stopping.patience=3"]).spec.train.early_stopping

    def test_the_last_of_two_counts(self, files):
        files(spec=classifier())
        assert tree_of("spec.json", ["seed=1", "seed=2"])["seed"] == 2
        (problem,) = problems_of("spec.json", ["seed=x", "seed=y"])
        assert problem.startswith("--set seed=y: ")

    def test_a_section_that_a_set_made_wrong_names_it(self, files):
        files(spec=classifier(data=csv_data(split={"validation": 0.5})))
        (problem,) = problems_of("spec.json", ["data.split.test=0.6", "train.epochs=2"])
        assert problem.startswith("spec.json:1:")
        assert problem.endswith("leave nothing to train on (with --set data.split.test=0.6)")

    def test_a_set_on_a_checkpoint_is_told_as_on_a_spec(self, files):
        saved = to_checkpoint(nnreg.build(classifier(), data=blobs()))
        for change in ("train.epoch=5", "train.epochs=x"):
            with pytest.raises(SpecError, match=f"--set {change}: ") as caught:
                from_checkpoint(saved, "m.h5", [change])
            assert caught.value.exit_code == 2
        saved.document["spec"] = {**saved.document["spec"], "seed": -1}
        with pytest.raises(nnreg.CheckpointError, match=r"(?s)\$\.seed.*--set train.epoch=5"):
            from_checkpoint(saved, "m.h5", ["train.epoch=5"])

    def test_what_is_wrong_beside_a_set_is_told_in_its_file(self, files):
        files(spec=json.dumps(classifier(loss="nonsense"), indent=1))
        first, second = problems_of("spec.json", ["train.epochs=0"])
        assert first.startswith("spec.json:20:10: $.loss")
        assert second.startswith("--set train.epochs=0: must be greater than 0")
