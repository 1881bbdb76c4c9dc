"""The page of a run: it is self-contained, escapes its content, and stays small."""

import base64
import hashlib
import io
import json
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import nnreg
from nnreg import UsageError
from nnreg.plotting.html import escape
from nnreg.reports.html_page import run_page
from nnreg.reports.png import png
from nnreg.reports.report import report
from nnreg.reports.run_record import read_run
from nnreg.runs.run import prepare_run
from tests.helpers.specs import classifier
from tests.reports.page import NASTY, Page, page_of, write_csv


def test_the_page_needs_no_other_file_and_allows_one_script_by_its_hash(spec, numbers):
    nnreg.run(numbers, out="out")
    html = report("out").read_text()
    page = Page(html)
    assert [a for a in page.addresses if not a.startswith(("data:", "#"))] == []
    (script,) = re.findall(r"<script[^>]*>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org/)", html)
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv"))
    without = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert policy == f"{without}; script-src 'sha256-{digest}'"
    assert [a["type"] for tag, a in page.tags if tag == "script"] == ["module"]


def test_every_image_has_a_description_and_heading_levels_are_not_skipped(spec):
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


def test_plots_are_files_of_well_formed_svg(spec, numbers):
    nnreg.run(numbers, out="out")
    report("out")
    files = sorted(Path("out/plots").iterdir())
    names = ["gradients", "importance", "loss", "network", "predicted", "r2", "residuals"]
    assert [file.stem for file in files] == names
    for file in files:
        assert ET.parse(file).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_names_in_data_are_neither_html_nor_formulas(tmp_path, monkeypatch):
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
    tags = [tag for tag, _ in page.tags]
    assert {*tags} & {"i", "b", "img"} == set()
    assert tags.count("script") == 1  # that of the live model
    assert not [name for _, attributes in page.tags for name in attributes if name[:2] == "on"]
    for name in ("<script>alert(1)</script>", "</style></svg><b>", "$\\frac{", "a$b$c", "名前"):
        assert name in page.text_of("th") + page.text_of("td")
        assert name in page.text_of("text") or len(name) > 24
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
def test_files_of_an_untrusted_directory_may_have_any_content(spec, name, content):
    nnreg.run(spec, out="out", overrides=["train.epochs=1"])
    Path("out", name).write_text(json.dumps(content) + "\n")
    assert "b" not in {tag for tag, _ in page_of("out").tags}
    for text in ("", "{", "[1]", "\x00"):
        Path("out", name).write_text(text)
        if text and name not in ("gradients.jsonl", "spec.json"):
            with pytest.raises(UsageError, match=f"out/{name}: not .*; restore or"):
                read_run("out")
        else:
            Page(run_page(read_run("out"), [], None, [], [], []))


def test_a_page_with_missing_data_or_plugins_has_a_note(spec):
    nnreg.run(spec, out="out")
    Path("data.csv").unlink()
    page = page_of("out")
    assert "Sections that need the network and its data are omitted" in page.text_of("p")
    assert "data.csv: cannot read the data" in page.text_of("p")
    assert "Network" not in page.text_of("h2")
    assert "Training curves" in page.text_of("h2")
    assert "accuracy" in page.text_of("th")


def test_an_interrupted_run_has_a_report_of_its_best_weights_so_far(spec):
    run = prepare_run(spec, out="out")

    def interrupt(record):
        if record["epoch"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.train(interrupt)
    page = page_of("out")
    assert "Training was interrupted after epoch 3." in page.text_of("p")
    assert "Predictions" in page.text_of("h2")
    Path("out/summary.json").unlink()
    assert "Training has not finished: 3 epochs so far." in page_of("out").text_of("p")


def test_a_run_without_an_epoch_has_a_report(spec):
    run = prepare_run(spec, out="out", overrides=["optimizer.learning_rate=1e38"])
    with pytest.raises(nnreg.DivergedError):
        run.train()
    page = page_of("out")
    assert "Training diverged after epoch 0" in page.text_of("p")
    assert "best.h5" in page.text_of("p")
    assert "Spec" in page.text_of("h2")


def test_a_page_with_many_classes_columns_epochs_and_layers_is_small(tmp_path, monkeypatch):
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
    assert "The 25 of 400 classes with the lowest recall." in page.text_of("p")
    assert "The first 10 of 60 inputs." in page.text_of("p")


def test_a_png_has_the_given_pixels():
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (7, 3, 3), np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png(pixels)))), pixels)


def test_text_is_escaped_and_control_characters_are_replaced():
    assert escape("<a href='\x1b\u202e'>") == "&lt;a href=&#x27;\ufffd\ufffd&#x27;&gt;"
