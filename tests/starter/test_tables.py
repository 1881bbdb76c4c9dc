"""Specs proposed for unusual tables, and for the source of a plugin."""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import nnreg
from nnreg import Source, Table, hookimpl, propose
from nnreg.registry.loading import Selection
from nnreg.registry.registry import discover
from nnreg.spec.document import read_spec
from tests.helpers.paths import MODELS
from tests.starter.proposals import repeated, rng, tried


class TestUnusualTables:
    def test_only_categorical_columns(self, table):
        proposal = table({"a": repeated(60, "x", "y"), "b": repeated(60, "u", "v", "w")})
        assert proposal.target == "b"
        assert proposal.tree["data"]["unseen"] == "ignore"

    def test_missing_values(self, table):
        x = ["", *map(str, rng().normal(size=59).round(3))]
        proposal = table(
            {"x": x, "w": ["NA", *repeated(59, "u", "v")], "y": repeated(60, "a", "b")}
        )
        assert proposal.tree["data"]["missing"] == "indicate"
        assert "2 missing values" in proposal.comments["$.data.missing"]
        about = "21 numbers: numbers with their bins, categories one-hot encoded and which values"
        assert about in proposal.comments["$.model"]

    @pytest.mark.parametrize("count", [1, 2, 3, 9, 10, 39])
    @pytest.mark.parametrize("target", ["categories", "numbers"])
    def test_few_rows(self, table, count, target):
        y = repeated(count, "a", "b") if target == "categories" else [0.5 * i for i in range(count)]
        proposal = table({"x": rng().normal(size=count), "y": y})
        assert ("split" in proposal.tree["data"]) == (count >= 10)
        assert ("early_stopping" in proposal.tree["train"]) == (count >= 10)

    def test_two_thousand_columns(self, table):
        columns = {f"x{i}": rng(i).normal(size=50).round(3) for i in range(1999)}
        columns |= {f"c{i}": [1] * 50 for i in range(500)}
        proposal = table({**columns, "y": repeated(50, "a", "b")})
        assert len(proposal.inputs) == 1999
        assert len(proposal.comments["$.data.exclude"]) < 200
        assert proposal.comments["$.data.exclude"] == (
            "c0, c1, c2, c3, c4, c5 and 494 more are excluded: each always has the same value."
        )

    @pytest.mark.parametrize("values", [(0, 1), (1, 2), (-1, 1)])
    def test_a_binary_numeric_target_is_classified(self, table, values):
        proposal = table({"x": rng().normal(size=60), "y": rng().choice(values, 60)})
        assert proposal.tree["loss"] == "cross_entropy"

    def test_a_target_of_few_integers_is_classified_and_one_of_many_is_not(self, table):
        x = rng().normal(size=300)
        assert table({"x": x, "y": rng().integers(0, 9, 300)}).tree["loss"] == "cross_entropy"
        many = table({"x": x, "y": rng().integers(0, 90, 300)})
        assert many.tree["loss"] == "mean_squared_error"
        assert many.tree["data"]["target_scaling"] == "standard"

    def test_numbers_in_text_are_read_in_their_format(self, table):
        x = rng().integers(800, 2500, 60)
        columns = {
            "weight": [f"{value} kg" for value in x],
            "part": [f"{value},5 %" for value in x],
            "unclear": [f"1,{value % 900 + 100}" for value in x],
            "price": [f"${value * 12:,}.00" for value in x],
        }
        data = table(columns).tree["data"]
        assert data["target"] == "price"
        assert {name: one["format"] for name, one in data["columns"].items()} == {
            "weight": "1,234.5", "part": "1.234,5", "price": "1,234.5"
        }  # fmt: skip
        assert data["exclude"] == ["unclear"]

    def test_unusable_columns_are_excluded_with_the_reason(self, table):
        proposal = table(
            {
                "nr": range(5, 65),
                "customer_id": rng().permutation(1000)[:60],
                "name": [f"n{i}" for i in range(60)],
                "free": [f"text {i % 40}" for i in range(60)],
                "when": [f"{i % 12 + 1:02}/{i % 12 + 1:02}/2024" for i in range(60)],
                "same": ["x"] * 60,
                "empty": [""] * 60,
                "mixed": ["many", *range(59)],
                "x": rng().normal(size=60).round(2),
                "y": repeated(60, "a", "b", "c"),
            }
        )
        assert proposal.inputs == ("x",)
        reasons = {
            "nr": "numbers the rows", "customer_id": "numbers the rows", "name": "differs in each",
            "free": "40 categories in 60 rows", "when": "whose form is unclear", "same": "same",
            "empty": "has no values", "mixed": "text such as 'many' among numbers",
        }  # fmt: skip
        assert proposal.excluded.keys() == reasons.keys()
        for name, reason in reasons.items():
            assert reason in proposal.excluded[name]
            assert name in proposal.comments["$.data.exclude"]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
    def test_a_table_written_by_a_spreadsheet_is_read(self, tmp_path, monkeypatch, encoding):
        monkeypatch.chdir(tmp_path)
        price = ["?", *(f"{i + 0.5}".replace(".", ",") if i % 3 else f"{i}" for i in range(59))]
        rows = [f"{p};{i % 7};{'jä' if i % 2 else 'nö'}" for i, p in enumerate(price)]
        Path("data.csv").write_bytes("\r\n".join(["Preis;n;Größe", *rows]).encode(encoding))
        proposal = tried("data.csv")
        source = {"type": "csv", "delimiter": ";", "decimal": ","}
        source |= {} if encoding == "utf-8" else {"encoding": encoding}
        missing = proposal.tree["data"]["source"].pop("missing")
        assert (missing[-1], proposal.tree["data"]["source"]) == ("?", source)
        assert (proposal.inputs, proposal.target) == (("Preis", "n"), "Größe")

    def test_thousands_separators_are_not_read_as_decimal_commas(self, table):
        columns = {"people": [f"{i + 1},{i * 7:03}" for i in range(60)], "x": range(0, 120, 2)}
        proposal = table(columns | {"y": repeated(60, "a", "b")})
        assert proposal.tree["data"]["source"] == "csv"
        assert "numbers with a comma" in proposal.excluded["people"]

    def test_dates_and_times_are_inputs_by_their_parts(self, table):
        times = [f"{i % 24}:{i:02}" for i in range(60)]
        days = [f"{i % 28 + 1}/{i % 12 + 1}/2024" for i in range(60)]
        proposal = table({"at": times, "on": days, "y": repeated(60, "a", "b")})
        on = {"type": "date", "format": "%d/%m/%Y"}
        assert proposal.tree["data"]["columns"] == {"at": {"type": "date"}, "on": on}
        assert "at, on: dates and times become" in proposal.comments["$.data.columns"]

    def test_labels_and_ordered_categories_have_their_encoders(self, table):
        columns = {
            "size": repeated(60, "S", "M", "L"),
            "extras": repeated(60, "a;b", "b;c", "a;c", "a", "b"),
            "y": rng().normal(size=60),
        }
        data = table(columns).tree["data"]
        assert data["columns"]["size"]["code"] == "thermometer"
        assert data["columns"]["extras"] == {"type": "labels", "separator": ";"}
        assert data["unseen"] == "ignore"

    def test_dates_can_order_the_rows(self, table):
        days = [f"2024-{i % 12 + 1:02}-{i % 28 + 1:02}" for i in range(60)]
        columns = {"on": days, "x": rng().normal(size=60), "y": repeated(60, "a", "b")}
        comment = table(columns).comments["$.data.split"]
        split = json.loads(comment.partition("To hold out the latest rows instead: ")[2])
        assert split == {"validation": 0.2, "order": "on"}
        assert nnreg.run(
            read_spec("spec.json", [f"data.split={json.dumps(split)}", "train.epochs=1"])
        )
        columns["on"] = [f"{i % 12 + 1}.{i % 12 + 1}.2024" for i in range(60)]
        assert "latest rows" not in table(columns).comments["$.data.split"]

    def test_common_markers_of_missing_numbers_are_recognized(self, table):
        proposal = table({"x": ["?", "-", *range(58)][::-1], "y": repeated(60, "a", "b")})
        assert proposal.tree["data"]["source"]["missing"][-2:] == ["-", "?"]
        assert proposal.inputs == ("x",)

    @pytest.mark.parametrize("delimiter", [";", "\t", "|"])
    def test_another_delimiter(self, table, delimiter):
        columns = {"a,b": rng().normal(size=30), "c": range(30, 0, -1), "y": repeated(30, "a", "b")}
        source = table(columns, delimiter=delimiter).tree["data"]["source"]
        assert source == {"type": "csv", "delimiter": delimiter}

    def test_the_index_that_data_frames_write_has_no_name(self, table):
        columns = {"": range(30), "x": rng().normal(size=30), "y": repeated(30, "a", "b")}
        proposal = table(columns)
        assert proposal.tree["data"]["inputs"] == ["x"]
        assert proposal.comments["$.data.inputs"].startswith(
            "the column without a name is excluded"
        )

    def test_a_class_of_a_single_row(self, table):
        y = ["rare", *repeated(59, "a", "b")]
        for shift in range(0, 60, 7):
            proposal = table({"x": rng().normal(size=60), "y": y[shift:] + y[:shift]})
            assert proposal.tree["metrics"] == ["accuracy", "f1"]

    @pytest.mark.parametrize("count", [20, 40, 60])
    def test_classes_of_two_rows_each(self, table, count):
        y = [f"c{i // 2}" for i in range(count)]
        assert table({"x": rng().normal(size=count), "y": y}).tree["loss"] == "cross_entropy"

    def test_balanced_classes_get_only_accuracy(self, table):
        proposal = table({"x": rng().normal(size=60), "y": repeated(60, "a", "b")})
        assert proposal.tree["metrics"] == ["accuracy"]
        assert proposal.tree["data"]["split"]["stratify"]

    def test_names_and_texts_that_look_like_variables_or_comments(self, table):
        proposal = table({"${env:X}": ["a"] * 30, "//b": rng().normal(size=30), '"c': range(30),
                          "日本": repeated(30, "x", "y")})  # fmt: skip
        assert proposal.inputs == ("//b",)
        assert proposal.tree["data"]["exclude"] == ["${env:X}", '"c']

    def test_compressed_text(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        text = (MODELS / "iris.csv").read_bytes()
        (tmp_path / "Iris.CSV.gz").write_bytes(gzip.compress(text.replace(b",", b";")))
        source = tried("Iris.CSV.gz").tree["data"]["source"]
        assert source == {"type": "csv", "delimiter": ";"}

    def test_tabs(self, table):
        columns = {"a": rng().normal(size=30), "y": repeated(30, "a", "b")}
        assert table(columns, name="t.tsv", delimiter="\t").tree["data"]["source"] == "tsv"

    def test_a_source_of_a_plugin(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "a.pairs").write_text("".join(f"{i % 7} {'ab'[i % 2]}\n" for i in range(30)))
        registry = discover(Selection())
        registry.add_plugin("pairs", SimpleNamespace(nnreg_sources=register), "nnreg-pairs", "1")
        proposal = propose("a.pairs", registry=registry)
        assert (proposal.tree["data"]["source"], proposal.target) == ("pairs", "word")


@hookimpl
def register():
    return {"pairs": Pairs}


@dataclass(frozen=True)
class Pairs(Source):
    """Lines of a number and a text."""

    suffixes = (".pairs",)

    def read(self, path):
        number, word = zip(*map(str.split, path.read_text().splitlines()), strict=True)
        return Table({"number": np.array(number, object), "word": np.array(word, object)})


class TestNoDropoutOnRawInputs:
    def test_a_large_table_gets_none(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        x = rng().normal(size=(1200, 3))
        np.savetxt(
            "d.csv", np.column_stack([x, x.sum(1)]), "%.4f", ",", header="a,b,c,y", comments=""
        )
        assert [one["type"] for one in propose("d.csv").tree["model"]["layers"]] == ["dense"] * 3

    def test_flattened_arrays_get_none_and_convolved_images_do(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        label = np.arange(1200) % 3
        for name, shape in (("curves", (3, 20)), ("images", (8, 8))):
            np.savez(f"{name}.npz", label=label, values=rng().normal(size=(1200, *shape)))
            types = [one["type"] for one in propose(f"{name}.npz").tree["model"]["layers"]]
            assert ("dropout" in types) == (name == "images"), name
            assert "dropout" not in types[: types.index("flatten")]


class TestManyCategories:
    @staticmethod
    def cities(count=4000, cities=200):
        chance = 1 / np.arange(1, cities + 1)
        number = rng().choice(cities, count, p=chance / chance.sum())
        value = rng(1).normal(size=cities)[number]
        return {
            "city": [f"city {n}" for n in number],
            "y": (value + 0.1 * rng(2).normal(size=count)).round(4),
        }

    def test_each_has_a_vector_and_the_rare_ones_share_one(self, table):
        proposal = table(self.cities())
        assert proposal.inputs == ("city",)
        assert proposal.tree["data"]["columns"] == {"city": {"type": "index", "min_rows": 10}}
        assert "city: many categories, each a trained" in proposal.comments["$.data.columns"]
        embedding = {"type": "column_embedding", "units": 8}
        assert proposal.tree["model"]["layers"][0] == embedding
        assert "unseen" not in proposal.tree["data"]

    def test_they_predict(self, table):
        columns = self.cities()
        proposal = table(columns)
        units = [f"model.layers.{n}.units=64" for n in (1, 2)]
        small = ["train.epochs=12", "model.members=2", *units]
        model = nnreg.run(proposal.tree, overrides=small)
        targets = np.array(columns["y"], dtype=float)
        assert model.evaluate({"city": columns["city"]}, targets)["r2"] > 0.6

    def test_categories_of_a_few_rows_each_are_excluded(self, table):
        names = [f"name {n // 3}" for n in range(600)]
        proposal = table({"x": rng().normal(size=600), "name": names, "y": rng(1).normal(size=600)})
        assert proposal.excluded == {
            "name": "holds 200 categories in 600 rows, few of them frequent"
        }

    @pytest.mark.parametrize("count", [20, 21])
    def test_up_to_twenty_are_one_hot_encoded(self, table, count):
        names = [f"name {n % count}" for n in range(600)]
        proposal = table({"name": names, "y": rng(1).normal(size=600)})
        assert ("columns" in proposal.tree["data"]) == (count > 20)
        assert ("unseen" in proposal.tree["data"]) == (count <= 20)
