"""What encoders read in texts is exported to Python, JavaScript and C, and some of it to ONNX."""

import csv

import numpy as np
import pytest

import nnreg
from nnreg.errors import ExportError
from nnreg.exporters.record import program_of
from tests.exporters.formats import export_in_all_formats

PARTS = [
    "time", "year", "quarter", "month", "week", "day", "day_of_year", "weekday", "weekend", "hour",
    "minute", "second",
]  # fmt: skip
NGRAMS = {"ngrams": [1, 2], "stop_words": ["the"], "lowercase": False, "binary": True}
ENCODERS = {
    "words": ("review", {"type": "bag_of_words"}),
    "pairs": ("review", {"type": "bag_of_words", **NGRAMS}),
    "tf_idf": ("review", {"type": "tf_idf", "sublinear_tf": True, "norm": "l1"}),
    "hash": ("code", {"type": "hashed", "size": 7, "seed": 3}),
    "labels": ("tags", {"type": "labels"}),
    "label_counts": ("tags", {"type": "labels", "counts": True, "max_labels": 2}),
    "date": ("day", {"type": "date", "parts": PARTS}),
    "format": ("german", {"type": "date", "format": "%d.%m.%Y"}),
    "zone": ("zoned", {"type": "date"}),
    "clock": ("clock", {"type": "date"}),
    "unix": ("unix", {"type": "date", "unit": "s", "parts": PARTS}),
    "unix_in_zone": (
        "unix_ms", {"type": "date", "unit": "ms", "time_zone": "America/St_Johns", "parts": PARTS},
    ),
    "in_zone": ("zoned", {"type": "date", "time_zone": "Europe/Berlin", "parts": PARTS}),
    "tokens": ("review", {"type": "tokens", "vocabulary": 30, "length": 5}),
    "characters": (
        "review", {"type": "tokens", "tokens": "characters", "vocabulary": 30, "length": 30},
    ),
    "byte_pairs": (
        "review", {"type": "tokens", "tokens": "byte_pairs", "vocabulary": 280, "length": 40},
    ),
}  # fmt: skip
IN_ONNX = ("date", "labels")
COLUMNS = ("review", "code", "tags", "day", "german", "zoned", "clock", "named", "unix", "unix_ms")
LAYERS = [{"type": "dense", "units": "classes", "activation": "softmax"}]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Return the path of a table of texts."""
    path = tmp_path_factory.mktemp("text") / "data.csv"
    words = np.array(["the", "Cat", "sat", "Käse", "mat_1", "ПРИВЕТ", "can't", "ΣΟΦΟΣ", "x", "42"])
    rng = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*COLUMNS, "group"])
        for row in range(40):
            time = np.datetime64("2023-01-05T03:04:05") + np.timedelta64(row * 1_234_567, "s")
            rows.writerow([
                " ".join(rng.choice(words, row % 6)), ["x", "1.0", "k9"][row % 3],
                ";".join("abcd"[: 1 + row % 4]), time, time.item().strftime("%d.%m.%Y"),
                f"{time}+02:00", str(time)[11:16],
                time.item().strftime("%d %b %Y"), time.astype(int) + 0.5,
                time.astype("M8[ms]").astype(int), "yes" if row % 2 else "no",
            ])  # fmt: skip
    return path


def trained(path, column, encoder, missing="impute"):
    data = {
        "source": "csv", "path": str(path), "target": "group", "missing": missing,
        "exclude": [one for one in COLUMNS if one != column], "columns": {column: encoder},
    }  # fmt: skip
    layers = LAYERS
    if encoder["type"] == "tokens":
        vocabulary = encoder["vocabulary"]
        layers = [
            {"type": "embedding", "vocabulary": vocabulary, "units": 2},
            {"type": "global_average_pool"}, *LAYERS,
        ]  # fmt: skip
    return nnreg.run({
        "data": data, "model": {"layers": layers}, "loss": "cross_entropy", "optimizer": "adam",
        "train": {"epochs": 1},
    })  # fmt: skip


@pytest.mark.parametrize(
    "case",
    [
        "pairs",
        "tf_idf",
        "hash",
        "labels",
        "date",
        "format",
        "tokens",
        "unix",
        "unix_in_zone",
        "in_zone",
    ],
)
def test_a_python_file_reads_texts_as_nnreg_does(case, path, tmp_path):
    model = trained(path, *ENCODERS[case])
    assert nnreg.export(model, tmp_path / "model.py").difference < 1e-6


@pytest.mark.verify
@pytest.mark.parametrize("case", ENCODERS)
def test_all_formats_read_texts(case, path, tmp_path):
    model = trained(path, *ENCODERS[case])
    formats = ("numpy", "js", "c", "onnx")
    export_in_all_formats(model, tmp_path, formats[: 3 + (ENCODERS[case][1]["type"] in IN_ONNX)])


def test_a_format_without_texts_names_the_column_and_the_reason(path, tmp_path):
    pytest.importorskip("onnx", reason="onnx comes with the extra onnx")
    model = trained(path, *ENCODERS["words"])
    problem = r"column 'review' \(BagOfWords\): ONNX has no operator that finds words"
    with pytest.raises(ExportError, match=problem):
        nnreg.export(model, tmp_path / "model", to="onnx")
    assert not list(tmp_path.iterdir())


def test_what_no_format_can_express_names_the_column(path, tmp_path):
    model = trained(path, "named", {"type": "date", "format": "%d %b %Y"})
    with pytest.raises(ExportError, match=r"column 'named' \(Date\).*no format can express \"%b\""):
        nnreg.export(model, tmp_path / "model.py")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        (
            "zoned",
            "column 'zoned': is exported as a number, but '2023-.*' replaces",
        ),
        ("day", r"column 'day' \(Date\).*the dates of training are not Unix times; remove"),
    ],
)
def test_dates_of_training_that_are_no_unix_times_are_refused(column, problem, path, tmp_path):
    missing = "impute" if column == "zoned" else "refuse"
    model = trained(path, column, {"type": "date", "unit": "s"}, missing)  # reads ISO 8601 too
    with pytest.raises(ExportError, match=problem):
        nnreg.export(model, tmp_path / "model.py")


def test_a_text_that_is_no_date_has_no_answer(path):
    program = program_of(trained(path, *ENCODERS["format"]))
    given = ["31.12.2023", "2023-12-31", "31.13.2023", "soon", "2023-12-31T10:00:00Z"]
    found = program.run({"german": given})[""]
    assert np.isnan(found).any(axis=1).tolist() == [False, False, True, True, True]
    np.testing.assert_array_equal(found[0], found[1])


def test_a_text_of_more_tokens_than_in_training_has_no_answer(path):
    encoder = {**ENCODERS["tokens"][1], "length": 30}
    program = program_of(trained(path, "review", encoder))
    found = program.run({"review": ["the sat x 42 Cat", "sat " * 25, None]})[""]
    assert np.isnan(found).any(axis=1).tolist() == [False, True, False]
    assert any("at most" in one.message for one in program.requirements)
