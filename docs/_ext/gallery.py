"""The gallery: every model in `models/`, trained while the pages are built."""

import json
import tempfile
from pathlib import Path
from typing import Any

from pages import ROOT, directive, image, plain, table
from sphinx.application import Sphinx

import nnreg
from nnreg import charts

MODELS = (
    "penguins", "digits", "digits_conv", "diabetes", "three_dense", "gradient_check", "xor",
    "two_layer", "single_neuron",
)  # fmt: skip


def gallery(_: str = "") -> str:
    """Return a section for each model: its curve, its results and its spec."""
    return "\n".join(map(model, MODELS))


def model(name: str) -> str:
    """Train a model and return its section."""
    spec = ROOT / "models" / f"{name}.json"
    with tempfile.TemporaryDirectory() as folder:
        trained = nnreg.run(spec, out=Path(folder) / name)
        summary = json.loads((Path(folder) / name / "summary.json").read_text())
    return "\n\n".join([
        f"## {name}",
        image(curve(name, trained.history, summary["best_epoch"]), f"The loss of {name} by epoch"),
        results(summary),
        f"{summary['parameters']:,} parameters, trained for {summary['epochs']} epochs in "
        f"{summary['seconds']:.1f} s while this page was built.",
        f"```sh\nnnreg run models/{name}.json\n```",
        f"```json\n{spec.read_text().strip()}\n```",
    ])  # fmt: skip


def results(summary: dict[str, Any]) -> str:
    """Return the table of a run's figures, beside those of a constant guess."""
    parts = [part for part in ("train", "validation", "test") if part in summary]
    names = list(summary[parts[0]])
    rows = [[part, *(f"{summary[part][name]:.4g}" for name in names)] for part in parts]
    if summary["baseline"]:
        base = summary["baseline"]
        rows.append(["a constant guess", *(f"{base[n]:.4g}" if n in base else "" for n in names)])
    return table(["", *map(plain, names)], rows)


def curve(name: str, history: nnreg.History, best: int) -> str:
    """Draw the losses of a training, by epoch."""
    epochs = history["epoch"].astype(float)
    curves = [charts.Curve("training", epochs, history["loss"], whole=True)]
    mark = None
    if "val_loss" in history.names:
        curves.append(charts.Curve("validation", epochs, history["val_loss"], whole=True))
        mark = (float(best), f"best epoch {best}")
    frame = charts.around_powers(curves)
    return charts.svg(name, "loss by epoch", curves, frame=frame, along="epoch", mark=mark)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("gallery", directive(gallery))
    return {"parallel_read_safe": True}
