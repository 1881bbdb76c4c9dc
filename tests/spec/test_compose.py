"""A spec in a file that extends other files."""

import json

import pytest

import nnreg
from nnreg import SpecError, UsageError
from nnreg.spec.compose import MAX_SPEC_FILES
from nnreg.spec.document import read_spec
from tests.helpers.specs import CSV, classifier, csv_data
from tests.helpers.work import CPU_SECONDS, calls, cpu_seconds
from tests.spec.reading import problems_of, tree_of


class TestExtends:
    def test_objects_merge_and_everything_else_replaces(self, files):
        files(
            base=classifier(metrics=["accuracy", "f1"], train={"epochs": 5, "batch_size": 8}),
            spec={"extends": "base.json", "metrics": ["f1"], "train": {"epochs": 9}, "seed": 3},
        )
        assert tree_of("spec.json") == classifier(
            metrics=["f1"], train={"epochs": 9, "batch_size": 8}, seed=3
        )

    def test_null_removes_a_key(self, files):
        files(
            base=classifier(data=csv_data(), train={"epochs": 5, "early_stopping": {}}),
            spec={"extends": "base.json", "train": {"early_stopping": None}, "data": None},
        )
        assert tree_of("spec.json") == classifier(train={"epochs": 5})

    def test_null_is_a_value_where_there_is_nothing_to_remove(self, files):
        files(spec=classifier(seed=None), again={"extends": "spec.json", "seed": None})
        assert "$.seed: must be a valid integer, found null" in problems_of("spec.json")[0]
        assert "seed" not in tree_of("again.json")

    @pytest.mark.parametrize(
        ("base", "patch", "merged"),
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
    def test_options_of_one_component_do_not_leak_into_another(self, files, base, patch, merged):
        files(base=classifier(optimizer=base), spec={"extends": "base.json", "optimizer": patch})
        assert tree_of("spec.json")["optimizer"] == merged

    def test_a_column_named_type_is_a_column(self, files):
        own = {"columns": {"type": "category", "depth": "number"}}
        own["class_weights"] = {"type": 1, "b": 2}
        patch = {"columns": {"type": "number"}, "class_weights": {"type": 3}}
        files(base=classifier(data=csv_data(**own)), spec={"extends": "base.json", "data": patch})
        data = tree_of("spec.json")["data"]
        assert data["columns"] == {"type": "number", "depth": "number"}
        assert data["class_weights"] == {"type": 3, "b": 2}

    def test_later_bases_take_precedence_and_the_spec_over_all(self, files):
        files(
            one=classifier(train={"epochs": 1, "batch_size": 1, "l2": 0.1}),
            two={"train": {"epochs": 2, "batch_size": 2}},
            spec={"extends": ["one.json", "two.json"], "train": {"epochs": 3}},
        )
        assert tree_of("spec.json")["train"] == {"epochs": 3, "batch_size": 2, "l2": 0.1}

    def test_a_base_may_extend_another(self, files):
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

    def test_data_paths_are_relative_to_the_directory_of_the_file_that_names_them(self, files):
        directory = files(
            shared__base=classifier(data=csv_data(path="../data.csv", split={"test": "t.csv"})),
            own__spec={"extends": "../shared/base.json"},
            own__other={"extends": "../shared/base.json", "data": {"path": "d.csv"}},
            own__absolute={"extends": "../shared/base.json", "data": {"path": "/d.csv"}},
        )
        (directory / "shared" / "t.csv").write_text(CSV)
        data = tree_of("own/spec.json")["data"]
        assert data["path"] == "../shared/../data.csv"
        assert data["split"]["test"] == "../shared/t.csv"
        assert tree_of("own/other.json")["data"]["path"] == "d.csv"
        assert tree_of("own/absolute.json")["data"]["path"] == "/d.csv"
        assert nnreg.build("own/spec.json").classes == ("blue", "red")

    def test_the_composed_spec_is_saved(self, files):
        directory = files(
            base=classifier(data=csv_data()), spec={"extends": "base.json", "train": {"epochs": 2}}
        )
        nnreg.run("spec.json", out="out")
        (directory / "base.json").unlink()
        assert nnreg.load("out").document.tree == classifier(data=csv_data(), train={"epochs": 2})
        assert nnreg.resume("out", overrides=["train.epochs=3"]).training_state.epoch == 3

    def test_a_problem_is_located_in_the_file_that_has_it(self, files):
        files(
            a=json.dumps(classifier(loss="cross_entropi"), indent=1),
            spec='{"extends": "a.json",\n "train": {"epoch": 3},\n "optimizer": {"beta3": 1}}',
        )
        first, second, third = problems_of("spec.json")
        assert first.startswith("a.json:20:10: $.loss: no loss 'cross_entropi'")
        assert second.startswith("spec.json:2:12: $.train.epoch: unknown key 'epoch'")
        assert third.startswith("spec.json:3:16: $.optimizer.beta3: unknown key 'beta3'")

    def test_a_key_missing_from_all_files_is_reported_for_the_spec_itself(self, files):
        files(a={"loss": "huber"}, spec={"extends": "a.json", "model": {"layers": ["flatten"]}})
        assert problems_of("spec.json") == [
            "spec.json:1:1: $.optimizer: required, but not given"
        ]  # fmt: skip

    def test_a_required_key_removed_by_null_is_reported_at_the_null(self, files):
        files(a=classifier(), spec='{"extends": "a.json",\n "optimizer": null}')
        (problem,) = problems_of("spec.json")
        assert problem == "spec.json:2:15: $.optimizer: required, but not given"

    def test_the_work_of_merging_files_is_linear_in_their_length(self, files):
        def work(count):
            keys = {f"key {number}": {"x": number} for number in range(count)}
            files(
                a={"data": keys},
                b={"extends": "a.json", "data": dict.fromkeys(keys, 1)},
                spec={"extends": "b.json", "data": dict.fromkeys(keys, 2)},
            )
            return calls(problems_of, "spec.json")

        assert work(8000) < 4.5 * work(2000)
        assert len(problems_of("spec.json")) == 4
        assert cpu_seconds(problems_of, "spec.json") < CPU_SECONDS

    def test_circular_extends_is_refused_with_the_chain(self, files):
        files(a={"extends": "b.json"}, b={"extends": ["c.json"]}, c={"extends": "a.json"})
        assert problems_of("a.json") == [
            "c.json:1:13: $.extends: circular 'extends': "
            "a.json extends b.json extends c.json extends a.json"
        ]
        files(a={"extends": "a.json"})
        assert "a.json extends a.json" in problems_of("a.json")[0]

    def test_the_number_of_files_is_bounded(self, files):
        chain = {f"s{n}": {"extends": f"s{n + 1}.json"} for n in range(MAX_SPEC_FILES + 1)}
        files(**chain, **{f"s{MAX_SPEC_FILES + 1}": classifier()})
        assert f"more than {MAX_SPEC_FILES} files" in problems_of("s0.json")[0]
        assert read_spec("s2.json")
        doubling = {f"d{n}": {"extends": [f"d{n + 1}.json"] * 2} for n in range(40)}
        files(**doubling, d40=classifier())
        assert f"more than {MAX_SPEC_FILES} files" in problems_of("d0.json")[0]

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
            ("list.json", "list.json must contain a JSON object"),
            ("${env:NNREG_NOTHING}", "'NNREG_NOTHING' is not set"),
        ],
    )
    def test_an_invalid_base_is_refused_with_its_location(self, files, extends, message):
        files(spec={"extends": extends}, list=[])
        (problem,) = problems_of("spec.json")
        assert message in problem
        assert problem.startswith(("spec.json:1:", "data.csv:1:1"))

    def test_only_a_spec_in_a_file_can_extend(self, files):
        files(base=classifier())
        assert "only a spec in a file can extend" in problems_of({"extends": "base.json"})[0]

    def test_standard_input_extends_files_in_the_working_directory(self, files, nnreg):
        files(base=classifier(data=csv_data(), train={"epochs": 1}))
        assert nnreg("run", "-", "--out", "out", stdin='{"extends": "base.json"}')[0] == 0


@pytest.mark.parametrize("content", [CSV.encode(), b"\xff\x00PK"])
def test_data_instead_of_a_spec_are_an_error_that_suggests_init(files, content):
    (files() / "data.csv").write_bytes(content)
    with pytest.raises(UsageError, match=r"not JSON; if this is data, .* nnreg init data\.csv"):
        read_spec("data.csv")
    (files() / "spec.json").write_bytes(content)
    with pytest.raises((UsageError, SpecError), match=r"(?s)spec\.json:.*(not JSON:|UTF-8)"):
        read_spec("spec.json")


def test_standard_input_that_is_not_text_is_an_error(nnreg):
    code, _, err = nnreg("run", "-", stdin=b"\xff{}")
    assert code == 2
    assert "standard input: byte 0 is not UTF-8" in err
