"""The cards that notebooks show: their content, and that all text in them is escaped."""

import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import nnreg
from nnreg.plotting.card import DARK, card, details, line
from nnreg.plotting.palette import COLOURS
from nnreg.training.history import History
from tests.helpers.specs import blobs, classifier, csv_data, three_folds

EVIL = "<script>alert(1)</script>"


class Page(HTMLParser):
    """The text of a card outside of its style, and its tags."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts, self.attributes, self._open = [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if "style" not in self._open:
            self.texts.append(data.strip())

    @property
    def text(self):
        return "\n".join(filter(None, self.texts))


def require_safe(page):
    """Require a card to have neither scripts nor requests, nor attributes that run code."""
    found = Page(page)
    assert not {"script", "img", "link", "iframe", "object", "a"} & set(found.tags)
    assert not [name for name in found.attributes if name.startswith("on") or name == "href"]
    assert not re.search(r"url\(|@import|https?:", page)
    return found


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folds = three_folds(tmp_path)
    data = {**folds["data"], "split": {"validation": 0.2, "test": 0.2}}
    return {**folds, "data": data, "train": {"epochs": 3}}


def test_that_of_a_run_has_its_metrics_its_loss_its_layers_and_its_directory(spec):
    model = nnreg.run(spec, out="runs/first")
    page = require_safe(model._repr_html_())
    for text in ("train", "validation", "test", "baseline", "accuracy", "layers/0", "(batch, 8)",
                 "epoch", "training", "run directory runs/first",
                 f"weights of epoch {model.training_state.best_epoch}, the best of 3 epochs"
                 if not model.resumable else "weights after 3 epochs"):  # fmt: skip
        assert text in page.texts, text
    assert page.tags.count("svg") == 1
    assert "3 layers, 67 parameters" in page.text
    loss = f"{model.results['test']['loss']:.4g}"
    assert loss in page.texts


def test_those_of_untrained_models_and_of_ensembles_say_so():
    page = require_safe(nnreg.build(classifier(), data=blobs())._repr_html_())
    assert "not trained" in page.texts
    assert "svg" not in page.tags
    spec = classifier()
    spec["model"]["members"] = 3
    members = nnreg.build(spec, data=blobs())
    assert "3 members of 3 layers, 201 parameters" in members._repr_html_()


def test_many_layers_are_folded():
    layers = [{"type": "dense", "units": 2}] * 9 + [
        {"type": "dense", "units": "classes", "activation": "softmax"}
    ]
    spec = classifier(model={"layers": layers})
    assert "<details>" in nnreg.build(spec, data=blobs())._repr_html_()
    assert "<details open>" in nnreg.build(classifier(), data=blobs())._repr_html_()


def test_that_of_a_history_has_its_last_epochs():
    records = [{"epoch": n, "loss": 1 / n, "val_loss": 2 / n} for n in range(1, 9)]
    page = require_safe(History(records)._repr_html_())
    assert "History: 8 epochs" in page.texts
    assert {"4", "8"} <= set(page.texts)
    assert "0.125" in page.texts
    assert "best epoch 8" in page.texts
    assert History([])._repr_html_().count("<h4>History: 0 epochs</h4>") == 1


def test_that_of_a_cross_validation_has_each_fold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = require_safe(nnreg.run(three_folds(tmp_path), out="cv")._repr_html_())
    for text in ("3 of 3 folds", "fold 1", "fold 3", "mean", "std", "run directory cv"):
        assert text in page.texts


def test_that_of_a_comparison_has_the_settings_that_differ_and_the_best_run(spec):
    nnreg.run(spec, out="one")
    nnreg.run(spec, out="two", overrides={"optimizer.learning_rate": 0.5, "train.epochs": 1})
    comparison = nnreg.compare("one", "two")
    page = require_safe(comparison._repr_html_())
    for text in ("Comparison of 2 runs", "one", "two", "optimizer.learning_rate", "0.5", "best by"):
        assert text in page.texts, text
    assert any("test loss" in text for text in page.texts)
    assert any("nothing can be concluded about noise" in text for text in page.texts)


@pytest.fixture
def groups(spec):
    """Train two groups of runs, each with the same seeds."""

    def train(*seeds):
        for rate, seed in itertools.product((0.5, 0.001), seeds):
            changes = {"optimizer.learning_rate": rate, "seed": seed, "train.epochs": 1}
            nnreg.run(spec, out=f"runs/{rate}-{seed}", overrides=changes)

    return train


def test_that_of_groups_of_runs_has_their_means_what_they_show_and_each_run(groups):
    groups(0, 1)
    page = require_safe(nnreg.compare("runs")._repr_html_())
    for text in ("Comparison of 4 runs in 2 groups", "mean ± std", "difference", "each run",
                 "0.5-1", "settings that differ", "optimizer.learning_rate"):  # fmt: skip
        assert text in page.texts, text
    assert any(text.endswith("differences are to learning_rate 0.5") for text in page.texts)
    assert any("only large differences" in text for text in page.texts)
    assert page.tags.count("details") == 1
    assert "<details open>" not in nnreg.compare("runs")._repr_html_()


def test_that_of_a_single_group_shows_its_runs_and_those_that_are_excluded(groups):
    groups(0, 1)
    for seed in (0, 1):
        Path(f"runs/0.001-{seed}/summary.json").write_text("damaged")
    card = nnreg.compare("runs")._repr_html_()
    page = require_safe(card)
    assert "Comparison of 2 runs in 1 group" in page.texts
    assert "<details open>" in card
    assert "not compared:" in page.texts
    assert any(text.startswith("0.001-1: ") for text in page.texts)


def test_settings_of_many_runs_are_columns(groups):
    groups(0, 1, 2, 3)
    page = require_safe(nnreg.compare("runs")._repr_html_())
    assert "settings that differ" not in page.texts
    assert {"seed", "learning rate", "0.5-3"} <= set(page.texts)


def test_names_from_data_are_escaped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = {EVIL: [1.0, 2.0, 3.0, 4.0] * 5, "kind": [EVIL, '"><img src=x onerror=alert(1)>'] * 10}
    lines = [",".join(f'"{name}"' for name in table)]
    quoted = (str(kind).replace('"', '""') for kind in table["kind"])
    lines += [f'{value},"{kind}"' for value, kind in zip(table[EVIL], quoted, strict=True)]
    (tmp_path / "data.csv").write_text("\n".join(lines) + "\n")
    spec = classifier(data=csv_data(target="kind", split={"test": 0.2}), train={"epochs": 2})
    (tmp_path / "<script>.json").write_text(json.dumps(spec))
    model = nnreg.run("<script>.json", out="<img>")
    assert EVIL in model.classes
    for shown in (model, model.history, nnreg.compare("<img>", "<img>")):
        require_safe(shown._repr_html_())
    assert "run directory &lt;img&gt;" in model._repr_html_()
    records = [{"epoch": n, "loss": 1 / n, EVIL: 2 / n} for n in (1, 2)]
    require_safe(History(records)._repr_html_())
    for part in (line(EVIL), details(EVIL, "", opened=True), card(EVIL)):
        require_safe(part)


def test_every_colour_has_its_dark_variant():
    page = card("x", line("y"))
    dark = page[page.index(DARK) :]
    for name, (light, dark_colour) in COLOURS.items():
        assert f"--{name}:{light};" in page
        assert f"--{name}:{dark_colour};" in dark
        assert f'{DARK} [stroke="{light}"]{{stroke:{dark_colour}}}' in dark


def test_losses_that_are_not_finite_are_shown_without_a_curve():
    page = require_safe(History([{"epoch": n, "loss": np.nan} for n in (1, 2)])._repr_html_())
    assert "svg" not in page.tags
    assert "nan" in page.texts
