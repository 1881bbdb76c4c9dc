"""The charts of a report and the network diagram, also of very large and unusual runs."""

import json
import re
import shutil
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import nnreg
from nnreg.plotting import matplotlib_file, svg
from nnreg.plotting.braille import draw as draw_braille
from nnreg.plotting.curves import by_epoch, metrics_of
from nnreg.reports import figures
from nnreg.reports.network_diagram import MAX_BOXES, Box, _compressed, boxes_of, diagram
from nnreg.training.history import History
from tests.helpers.copies import enter_copy, new_directory
from tests.helpers.specs import classifier

RECORDS = [
    {"epoch": i, "loss": 1 / i, "val_loss": 1.2 / i, "accuracy": 1 - 0.5 / i} for i in range(1, 41)
]


def texts(svg):
    return [
        "".join(element.itertext())
        for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    ]


def drawn(chart):
    return svg.draw(chart, "a chart").file()


def columns(*records):
    return History(records).columns


def test_a_curve_is_drawn_with_its_best_epoch():
    chart = by_epoch({"run": columns(*RECORDS)}, "loss", {"run": 7})
    training, validation = chart.curves
    np.testing.assert_array_equal(training.y, [r["loss"] for r in RECORDS])
    np.testing.assert_array_equal(validation.y, [r["val_loss"] for r in RECORDS])
    assert (training.dot, validation.dot) == (None, 6)
    assert chart.mark == (7, "best epoch 7")
    assert "best epoch 7" in texts(drawn(chart))


def test_losses_and_errors_that_span_decades_have_a_logarithmic_axis():
    for name, last, logarithmic in (
        ("loss", 0.01, True), ("loss", 0.5, False), ("loss", -1.0, False),
        ("mean_squared_error", 0.01, True), ("accuracy", 0.01, False),
    ):  # fmt: skip
        run = columns({"epoch": 1, name: 1.0}, {"epoch": 2, name: last})
        assert by_epoch({"run": run}, name, {}).up.logarithmic == logarithmic


def test_each_metric_of_the_runs_has_a_panel():
    other = columns({"epoch": 1, "loss": 2.0, "r2": 0.5, "learning_rate": 0.1})
    runs = {"a": columns(*RECORDS), "b": other}
    figure = matplotlib_file.figure(
        [by_epoch(runs, name, {}) for name in metrics_of(runs.values())]
    )
    titles = [axes.get_title("left") for axes in figure.axes if axes.get_visible()]
    assert titles == ["loss", "accuracy", "r2", "learning rate"]


@pytest.mark.parametrize(
    "values",
    [
        [np.nan] * 5,
        [np.inf, 1.0, -np.inf],
        [1e300, 1e-300, 0.0],
        [5.0],
        [0.0, 0.0],
        [-1e308, 1e308],
        [1.0, 1.0 + 1e-15],
    ],
)
def test_any_recorded_values_can_be_drawn(values, tmp_path):
    records = [{"epoch": i, "loss": v} for i, v in enumerate(values, 1)]
    chart = by_epoch({"r": columns(*records)}, "loss", {"r": 1})
    norms = figures.gradient_norms([{"epoch": r["epoch"], "a": r["loss"]} for r in records])
    y = np.array(values)
    scatter_plots = (
        figures.predicted_against_target(y, y[::-1], "y"),
        figures.residuals(y, y, "y"),
    )
    for each in (chart, norms, *scatter_plots):
        text = drawn(each)
        assert "epoch" in texts(text) or "y" in "".join(texts(text))
        assert not re.search(r"\b(nan|inf)\b", text)
    assert "training" in draw_braille(chart, 60, 10).plain
    matplotlib_file.save(matplotlib_file.figure([chart]), tmp_path / "a.svg")


@pytest.mark.parametrize("name", ["$x^2$", "$\\frac{", "a_b", "50%", "a\\$b", "{}", "<&>"])
def test_a_name_is_drawn_verbatim(name, tmp_path):
    assert f"true {name}" in texts(
        drawn(figures.predicted_against_target(np.arange(3.0), np.arange(3.0), name))
    )
    chart = by_epoch({"a": columns({"epoch": 1, name: 1})}, name, {})
    figure = matplotlib_file.figure([chart])
    matplotlib_file.save(figure, tmp_path / "a.svg")
    assert name.replace("_", " ") in texts((tmp_path / "a.svg").read_text())


