"""Environment variables in a spec."""

import json

import pytest

import nnreg
from nnreg.checkpoint.save_load import from_file_content, to_file_content
from nnreg.spec.document import read_spec
from tests.helpers.specs import blobs, classifier, csv_data
from tests.spec.reading import problems_of, tree_of


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

    def test_a_variable_may_give_a_number(self, files, monkeypatch):
        files(spec=classifier(train={"epochs": "${env:NNREG_EPOCHS:-10}"}))
        assert read_spec("spec.json").spec.train.epochs == 10
        monkeypatch.setenv("NNREG_EPOCHS", "12")
        assert read_spec("spec.json").spec.train.epochs == 12

    def test_every_missing_variable_is_reported_with_its_location_and_a_fix(self, files):
        files(spec=classifier(loss="${env:NNREG_A}", optimizer={"type": "${env:NNREG_B}"}))
        first, second = problems_of("spec.json")
        assert first.startswith("spec.json:1:")
        assert "$.loss: the environment variable 'NNREG_A' is not set; set it, or give" in first
        assert "as in ${env:NNREG_B:-value}" in second

    @pytest.mark.parametrize(
        "text", ["${env:}", "${env:A", "a${env:1}", "${env:A-b}", "${env:A:b}"]
    )
    def test_a_malformed_variable_is_refused(self, files, text):
        files(spec=classifier(loss=text))
        assert "is not a variable; write ${env:NAME} or" in problems_of("spec.json")[0]

    def test_an_overridden_variable_may_be_missing(self, files):
        files(
            base=classifier(data=csv_data(path="${env:NNREG_NOWHERE}/x.csv")),
            spec={"extends": "base.json", "data": {"path": "data.csv"}},
        )
        assert tree_of("spec.json")["data"]["path"] == "data.csv"

    def test_files_named_by_a_variable_are_relative_to_the_directory_of_the_spec(
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

    def test_the_resolved_spec_of_a_run_reads_back_equal(self, files, monkeypatch):
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
    def test_a_checkpoint_opens_no_file_and_reads_no_variable(self, files, monkeypatch, change):
        files(base={"train": {"epochs": 9}})
        monkeypatch.setenv("NNREG_X", "1")
        saved = to_file_content(nnreg.build(classifier(), data=blobs()))
        assert from_file_content(saved, "sound")
        saved.document["spec"] = {**saved.document["spec"], **change}
        with pytest.raises(nnreg.CheckpointError, match=r"\$\.(extends|seed)"):
            from_file_content(saved, "adversarial")

    def test_text_that_looks_like_a_variable_is_unchanged(self, monkeypatch):
        monkeypatch.setenv("NNREG_X", "secret")
        saved = to_file_content(nnreg.build(classifier(), data=blobs()))
        data = {"source": "csv", "path": "${env:NNREG_X}.csv", "target": "y"}
        saved.document["spec"] = {**saved.document["spec"], "data": data}
        model = from_file_content(saved, "adversarial")
        assert model.spec.data.path == "${env:NNREG_X}.csv"
        again = from_file_content(to_file_content(model), "again", ["train.epochs=2"])
        assert again.document.tree["data"] == data
