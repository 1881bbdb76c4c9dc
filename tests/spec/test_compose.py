"""A spec made of files of which one extends the other."""

import json
import time

import pytest

import nnreg
from nnreg import SpecError, UsageError
from nnreg.spec.compose import MAX_SPEC_FILES
from nnreg.spec.document import read_spec
from tests.helpers.specs import CSV, classifier, csv_data
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
        own = {"columns": {"type": "category", "depth": "number"}}
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

    def test_what_is_saved_is_the_whole_spec(self, files):
        directory = files(
            base=classifier(data=csv_data()), spec={"extends": "base.json", "train": {"epochs": 2}}
        )
        nnreg.run("spec.json", out="out")
        (directory / "base.json").unlink()
        assert nnreg.load("out").document.tree == classifier(data=csv_data(), train={"epochs": 2})
        assert nnreg.resume("out", overrides=["train.epochs=3"]).training_state.epoch == 3

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
