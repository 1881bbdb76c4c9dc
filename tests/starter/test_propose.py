"""A starter spec from a data file runs as it is, and says why it is so."""

import csv
import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

import nnreg
from nnreg import DataError, Source, Table, UsageError, hookimpl, propose
from nnreg.registry.loading import Selection
from nnreg.registry.registry import discover
from nnreg.spec import jsonc
from nnreg.spec.document import read_spec
from tests.components.sources.test_idx import idx
from tests.components.sources.test_images import png
from tests.helpers.paths import MODELS


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Write a CSV file of named columns; return what is proposed for it, once that has run."""
    monkeypatch.chdir(tmp_path)

    def proposed(columns, target=None, name="data.csv", delimiter=","):
        with open(name, "w", newline="") as file:
            writer = csv.writer(file, delimiter=delimiter)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
        return tried(name, target)

    return proposed


def tried(file, target=None):
    """Propose a spec, read its text as a file, and train by it for two epochs."""
    proposal = propose(file, target)
    Path("spec.json").write_text(proposal.text())
    document = read_spec("spec.json", ["train.epochs=2"])
    assert document.tree == {**proposal.tree, "train": {**proposal.tree["train"], "epochs": 2}}
    model = nnreg.run(document)
    assert len(model.history) == 2
    return proposal


def rng(seed=0):
    return np.random.default_rng(seed)


def words_of(count, *words):
    return [words[i % len(words)] for i in range(count)]


MEASURED = {
    "penguins.csv": ("species", "accuracy", 0.95),
    "diabetes.csv": ("progression", "r2", 0.35),
    "iris.csv": ("species", "accuracy", 0.9),
}


@pytest.mark.parametrize("name", MEASURED)
def test_a_model_data_set_is_learned_without_tuning(name, tmp_path):
    target, metric, least = MEASURED[name]
    proposal = propose(MODELS / name)
    assert proposal.target == target
    nnreg.run(proposal.tree, out=tmp_path / "run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["test"][metric] >= least


@pytest.mark.slow
def test_the_digits_are_learned_without_tuning(tmp_path):
    proposal = propose(MODELS / "digits.npz")
    nnreg.run(proposal.tree, overrides=["train.threads=1"], out=tmp_path / "run")
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["test"]["accuracy"] >= 0.97


@pytest.mark.parametrize(
    ("name", "target"),
    [("xor.csv", "xor"), ("single_neuron.csv", "target"), ("two_layer.csv", "target"),
     ("digits.npz", "digit")],
)  # fmt: skip
def test_the_other_model_data_sets_have_specs_that_run(name, target, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert tried(MODELS / name).target == target


def test_every_data_set_of_the_models_is_tried():
    tried_here = {*MEASURED, "digits.npz", "xor.csv", "single_neuron.csv", "two_layer.csv"}
    assert {file.name for file in MODELS.iterdir() if file.suffix in (".csv", ".npz")} == tried_here


class TestOddTables:
    def test_all_words(self, table):
        proposal = table({"a": words_of(60, "x", "y"), "b": words_of(60, "u", "v", "w")})
        assert proposal.target == "b"
        assert proposal.tree["data"]["unseen"] == "ignore"

    def test_missing_values(self, table):
        x = ["", *map(str, rng().normal(size=59).round(3))]
        proposal = table(
            {"x": x, "w": ["NA", *words_of(59, "u", "v")], "y": words_of(60, "a", "b")}
        )
        assert proposal.tree["data"]["missing"] == "impute"
        assert "2 missing values" in proposal.comments["$.data.missing"]

    @pytest.mark.parametrize("count", [1, 2, 3, 9, 10, 39])
    @pytest.mark.parametrize("target", ["words", "numbers"])
    def test_few_rows(self, table, count, target):
        y = words_of(count, "a", "b") if target == "words" else [0.5 * i for i in range(count)]
        proposal = table({"x": rng().normal(size=count), "y": y})
        assert ("split" in proposal.tree["data"]) == (count >= 10)
        assert ("early_stopping" in proposal.tree["train"]) == (count >= 10)

    def test_two_thousand_columns(self, table):
        columns = {f"x{i}": rng(i).normal(size=50).round(3) for i in range(1999)}
        columns |= {f"c{i}": [1] * 50 for i in range(500)}
        proposal = table({**columns, "y": words_of(50, "a", "b")})
        assert len(proposal.inputs) == 1999
        assert len(proposal.comments["$.data.exclude"]) < 200
        assert proposal.comments["$.data.exclude"] == (
            "c0, c1, c2, c3, c4, c5 and 494 more are left out: each always has the same value."
        )

    @pytest.mark.parametrize("values", [(0, 1), (1, 2), (-1, 1)])
    def test_a_binary_target_of_numbers_is_of_classes(self, table, values):
        proposal = table({"x": rng().normal(size=60), "y": rng().choice(values, 60)})
        assert proposal.tree["loss"] == "cross_entropy"

    def test_a_target_of_few_whole_numbers_is_of_classes_and_one_of_many_is_not(self, table):
        x = rng().normal(size=300)
        assert table({"x": x, "y": rng().integers(0, 9, 300)}).tree["loss"] == "cross_entropy"
        many = table({"x": x, "y": rng().integers(0, 90, 300)})
        assert many.tree["loss"] == "mean_squared_error"
        assert many.tree["data"]["target_scaling"] == "standard"

    def test_columns_that_tell_nothing_are_left_out_with_the_reason(self, table):
        proposal = table(
            {
                "nr": range(5, 65),
                "customer_id": rng().permutation(1000)[:60],
                "name": [f"n{i}" for i in range(60)],
                "free": [f"text {i % 40}" for i in range(60)],
                "when": [f"2024-{i % 12 + 1:02}-{i % 28 + 1:02}" for i in range(60)],
                "same": ["x"] * 60,
                "empty": [""] * 60,
                "mixed": ["many", *range(59)],
                "x": rng().normal(size=60).round(2),
                "y": words_of(60, "a", "b", "c"),
            }
        )
        assert proposal.inputs == ("x",)
        reasons = {
            "nr": "numbers the rows", "customer_id": "numbers the rows", "name": "differs in each",
            "free": "40 different words in 60 rows", "when": "holds dates or", "same": "same",
            "empty": "has no values", "mixed": "words such as 'many' among numbers",
        }  # fmt: skip
        assert proposal.left_out.keys() == reasons.keys()
        for name, reason in reasons.items():
            assert reason in proposal.left_out[name]
            assert name in proposal.comments["$.data.exclude"]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
    def test_a_table_is_taken_as_a_spreadsheet_writes_it(self, tmp_path, monkeypatch, encoding):
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

    def test_commas_between_thousands_are_not_taken_for_decimal_ones(self, table):
        columns = {"people": [f"{i + 1},{i * 7:03}" for i in range(60)], "x": range(0, 120, 2)}
        proposal = table(columns | {"y": words_of(60, "a", "b")})
        assert proposal.tree["data"]["source"] == "csv"
        assert "numbers with a comma" in proposal.left_out["people"]

    def test_times_are_left_out_as_dates_are(self, table):
        times = [f"{i % 24}:{i:02}" for i in range(60)]
        proposal = table({"at": times, "x": range(0, 120, 2), "y": words_of(60, "a", "b")})
        assert "holds dates or times" in proposal.left_out["at"]

    def test_dates_may_order_the_rows(self, table):
        days = [f"2024-{i % 12 + 1:02}-{i % 28 + 1:02}" for i in range(60)]
        columns = {"on": days, "x": rng().normal(size=60), "y": words_of(60, "a", "b")}
        comment = table(columns).comments["$.data.split"]
        split = json.loads(comment.partition("To hold out the latest rows instead: ")[2])
        assert split == {"validation": 0.15, "test": 0.2, "order": "on"}
        assert nnreg.run(
            read_spec("spec.json", [f"data.split={json.dumps(split)}", "train.epochs=1"])
        )
        columns["on"] = [f"{i % 28 + 1}.{i % 12 + 1}.2024" for i in range(60)]
        assert "latest rows" not in table(columns).comments["$.data.split"]

    def test_words_that_people_write_for_missing_numbers_are_taken_for_them(self, table):
        proposal = table({"x": ["?", "-", *range(58)][::-1], "y": words_of(60, "a", "b")})
        assert proposal.tree["data"]["source"]["missing"][-2:] == ["-", "?"]
        assert proposal.inputs == ("x",)

    @pytest.mark.parametrize("delimiter", [";", "\t", "|"])
    def test_another_delimiter(self, table, delimiter):
        columns = {"a,b": rng().normal(size=30), "c": range(30, 0, -1), "y": words_of(30, "a", "b")}
        source = table(columns, delimiter=delimiter).tree["data"]["source"]
        assert source == {"type": "csv", "delimiter": delimiter}

    def test_the_index_that_data_frames_write_has_no_name(self, table):
        columns = {"": range(30), "x": rng().normal(size=30), "y": words_of(30, "a", "b")}
        proposal = table(columns)
        assert proposal.tree["data"]["inputs"] == ["x"]
        assert proposal.comments["$.data.inputs"].startswith("the column without a name is left")

    def test_a_class_of_a_single_row(self, table):
        y = ["rare", *words_of(59, "a", "b")]
        for shift in range(0, 60, 7):
            proposal = table({"x": rng().normal(size=60), "y": y[shift:] + y[:shift]})
            assert proposal.tree["metrics"] == ["accuracy", "f1"]

    @pytest.mark.parametrize("count", [20, 40, 60])
    def test_classes_of_two_rows_each(self, table, count):
        y = [f"c{i // 2}" for i in range(count)]
        assert table({"x": rng().normal(size=count), "y": y}).tree["loss"] == "cross_entropy"

    def test_classes_that_are_even_need_no_more_than_accuracy(self, table):
        proposal = table({"x": rng().normal(size=60), "y": words_of(60, "a", "b")})
        assert proposal.tree["metrics"] == ["accuracy"]
        assert proposal.tree["data"]["split"]["stratify"]

    def test_names_and_texts_that_look_like_variables_or_comments(self, table):
        proposal = table({"${env:X}": ["a"] * 30, "//b": rng().normal(size=30), '"c': range(30),
                          "日本": words_of(30, "x", "y")})  # fmt: skip
        assert proposal.inputs == ("//b",)
        assert proposal.tree["data"]["exclude"] == ["${env:X}", '"c']

    def test_compressed_text(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        text = (MODELS / "iris.csv").read_bytes()
        (tmp_path / "Iris.CSV.gz").write_bytes(gzip.compress(text.replace(b",", b";")))
        source = tried("Iris.CSV.gz").tree["data"]["source"]
        assert source == {"type": "csv", "delimiter": ";"}

    def test_tabs(self, table):
        columns = {"a": rng().normal(size=30), "y": words_of(30, "a", "b")}
        assert table(columns, name="t.tsv", delimiter="\t").tree["data"]["source"] == "tsv"

    def test_a_source_of_a_plugin(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "a.pairs").write_text("".join(f"{i % 7} {'ab'[i % 2]}\n" for i in range(30)))
        registry = discover(Selection())
        registry.add_plugin("pairs", SimpleNamespace(nnreg_sources=offer), "nnreg-pairs", "1")
        proposal = propose("a.pairs", registry=registry)
        assert (proposal.tree["data"]["source"], proposal.target) == ("pairs", "word")


@hookimpl
def offer():
    return {"pairs": Pairs}


@dataclass(frozen=True)
class Pairs(Source):
    """Lines of a number and a word."""

    suffixes = (".pairs",)

    def read(self, path):
        number, word = zip(*map(str.split, path.read_text().splitlines()), strict=True)
        return Table({"number": np.array(number, object), "word": np.array(word, object)})


class TestArrays:
    @pytest.mark.parametrize(
        ("shape", "layers"),
        [
            ((8, 8), ["conv2d", "conv2d", "max_pool2d", "flatten", "dense", "dense"]),
            ((28, 28, 1), ["conv2d", "max_pool2d", "conv2d", "max_pool2d", "flatten", "dense",
                           "dense"]),
            ((3, 50), ["flatten", "dense", "dense"]),
            ((6, 5, 7), ["flatten", "dense", "dense"]),
            ((5,), ["dense", "dense"]),
            ((4, 4), ["conv2d", "conv2d", "max_pool2d", "flatten", "dense", "dense"]),
        ],
    )  # fmt: skip
    def test_images_are_convolved_and_other_arrays_flattened(
        self, tmp_path, monkeypatch, shape, layers
    ):
        monkeypatch.chdir(tmp_path)
        label = rng().integers(0, 3, 60)
        np.savez("data.npz", label=label, pixels=rng().normal(size=(60, *shape)), day=label + 0.5)
        proposal = tried("data.npz")
        assert [layer["type"] for layer in proposal.tree["model"]["layers"]] == layers
        assert (proposal.target, proposal.inputs) == ("label", ("pixels",))
        assert "cannot go together with the arrays of 'pixels'" in proposal.left_out["day"]

    def test_a_folder_of_images(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for number in range(20):
            folder = tmp_path / "pictures" / "ab"[number % 2]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}.png").write_bytes(png(rng().integers(0, 256, (6, 6)), (6, 6)))
        proposal = tried("pictures")
        assert (proposal.target, proposal.inputs) == ("label", ("image",))
        assert proposal.tree["model"]["layers"][0]["type"] == "conv2d"

    def test_images_in_the_format_of_mnist(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        images, labels = rng().integers(0, 256, (30, 5, 5)), np.arange(30) % 3
        Path("t-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        Path("t-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
        proposal = tried("t-images-idx3-ubyte.gz")
        assert (proposal.target, proposal.inputs) == ("label", ("image",))
        assert proposal.tree["data"]["source"] == "idx"

    def test_hdf5(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with h5py.File("data.h5", "w") as file:
            file["images"] = rng().normal(size=(30, 6, 6, 3)).astype(np.float32)
            file["class"] = np.arange(30) % 2
        assert tried("data.h5").inputs == ("images",)


class TestTarget:
    @pytest.mark.parametrize(
        ("names", "target", "why"),
        [
            (("x", "Label", "z"), "Label", "its name"),
            (("label", "target", "z"), "target", "its name"),
            (("a", "b", "c"), "c", "it is the last column"),
        ],
    )
    def test_it_is_guessed_by_its_name_or_is_the_last_column(self, table, names, target, why):
        proposal = table({name: rng(i).normal(size=20) for i, name in enumerate(names)})
        assert proposal.target == target
        assert why in proposal.comments["$.data.target"]

    def test_columns_that_cannot_be_predicted_are_not_guessed(self, table):
        proposal = table(
            {
                "a": rng().normal(size=30),
                "gaps": ["", *words_of(29, "u", "v")],
                "when": ["2024-01-01"] * 15 + ["2024-01-02"] * 15,
                "id": range(30),
                "same": [1] * 30,
                "name": [f"n{i}" for i in range(30)],
                "b": rng(1).normal(size=30),
            },
            target=None,
        )
        assert proposal.target == "b"

    def test_it_may_be_asked_for(self, table):
        proposal = table({"label": rng().normal(size=20), "b": rng(1).normal(size=20)}, "b")
        assert proposal.target == "b"
        assert "asked for" in proposal.comments["$.data.target"]

    def test_one_that_is_no_column_is_told_the_nearest(self):
        with pytest.raises(UsageError, match="no column 'specis'; did you mean 'species'"):
            propose(MODELS / "penguins.csv", "specis")

    @pytest.mark.parametrize(
        ("target", "message"),
        [
            ("gaps", "the target 'gaps' is missing in 1 of 30 rows; remove these, or choose"),
            ("same", "'same' cannot be predicted: it always has the same value"),
            ("name", "'name' cannot be predicted: it differs in each row"),
            ("id", "'id' cannot be predicted: it numbers the rows"),
        ],
    )
    def test_one_that_cannot_be_predicted_is_refused(self, table, target, message):
        gaps, names = ["", *words_of(29, "u", "v")], [f"n{i}" for i in range(30)]
        columns = {"gaps": gaps, "same": [1] * 30, "name": names, "id": range(30)}
        columns["x"] = rng().normal(size=30)
        with pytest.raises(DataError, match=message):
            table(columns, target)


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("nowhere.csv", None, DataError, "cannot read the data: No such file"),
        ("data.xlsx", b"", UsageError, "such a name; expected a folder of images, or -"),
        ("data", b"", UsageError, "no source is known"),
        ("data.csv", b"", DataError, "the file is empty"),
        ("data.csv", b"a,b\n", DataError, "no rows"),
        ("data.csv", b"a\n1\n2\n", DataError, "no column is left to predict 'a' from"),
        ("data.csv", b"a,b\n,1\n,2\n", DataError, "no column is left.*'a' has no values"),
        ("data.csv", b"a,b\n,\n,\n", UsageError, "no column looks like a target.*'a' has no"),
        ("data.csv", b"a,b\nx,x\n", UsageError, "'b' has but one class"),
        ("data.npz", b"PK", DataError, "not an npz archive"),
        ("data.csv.gz", b"a,b", DataError, "data.csv.gz: cannot read the data: Not a gzipped"),
    ],
)  # fmt: skip
def test_a_file_from_which_nothing_can_be_learned_is_refused(
    tmp_path, name, content, error, message
):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message):
        propose(tmp_path / name)


class TestCommand:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "iris.csv").write_bytes((MODELS / "iris.csv").read_bytes())
        return tmp_path

    def test_it_writes_a_spec_and_says_what_to_type_next(self, nnreg):
        code, out, err = nnreg("init", "iris.csv")
        assert (code, err) == (0, "")
        assert "iris.csv: 150 rows, 5 columns" in out
        assert "predicts 'species', one of 3 classes (its name is that of a target)" in out
        *_, wrote, following = out.splitlines()
        assert wrote == "wrote iris.json"
        assert following.startswith("next: nnreg ")
        changes = ("--set", "train.epochs=2", "--out", "run")
        assert nnreg(*following.removeprefix("next: nnreg ").split(), *changes)[0] == 0

    def test_a_file_that_is_there_is_replaced_only_by_force(self, folder, nnreg):
        (folder / "iris.json").write_text("mine")
        code, _, err = nnreg("init", "iris.csv")
        assert code == 2
        assert "iris.json: is there already; choose another --out, or --force" in err
        assert (folder / "iris.json").read_text() == "mine"
        assert nnreg("init", "iris.csv", "--force")[0] == 0
        assert read_spec("iris.json")

    def test_a_folder_gives_the_spec_its_name(self, folder, nnreg, monkeypatch):
        (folder / "cats" / "tabby").mkdir(parents=True)
        for name in ("a.png", "c.png"):
            (folder / "cats" / "tabby" / name).write_bytes(png(np.zeros((4, 4), int), (4, 4)))
        assert "no column looks like a target" in nnreg("init", "cats/")[2]  # with one class
        (folder / "cats" / "red").mkdir()
        (folder / "cats" / "red" / "b.png").write_bytes(png(np.ones((4, 4), int), (4, 4)))
        monkeypatch.chdir(folder / "cats")
        assert nnreg("init", ".", "--out", "../first.json")[0] == 0
        assert nnreg("init", ".")[1].endswith("next: nnreg run cats.json\n")

    def test_the_data_are_found_from_where_the_spec_is(self, folder, nnreg):
        (folder / "specs").mkdir()
        assert nnreg("init", "iris.csv", "--out", "specs/a.json")[0] == 0
        assert read_spec("specs/a.json").spec.data.path == "../iris.csv"
        assert nnreg("validate", "specs/a.json")[0] == 0
        assert nnreg("init", "iris.csv", "--out", "nowhere/a.json")[0] == 2

    def test_standard_output_is_a_spec_that_run_takes(self, folder, nnreg):
        code, out, _ = nnreg("init", "iris.csv", "--out", "-")
        assert code == 0
        assert not (folder / "iris.json").exists()
        assert nnreg("run", "-", "--set", "train.epochs=2", "--out", "run", stdin=out)[0] == 0

    def test_programs_get_the_spec_and_the_reasons(self, nnreg):
        found = json.loads(nnreg("init", "iris.csv", "--json")[1])
        assert found["spec"] == jsonc.loads(Path("iris.json").read_text())
        assert found["file"] == "iris.json"
        assert found["target"] == "species"

    def test_a_schema_that_lies_there_is_named(self, folder, nnreg):
        (folder / "nnreg.schema.json").write_text("{}")
        nnreg("init", "iris.csv")
        assert jsonc.loads((folder / "iris.json").read_text())["$schema"] == "./nnreg.schema.json"

    def test_a_first_line_that_looks_like_a_row_is_told(self, folder, nnreg):
        body = "5.1,3.5,a\n" + "".join(f"{i * 0.3:.1f},{i},{'ab'[i % 2]}\n" for i in range(30))
        (folder / "bare.csv").write_text(body)
        assert (
            "takes the first line for names, of which '5.1' looks" in nnreg("init", "bare.csv")[1]
        )
        (folder / "years.csv").write_text(body.replace("5.1,3.5", "2019,2020"))
        assert "first line" not in nnreg("init", "years.csv")[1]

    def test_a_mistyped_target_writes_nothing(self, folder, nnreg):
        code, _, err = nnreg("init", "iris.csv", "--target", "specis")
        assert code == 2
        assert "did you mean 'species'" in err
        assert not (folder / "iris.json").exists()

    def test_on_a_terminal_it_asks_what_to_predict(self, folder, monkeypatch, nnreg):
        monkeypatch.setattr("nnreg.cli.init.on_terminal", lambda: True)
        code, out, err = nnreg("init", "iris.csv", stdin="petal_length\n")
        assert code == 0
        assert "predict which [species]" in err
        assert "predicts 'petal_length', a number (it was asked for)" in out
        assert nnreg("init", "iris.csv", "--force", stdin="\n")[1].startswith("columns: ")
        assert read_spec("iris.json").spec.data.target == "species"


def test_json_with_comments_reads_back_as_it_was():
    tree = {
        "a": {"b": [1, {"c": "//"}], "d": {}, "e": []},
        "f": [["x" * 90], 1.5, None],
        "日": True,
    }
    comments = {"$": "first", "$.a.b[1].c": "two\nlines", "$.f": "word " * 40, "$.nowhere": "x"}
    text = jsonc.dumps(tree, comments)
    assert jsonc.loads(text) == tree
    assert max(map(len, text.splitlines())) <= 104
    for line in ("  // first", "        // two", "        // lines"):
        assert line in text.splitlines()
    assert jsonc.loads(jsonc.dumps({}, {})) == {}