def test_many_layers_are_sampled_from_the_first_to_the_last():
    records = [{"epoch": e, **{f"layers/{i}": 1.0 for i in range(300)}} for e in (1, 2)]
    chart = figures.gradient_norms(records)
    assert len(chart.curves) == figures.MAX_LAYERS
    assert [text for text in texts(drawn(chart)) if "/" in text] == ["layers/0", "layers/299"]


@pytest.mark.parametrize("count", [2, 12, 100, 200])
def test_a_confusion_matrix_of_many_classes_is_legible_and_small(count):
    matrix = np.random.default_rng(0).integers(0, 5, (count, count)) + 90 * np.eye(count, dtype=int)
    names = [f"class {i}" for i in range(count)]
    drawing = svg.matrix(matrix, names, "a matrix", across="predicted", down="true")
    shown = texts(drawing.file())
    assert {"class 0", "predicted", "true"} < set(shown)
    assert (f"{matrix[0, 0]}" in shown) == (count <= svg.MAX_COUNTED)
    assert len(drawing.file()) < 250_000


def test_the_shade_of_a_matrix_cell_is_its_fraction_of_the_row():
    matrix = np.array([[10, 0, 0], [5, 0, 15], [0, 0, 0]])
    text = svg.matrix(matrix, "abc", "a matrix", across="predicted", down="true").file()
    cells = dict(re.findall(r'stroke-opacity="([\d.]+)" d="([^"]+)"', text))
    assert cells == {"1": "M0 0.5h1", "0.25": "M0 1.5h1", "0.75": "M2 1.5h1"}


def test_a_scatter_of_many_points_is_sampled():
    y = np.arange(1e6)
    assert drawn(figures.predicted_against_target(y, y, "y")).count("<circle") == figures.MAX_POINTS


def test_files_have_reproducible_bytes_in_every_format(tmp_path):
    chart = by_epoch({"run": columns(*RECORDS)}, "loss", {"run": 3})
    for suffix, start in (("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")):
        files = []
        for _ in range(2):
            matplotlib_file.save(matplotlib_file.figure([chart]), tmp_path / f"a.{suffix}")
            files.append((tmp_path / f"a.{suffix}").read_bytes())
        assert files[0] == files[1]
        assert files[0].startswith(start)


def built(layers, data=None):
    x = np.zeros((6, 4)) if data is None else data
    layers = [*layers, {"type": "dense", "units": "classes", "activation": "softmax"}]
    return nnreg.build(classifier(model={"layers": layers}), data=(x, ["a", "b", "<c>"] * 2))


def test_the_network_is_drawn_with_options_shapes_and_parameters():
    words = texts(diagram(built([{"type": "dense", "units": 8, "activation": "tanh"}])).file())
    assert words == [
        "input ", "4 values",
        "dense 8 units, tanh", "8 values", "40 parameters",
        "dense one unit per class, softmax", "3 values", "27 parameters",
        "output <c>, a, b", "3 values",
    ]  # fmt: skip


def test_nested_layers_are_drawn_inside_the_outer_layer():
    inner = {"type": "residual", "layers": [{"type": "dense", "units": 4}, {"type": "dropout"}]}
    model = built([{"type": "residual", "layers": [inner, {"type": "dense", "units": 4}]}])
    outer = boxes_of(model)[0]
    assert (outer.kind, outer.size) == ("residual", 40)
    assert [box.kind for box in outer.children] == ["residual", "dense"]
    assert [box.kind for box in outer.children[0].children] == ["dense", "dropout"]
    root = ET.fromstring(diagram(model).file())
    frames = [e for e in root if e.tag.endswith("rect") and e.get("x")]
    edges = [tuple(float(e.get(k)) for k in ("x", "y", "width", "height")) for e in frames]
    outermost, innermost = edges[1], edges[3]
    assert outermost[0] < innermost[0]
    assert outermost[1] + outermost[3] > innermost[1] + innermost[3]


def test_repeated_layers_are_drawn_once_with_their_number():
    block = [{"type": "dense", "units": 5, "activation": "relu"}, {"type": "layer_norm"},
             {"type": "dropout", "rate": 0.1}]  # fmt: skip
    first = {"type": "dense", "units": 5}
    boxes = boxes_of(built([first, *block * 20]))
    assert [(box.kind, box.times, len(box.children)) for box in boxes] == [
        ("dense", 1, 0), ("", 20, 3), ("dense", 1, 0)
    ]  # fmt: skip
    assert sum(box.size * box.times for box in boxes) == 25 + 20 * (30 + 10) + 18
    assert "× 20" in texts(diagram(built([first, *block * 20])).file())


