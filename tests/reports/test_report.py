"""The report of a run: what it says, that it says it safely, and that it needs nothing else."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import nnreg
from nnreg.reports.evaluation import against_guess, interval
from nnreg.reports.html import escape, figure, percent
from nnreg.reports.html_page import page
from nnreg.reports.png import png
from nnreg.reports.predictions import Results, results_of
from nnreg.reports.report import report, report_folds
from nnreg.reports.run_record import read_run
from nnreg.runs.baseline import constant
from nnreg.runs.prepare import reassemble
from nnreg.runs.run import start
from tests.helpers.specs import blobs, classifier, regressor

SPLIT = {"validation": 0.2, "test": 0.25, "stratify": True}
VOID = {"meta", "link", "img", "br", "path", "rect", "use", "image"}


class Page(HTMLParser):
    """The text of a page by element, and every address in it; raises where tags do not match."""

    def __init__(self, html):
        super().__init__()
        self.open, self.texts, self.addresses, self.tags = [], {}, [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        names = ("src", "href", "xlink:href", "action", "data")
        self.addresses += [value for name, value in attrs if name in names]
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)

    def said(self, tag):
        return " ".join(self.texts.get(tag, []))


def write_csv(path, head, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])


@pytest.fixture
def spec(tmp_path, monkeypatch):
    """Return the path of a spec of 120 points of three classes, two of which overlap."""
    monkeypatch.chdir(tmp_path)
    x, y = blobs(120)
    place = np.random.default_rng(1).choice(["north", "south"], 120)
    rows = [[label, where, *row] for label, where, row in zip(y, place, x.round(3), strict=True)]
    write_csv(tmp_path / "data.csv", ["tree", "place", "a", "b", "c", "d"], rows)
    data = {"source": "csv", "path": "data.csv", "target": "tree", "split": SPLIT}
    (tmp_path / "spec.json").write_text(json.dumps(classifier(data=data, seed=3)))
    return tmp_path / "spec.json"


@pytest.fixture
def numbers(tmp_path, monkeypatch):
    """Return the path of a spec with a target of numbers."""
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(60, 2)).round(3)
    y = x @ [2.0, -1.0] + 1 + np.random.default_rng(1).normal(size=60)
    write_csv(tmp_path / "data.csv", ["a", "b", "y"], np.column_stack([x, y.round(3)]).tolist())
    data = {"source": "csv", "path": "data.csv", "target": "y", "split": {"test": 0.3}}
    (tmp_path / "spec.json").write_text(json.dumps(regressor(data=data, metrics=["r2"])))
    return tmp_path / "spec.json"


def page_of(run):
    return Page(report(run).read_text())


def test_the_page_says_how_many_are_right_and_how_many_a_constant_guess_gets_right(spec):
    model = nnreg.run(spec, out="out")
    test = reassemble(nnreg.load("out")).test
    guesses = model.network.predict(test.x).argmax(axis=-1)
    right = int((guesses == test.truth).sum())
    said = page_of("out").said("p")
    assert f"right for {right} of {len(test)} test rows, {percent(right / len(test))}" in said
    majority, name = constant(model, reassemble(nnreg.load("out")).train)
    assert name in page_of("out").said("em")
    assert f"is right for {percent(float(np.mean(test.truth == majority)))}" in said


def test_of_numbers_it_says_how_far_they_are_off(numbers):
    model = nnreg.run(numbers, out="out")
    assembled = reassemble(nnreg.load("out"))
    off = np.mean(np.abs(model.network.predict(assembled.test.x) - assembled.test.truth))
    mean = np.mean(np.abs(assembled.train.truth.mean() - assembled.test.truth))
    said = page_of("out").said("p")
    assert f"On 18 test rows it is off by {figure(float(off))} on average" in said
    assert f"always answering the mean is off by {figure(float(mean))}" in said


def test_without_held_out_rows_it_says_that_this_tells_nothing_of_new_ones(spec):
    nnreg.run(spec, out="out", overrides=["data.split={}"])
    said = page_of("out").said("p")
    assert "training rows" in said
    assert "No rows were held out" in said


def test_results_are_those_of_the_model_and_its_raw_rows(spec, tmp_path):
    model = nnreg.run(spec, out="out")
    results = results_of(reassemble(nnreg.load("out")))
    with (tmp_path / "data.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert results.part == "test"
    assert results.confusion.sum() == len(results.truth) == 30
    for true, answered in np.ndindex(3, 3):
        both = (results.truth == true) & (results.answers == answered)
        assert results.confusion[true, answered] == both.sum()
    for place in range(30):
        shown = results.input(place)
        match = [row for row in rows if all(float(row[n]) == float(shown[n]) for n in "abcd")]
        assert results.where(place) == f"line {rows.index(match[0]) + 2}"
        assert match[0]["place"] == shown["place"]
        assert match[0]["tree"] == model.classes[results.truth[place]]
        probability = model.predict([match[0]])[0, results.answers[place]]
        assert results.sureness[place] == pytest.approx(probability, abs=1e-6)


def test_the_errors_it_was_surest_of_come_first(spec):
    nnreg.run(spec, out="out", overrides=["train.epochs=1"])
    results = results_of(reassemble(nnreg.load("out")))
    worst = results.worst(100)
    wrong = np.flatnonzero(results.truth != results.answers)
    assert sorted(worst) == sorted(wrong)
    assert len(wrong) > 2
    assert (np.diff(results.sureness[worst]) <= 0).all()
    assert len(results.worst(2)) == 2


def test_data_that_were_passed_in_are_passed_in_again(tmp_path):
    data = blobs(120)
    spec = classifier(data={"source": "csv", "path": "-", "target": "target", "split": SPLIT})
    model = nnreg.run(spec, data=data, out=tmp_path / "out")
    assert "trained on data passed in" in page_of(tmp_path / "out").said("p")
    page = Page(report(tmp_path / "out", data=data).read_text())
    assert "of 30 test rows" in page.said("p")
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    right = round(30 * summary["test"]["accuracy"])
    assert f"It is right for {right} of 30" in page.said("p")
    assert model.history


def test_the_answers_are_those_of_averaged_weights_where_training_keeps_them(spec):
    nnreg.run(spec, out="out", overrides=["train.ema=0.9", "train.epochs=1"])
    assembled = reassemble(nnreg.load("out/checkpoints/last.h5"))
    results, model, test = results_of(assembled), assembled.model, assembled.test
    y = model.answering.predict(test.x)
    assert not np.allclose(y, model.network.predict(test.x))
    np.testing.assert_array_equal(results.sureness, y.max(axis=-1))


def test_a_single_output_is_as_sure_of_the_other_class(spec):
    layers = [{"type": "dense", "units": 1, "activation": "sigmoid"}]
    x, y = blobs(60)
    write_csv(Path("data.csv"), ["tree", *"abcd"],
              [[n == "ash", *row] for n, row in zip(y, x, strict=True)])  # fmt: skip
    changes = [f"model.layers={json.dumps(layers)}", "loss=binary_cross_entropy"]
    model = nnreg.run(spec, out="out", overrides=[*changes, "data.exclude=[]"])
    results = results_of(reassemble(nnreg.load("out")))
    y = model.network.predict(reassemble(nnreg.load("out")).test.x)[:, 0]
    np.testing.assert_allclose(results.sureness, np.maximum(y, 1 - y))
    assert results.confusion.shape == (2, 2)


def test_the_page_needs_no_other_file_and_no_script(spec, numbers):
    nnreg.run(numbers, out="out")
    html = report("out").read_text()
    page = Page(html)
    assert [a for a in page.addresses if not a.startswith(("data:", "#"))] == []
    assert "script" not in dict(page.tags)
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org/)", html)
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv"))
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_every_picture_has_a_text_and_headings_go_down_step_by_step(spec):
    nnreg.run(spec, out="out")
    page = page_of("out")
    for tag, attributes in page.tags:
        assert tag != "img" or attributes["alt"]
        assert tag != "svg" or (attributes["role"] == "img" and attributes["aria-label"])
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert max(np.diff(levels)) <= 1
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))


def test_the_same_run_has_the_same_bytes_at_its_end_and_later(spec, nnreg):
    code, out, _ = nnreg("run", spec, "--out", "out", "--quiet")
    assert code == 0
    assert "report: out/report.html" in out
    files = ["out/report.html", *map(str, Path("out/plots").iterdir())]
    first = {name: Path(name).read_bytes() for name in files}
    assert {Path(name).stem for name in files} > {"loss", "accuracy", "gradients", "confusion"}
    assert nnreg("report", "out") == (0, "out/report.html\n", "")
    assert {name: Path(name).read_bytes() for name in files} == first


def test_plots_are_files_of_well_formed_svg(spec, numbers):
    nnreg.run(numbers, out="out")
    report("out")
    files = sorted(Path("out/plots").iterdir())
    names = ["gradients", "loss", "network", "predicted", "r2", "residuals"]
    assert [file.stem for file in files] == names
    for file in files:
        assert ET.parse(file).getroot().tag == "{http://www.w3.org/2000/svg}svg"


NASTY = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</style></svg><b>", "]]>&amp;",
    "$\\frac{", "a$b$c", "\x1b[31mred", "\u202egnirts", "${title}", "名前",
]  # fmt: skip


def test_names_in_data_are_text_and_neither_html_nor_formulas(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    columns = [f"{name} in" for name in NASTY[:4]]
    rng = np.random.default_rng(0)
    rows = [
        [NASTY[i % len(NASTY)], *rng.normal(size=3).round(3), NASTY[-1 - i % len(NASTY)]]
        for i in range(60)
    ]
    write_csv(tmp_path / "<b>.csv", ["</title>", *columns], rows)
    data = {"source": "csv", "path": "<b>.csv", "target": "</title>", "split": {"test": 0.5}}
    spec = classifier(data=data, train={"epochs": 1})
    monkeypatch.setattr(sys, "argv", ["nnreg", "<script>alert(2)</script>"])
    nnreg.run(spec, out="<i>&", overrides=['data.unseen="ignore"'])
    html = report("<i>&").read_text()
    page = Page(html)
    assert {tag for tag, _ in page.tags} & {"script", "i", "b", "img"} == set()
    assert not [name for _, attributes in page.tags for name in attributes if name[:2] == "on"]
    for name in ("<script>alert(1)</script>", "</style></svg><b>", "$\\frac{", "a$b$c", "名前"):
        assert name in page.said("th") + page.said("td")
        assert name in page.said("text") or len(name) > 24
    assert "\x1b" not in html
    assert "\u202e" not in html
    for file in Path("<i>&/plots").iterdir():
        ET.parse(file)


WRONG = [
    ("summary.json", {"stopped": ["x"], "best_epoch": "<b>", "test": {"loss": "<b>"}}),
    ("summary.json", {"test": 3, "verdict": 1, "seconds": "<b>", "epochs": {}}),
    ("environment.json", {"git": "<b>", "command": "<b>", "blas": {"a": "<b>"}, "earlier": [1]}),
    ("environment.json", {"distributions": ["<b>"], "data": [], "overrides": {"<b>": 1}}),
    ("gradients.jsonl", {"epoch": "<b>", "<b>": "<b>"}),
    ("resolved.json", {"<b>": ["<b>"]}),
    ("spec.json", {"<b>": "</pre><b>"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content"), WRONG)
def test_an_untrusted_directory_may_say_anything(spec, name, content):
    nnreg.run(spec, out="out", overrides=["train.epochs=1"])
    Path("out", name).write_text(json.dumps(content) + "\n")
    assert "b" not in {tag for tag, _ in page_of("out").tags}
    for text in ("", "{", "[1]", "\x00"):
        Path("out", name).write_text(text)
        Page(page(read_run("out"), None, None, [], [], []))


def test_a_page_is_written_where_data_or_plugins_are_missing_and_says_so(spec):
    nnreg.run(spec, out="out")
    Path("data.csv").unlink()
    page = page_of("out")
    assert "is left out" in page.said("p")
    assert "data.csv: cannot read the data" in page.said("p")
    assert "The network" not in page.said("h2")
    assert "How it trained" in page.said("h2")
    assert "accuracy" in page.said("th")


def test_a_run_that_was_stopped_has_a_report_of_its_best_weights_so_far(spec):
    run = start(spec, out="out")

    def interrupt(record):
        if record["epoch"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.train(interrupt)
    page = page_of("out")
    assert "It was stopped after epoch 3." in page.said("p")
    assert "What it gets right and wrong" in page.said("h2")
    Path("out/summary.json").unlink()
    assert "It has not ended: 3 epochs are done so far." in page_of("out").said("p")


def test_a_run_without_an_epoch_has_a_report(spec):
    run = start(spec, out="out", overrides=["optimizer.learning_rate=1e38"])
    with pytest.raises(nnreg.DivergedError):
        run.train()
    page = page_of("out")
    assert "It diverged after epoch 0" in page.said("p")
    assert "best.h5" in page.said("p")
    assert "The spec" in page.said("h2")


def test_many_classes_columns_epochs_and_layers_make_no_large_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = [
        [f"class {i % 400}", *row] for i, row in enumerate(rng.normal(size=(1600, 60)).round(2))
    ]
    write_csv(tmp_path / "data.csv", ["y", *(f"column {i}" for i in range(60))], rows)
    layers = [{"type": "dense", "units": 2 + i % 2} for i in range(60)]
    spec = classifier(
        data={
            "source": "csv",
            "path": "data.csv",
            "target": "y",
            "split": {"test": 0.5, "stratify": True},
        },
        model={"layers": [*layers, {"type": "dense", "units": "classes", "activation": "softmax"}]},
        train={"epochs": 2, "batch_size": 600},
    )
    nnreg.run(spec, out="out")
    for name, line in (("metrics", '"loss": 1.5'), ("gradients", '"layers/0": 0.5')):
        epochs = (f'{{"epoch": {i}, {line[:-3]}{rng.random():.6f}}}\n' for i in range(1, 20_001))
        Path(f"out/{name}.jsonl").write_text("".join(epochs))
    file = report("out")
    assert file.stat().st_size < 1_000_000
    page = Page(file.read_text())
    assert "The 25 of 400 that are found least." in page.said("p")
    assert "The first 10 of 60 inputs." in page.said("p")


def test_images_that_were_taken_for_others_are_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.savez("data.npz", image=rng.integers(0, 256, (40, 5, 4)), digit=np.arange(40) % 4)
    layers = [{"type": "flatten"}, {"type": "dense", "units": "classes", "activation": "softmax"}]
    spec = classifier(
        data={"source": "npz", "path": "data.npz", "target": "digit", "split": {"test": 0.5}},
        model={"layers": layers},
    )
    nnreg.run(spec, out="out")
    page = page_of("out")
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert 5 < len(pictures) <= 12
    assert all(one["src"].startswith("data:image/png;base64,") for one in pictures)
    assert pictures[0]["alt"].startswith("input: where row ")
    results = results_of(reassemble(nnreg.load("out")))
    image = np.load("data.npz")["image"]
    shown = results.input(0)[..., 0].astype(float)
    near = [np.abs(shown - 255 * (i - i.min()) / (i.max() - i.min())).max() for i in image]
    assert min(near) < 0.51


def test_a_png_holds_the_pixels():
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (7, 3, 3), np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png(pixels)))), pixels)


def test_several_targets_and_sequences_are_drawn(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    write_csv(tmp_path / "data.csv", ["a", "u", "v"], rng.normal(size=(30, 3)).tolist())
    data = {"source": "csv", "path": "data.csv", "target": ["u", "v"], "split": {"test": 0.5}}
    model = {"layers": [{"type": "dense", "units": 2}]}
    nnreg.run(regressor(data=data, model=model), out="two")
    assembled = reassemble(nnreg.load("two"))
    y, truth = assembled.model.network.predict(assembled.test.x), assembled.test.truth
    guessed = np.abs(truth - assembled.train.truth.mean(axis=0)).mean(axis=0)
    share = figure(float(np.mean(np.abs(y - truth).mean(axis=0) / guessed)))
    said = page_of("two").said("p")
    assert f"off by {share} times as much as always answering the mean, over 2 targets" in said
    assert {"predicted-0", "predicted-1"} < {file.stem for file in Path("two/plots").iterdir()}
    np.savez("paths.npz", x=rng.normal(size=(20, 6, 3)), y=rng.normal(size=(20, 6, 2)))
    data = {"source": "npz", "path": "paths.npz", "target": "y", "split": {"test": 0.5}}
    nnreg.run(regressor(data=data, model=model), out="paths")
    assert "On 60 test rows" in page_of("paths").said("p")
    assert "over 2 targets" in page_of("paths").said("p")
    assert "y 1" in page_of("paths").said("td")
    np.savez("tags.npz", x=rng.normal(size=(20, 6, 3)), tag=rng.integers(0, 2, (20, 6)))
    data = {"source": "npz", "path": "tags.npz", "target": "tag", "split": {"test": 0.5}}
    layers = [{"type": "dense", "units": "classes", "activation": "softmax"}]
    nnreg.run(classifier(data=data, model={"layers": layers}), out="tags")
    assert "of 60 test rows" in page_of("tags").said("p")


RUN = ["run", "spec.json", "--out", "new", "--quiet"]


@pytest.mark.parametrize("command", [RUN, ["report", "out"], ["report", "cv"]])
def test_a_report_is_complete_without_matplotlib(spec, folds, command):
    nnreg.run(spec, out="out")
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        f"from nnreg.cli.app import main\nmain({command})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    folder = Path(command[1] if command[0] == "report" else "new")
    drawn = {file.stem for file in (folder / "plots").iterdir()}
    single = {"gradients", "confusion", "network"}
    assert drawn == {"loss", "accuracy"} | (set() if folder.name == "cv" else single)


@pytest.mark.parametrize("command", [RUN, ["report", "out"]])
def test_run_and_report_do_not_import_matplotlib(spec, command):
    nnreg.run(spec, out="out")
    code = (
        f"import sys\nfrom nnreg.cli.app import main\n"
        f"try: main({command})\nexcept SystemExit: pass\n"
        "assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_plot_leaves_matplotlib_as_it_was(spec, nnreg):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    nnreg("run", spec, "--out", "out", "--quiet", "--no-report")
    assert nnreg("plot", "out", "--out", "a.png")[0] == 0
    assert dict(mpl.rcParams) == before
    code = (
        "import sys\nfrom nnreg.cli.app import main\n"
        "try: main(['plot', 'out', '--out', 'b.png'])\nexcept SystemExit: pass\n"
        "assert 'matplotlib.figure' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_run_may_do_without_a_report(spec, nnreg):
    code, out, _ = nnreg("run", spec, "--out", "out", "--quiet", "--no-report")
    assert code == 0
    assert "report" not in out
    assert not Path("out/report.html").exists()
    assert not Path("out/plots").exists()


def test_a_report_that_cannot_be_written_spoils_no_run(spec, nnreg):
    Path("out").mkdir()
    Path("out/plots").write_text("in the way")
    code, out, err = nnreg("run", spec, "--out", "out", "--quiet")
    assert code == 0
    assert "note: there is no report: out: cannot write: " in err
    assert "saved in out" in out


def test_with_json_nothing_but_json_is_printed(spec, nnreg):
    code, out, _ = nnreg("run", spec, "--out", "out", "--quiet", "--json")
    assert code == 0
    assert json.loads(out.splitlines()[-1] if out.startswith('{"') else out)
    assert Path("out/report.html").exists()


def test_a_diverged_run_has_its_report(numbers, nnreg):
    diverging = 'optimizer={"type": "sgd", "learning_rate": 1e200}'
    code, out, err = nnreg("run", numbers, "--out", "out", "--quiet", "--set", diverging)
    assert (code, out) == (3, "")
    assert "report: out/report.html" in err
    assert "It diverged after epoch" in Page(Path("out/report.html").read_text()).said("p")


def test_report_tells_the_path_and_opens_it_if_asked(spec, nnreg, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    nnreg("run", spec, "--out", "out", "--quiet", "--no-report")
    assert nnreg("report", "out") == (0, "out/report.html\n", "")
    assert opened == []
    nnreg("report", "out", "--open")
    assert opened == [Path("out/report.html").resolve().as_uri()]


def test_what_is_no_run_has_no_report(tmp_path, nnreg):
    code, _, err = nnreg("report", tmp_path)
    assert code == 2
    assert "not the folder of a run" in err


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (1234567, "1,234,567"), (0.123456, "0.1235"), (-2.5, "−2.5"), (1e-7, "1e−07"),
     (123456.7, "123,457"), (7.4e18, "7.4e+18"), (float("nan"), "–"),
     (True, "True"), ("<", "&lt;")],
)  # fmt: skip
def test_numbers_are_written_as_people_read_them(value, text):
    assert figure(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (1, "100 %"), (0.5, "50.0 %"), (0.99999, "99.999 %"), (1e-5, "0.001 %")],
)
def test_a_share_is_not_rounded_to_all_or_none(share, text):
    assert percent(share) == text


def test_text_is_escaped_and_what_is_no_character_replaced():
    assert escape("<a href='\x1b\u202e'>") == "&lt;a href=&#x27;\ufffd\ufffd&#x27;&gt;"


@pytest.mark.parametrize(
    ("right", "guessed", "said"),
    [(90, 50, "better than guessing"), (55, 50, "not clearly better than guessing"),
     (30, 50, "no better than guessing"), (50, 50, "not clearly better than guessing")],
)  # fmt: skip
def test_better_than_guessing_is_what_chance_does_not_explain(right, guessed, said):
    truth = np.arange(100) >= guessed  # so many are of the class that is guessed
    answers = truth ^ (np.arange(100) >= right)
    results = Results(
        "test", ("a", "b"), ("y",), truth.astype(int), answers.astype(int), np.ones(100),
        np.array(0), "a", 1, None, np.zeros((100, 1)), nnreg.Table({}),
    )  # fmt: skip
    text = " ".join(Page(against_guess(results)).texts["span"])
    assert text == said


def test_the_interval_is_wilsons():
    low, high = interval(8, 10)
    assert (low, high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert interval(10, 10)[1] == 1


@pytest.fixture
def folds(spec):
    """Return the folder of a cross-validation."""
    overrides = ["train.folds=3", 'data.split={"stratify": true}']
    nnreg.run(spec, out="cv", overrides=overrides)
    return Path("cv")


def test_a_cross_validation_has_a_page_that_leads_to_those_of_its_folds(folds):
    page = Page(report(folds).read_text())
    summary = json.loads((folds / "summary.json").read_text())
    assert "In 3 of 3 folds" in page.said("p")
    assert f"accuracy {figure(summary['mean']['accuracy'])} ± " in page.said("p")
    assert figure(summary["std"]["accuracy"]) in page.said("td")
    assert "--set train.folds=3" in page.said("code")
    links = [address for address in page.addresses if address.endswith(".html")]
    assert links == [f"fold-{number}/report.html" for number in (1, 2, 3)]
    for link in links:
        assert "How it trained" in Page((folds / link).read_text()).said("h2")
    assert sorted(file.stem for file in (folds / "plots").iterdir()) == ["accuracy", "loss"]


def test_a_cross_validation_that_was_stopped_or_spoiled_has_a_page(folds):
    for text in ('{"mean": 3}', '{"mean": {"<b>": "<b>"}, "std": {"<b>": "<b>"}}', "", "{}"):
        (folds / "summary.json").write_text(text)
        assert "b" not in {tag for tag, _ in Page(report_folds(folds).read_text()).tags}
    assert "No fold is done yet." in page_of(folds).said("p")


def test_the_command_line_writes_the_pages_of_a_cross_validation(spec, nnreg):
    split = 'data.split={"stratify": true}'
    code, out, _ = nnreg(
        "run", spec, "--out", "cv", "--quiet", "--set", "train.folds=2", "--set", split
    )
    assert code == 0
    assert out.endswith("report: cv/report.html\n")
    assert Path("cv/fold-2/report.html").exists()
    shutil.rmtree("cv/fold-2/plots")
    assert nnreg("report", "cv") == (0, "cv/report.html\n", "")
    assert Path("cv/fold-2/plots/loss.svg").exists()