def test_frozen_layers_are_marked_and_have_no_gradient_to_draw():
    layers = [
        {"type": "dense", "units": 4},
        {"type": "residual", "layers": [{"type": "dense", "units": 4}]},
    ]
    spec = classifier(model={"layers": [*layers, {"type": "dense", "units": "classes",
                                                  "activation": "softmax"}]})  # fmt: skip
    spec["train"] = {"epochs": 1, "freeze": ["layers/1"]}
    model = nnreg.build(spec, data=(np.zeros((6, 4)), ["a", "b"] * 3))
    first, second, _ = boxes_of(model)
    assert (first.frozen, second.frozen, second.children[0].frozen) == (False, True, True)
    assert texts(diagram(model).file()).count("20 parameters, frozen") == 2
    records = [{"epoch": e, "layers/0": 0.5, "layers/1": 0.0} for e in (1, 2)]
    assert len(figures.gradient_norms(records).curves) == 1


def test_the_middle_of_very_many_layers_is_omitted():
    boxes = _compressed([Box("dense", str(i), (i,), i) for i in range(1000)])
    assert len(boxes) == MAX_BOXES + 1
    assert (boxes[0].options, boxes[-1].options) == ("0", "999")
    assert boxes[MAX_BOXES // 2].options == "960 more layers"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Train two runs that differ in a setting and an unfinished one."""
    rows = [f"{'ab'[i % 2]},{i % 2 + (i % 7) / 10},{i % 5}" for i in range(60)]
    data = {"source": "csv", "path": "data.csv", "target": "y", "split": {"test": 0.3}}
    spec = classifier(data=data)
    with new_directory(tmp_path_factory) as directory:
        Path("data.csv").write_text("\n".join(["y,u,v", *rows, ""]))
        nnreg.run(spec, out="runs/a", overrides=["optimizer.learning_rate=1e-9"])
        nnreg.run(spec, out="runs/b", overrides=["optimizer.learning_rate=0.1"])
        nnreg.run(spec, out="runs/c", overrides=["optimizer=sgd"])
        Path("runs/c/summary.json").unlink()
    return directory


@pytest.fixture
def runs(original, monkeypatch):
    """Return the directories of the runs."""
    enter_copy(original, monkeypatch)
    return [Path("runs", name) for name in "abc"]


def test_plot_writes_the_curves_to_the_path_that_it_prints(runs, nnreg):
    assert nnreg("plot", runs[0]) == (0, "runs/a/plots/curves.svg\n", "")
    assert "accuracy" in texts(Path("runs/a/plots/curves.svg").read_text())
    assert nnreg("plot", *runs) == (0, "curves.svg\n", "")
    assert {"a", "b", "c"} < set(texts(Path("curves.svg").read_text()))
    assert nnreg("plot", *runs, "--out", "curves.png") == (0, "curves.png\n", "")
    assert Path("curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["plot", "runs/a", "--out", "x.txt"],
            "x.txt: unknown plot format; use one of .svg, .png, .pdf",
        ),
        (["plot", "runs/a", "--out", "no/x.svg"], "no/x.svg: cannot write: No such file"),
        (["plot", "empty"], "empty: not a run directory"),
        (["plot", "runs/aa"], "runs/aa: cannot read the run: No such file"),
        (["plot", "data.csv"], "data.csv: cannot read the run: Not a directory"),
        (["report", "runs/aa"], "runs/aa: cannot read the run: No such file or directory"),
        (["compare", "runs/a", "empty"], "empty: not a run directory"),
        (["plot"], "RUN..."),
    ],
)
def test_a_plot_that_cannot_be_drawn_is_an_error(runs, nnreg, args, message):
    Path("empty").mkdir()
    code, out, err = nnreg(*args)
    assert (code, out) == (2, "")
    assert message in err


def test_without_matplotlib_plot_names_the_package_to_install(runs, nnreg, monkeypatch):
    monkeypatch.setitem(sys.modules, "nnreg.plotting.matplotlib_file", None)
    monkeypatch.delattr("nnreg.plotting.matplotlib_file", raising=False)
    code, _, err = nnreg("plot", runs[0])
    assert code == 2
    assert "plots need matplotlib; pip install matplotlib" in err


def test_plot_draws_losses_in_characters_without_matplotlib(runs, nnreg, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, out, err = nnreg("plot", *runs[:2], "--text")
    assert (code, err) == (0, "")
    assert out.count("━━ training") == 2
    a, _, b = out.partition("\nb: loss\n")
    assert a.startswith("\na: loss\n")
    lines = b.splitlines()
    rows = [i for i, line in enumerate(lines) if re.search("[\u2801-\u28ff]", line)]
    first = min(i for i in rows if re.search("^.{6}[\u2801-\u28ff]", lines[i]))
    last = max(i for i in rows if re.search("[\u2801-\u28ff]$", lines[i]))
    assert first < last  # the curve falls


def test_compare_shows_differing_settings_and_marks_the_best(runs, nnreg):
    code, out, _ = nnreg("compare", *runs[:2])
    assert code == 0
    a, b = (json.loads((run / "summary.json").read_text())["test"] for run in runs[:2])
    rows = [re.split(r"\s\s+", line.strip()) for line in out.splitlines() if line.strip()]
    assert [rows[0], *rows[2:5]] == [
        ["run", "a", "b"],
        ["learning rate", "1e-09", "0.1"],
        ["test loss", f"{a['loss']:.4g}", f"{b['loss']:.4g}*"],
        ["test accuracy", f"{a['accuracy']:.4g}", "1*"],
    ]
    assert [row[0] for row in rows[5:-1]] == ["best epoch", "seconds", "ended"]
    assert "nothing can be concluded about noise" in rows[-1][0]


def test_losses_of_different_kinds_have_no_best(runs, nnreg):
    shutil.copytree(runs[1], "runs/d")
    resolved = Path("runs/d/resolved.json")
    resolved.write_text(resolved.read_text().replace('"cross_entropy"', '"another"'))
    best = json.loads(nnreg("compare", "runs/a", "runs/d", "--json")[1])["best"]
    assert best == {"test accuracy": ["d"]}


def test_a_run_without_an_epoch_does_not_affect_the_others(runs, nnreg):
    shutil.copytree(runs[2], "runs/failed")
    Path("runs/failed/metrics.jsonl").write_text("")
    sides = json.loads(nnreg("compare", "runs/a", "runs/failed", "--json")[1])["sides"]
    assert [set(side["metrics"]) for side in sides] == [{"test loss", "test accuracy"}, set()]


def test_each_of_many_runs_has_a_row(runs, nnreg):
    for number in range(4):
        shutil.copytree(runs[1], f"runs/b{number}")
    _, out, _ = nnreg("compare", *sorted(Path("runs").glob("b*")), "runs/a")
    starts = [line.split()[0] for line in out.splitlines() if line.strip()]
    assert [name for name in starts if name in ("a", "b", "b0", "b3")] == ["b", "b0", "b3", "a"]


def test_compare_as_json_with_a_run_that_has_not_ended(runs, nnreg):
    code, out, _ = nnreg("compare", *runs, "--json", "--plot", "curves.pdf")
    assert code == 0
    found = json.loads(out)
    a, _, c = found["sides"]
    assert (a["run"], a["stopped"], c["stopped"]) == ("a", "epochs", None)
    assert (a["settings"]["optimizer"], c["settings"]["optimizer"]) == ("adam", "sgd")
    assert a["settings"]["optimizer.learning_rate"] == 1e-9
    assert "test accuracy" in a["metrics"]
    assert c["metrics"].keys() == {"loss", "accuracy"}
    assert found["best"]["test loss"] == ["b"]
    assert "a" not in found["best"]["loss"]
    assert Path("curves.pdf").read_bytes().startswith(b"%PDF")


def test_runs_in_different_directories_have_the_same_spec(runs, nnreg):
    nnreg("run", "runs/b/resolved.json", "--out", "elsewhere/deep/b2", "--quiet", "--no-report")
    code, out, _ = nnreg("compare", "runs/b", "elsewhere/deep/b2")
    assert code == 0
    assert "the specs are identical" in out


def test_runs_of_the_same_name_are_distinguished_by_their_paths(runs, nnreg):
    shutil.copytree(runs[1], "more/a")
    _, out, _ = nnreg("compare", "runs/a", "more/a", "--json")
    assert [side["run"] for side in json.loads(out)["sides"]] == ["runs/a", "more/a"]
