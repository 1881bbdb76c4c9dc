"""The gallery: the models in `models/`, trained while the pages are built.

`sphinx-build -D gallery_epochs=2` trains each for 2 epochs only.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from markdown import ROOT, directive, image, plain, table
from sphinx.application import Sphinx

import nnreg

MODELS = (
    "penguins", "digits", "digits_conv", "unet", "autoencoder", "vae", "reber", "characters",
    "topics", "forecast", "fraud", "two_outputs", "siamese", "recommender", "diabetes",
    "three_dense", "gradient_check", "xor", "two_layer", "single_neuron",
)  # fmt: skip
"""Those whose data are in the repository."""


def gallery(app: Sphinx) -> str:
    """Return a section for each model, and write the report of each beside the page."""
    reports = Path(app.outdir, "reports")
    reports.mkdir(parents=True, exist_ok=True)
    epochs = app.config.gallery_epochs
    overrides = {"train.epochs": epochs} if epochs else {}
    return "\n".join(model(name, reports / f"{name}.html", overrides) for name in MODELS)


def model(name: str, report: Path, overrides: dict[str, Any]) -> str:
    """Train a model, write its report, and return its section."""
    spec = ROOT / "models" / f"{name}.json"
    with tempfile.TemporaryDirectory() as directory:
        run = Path(directory) / name
        trained = nnreg.run(spec, out=run, overrides=overrides)
        summary = json.loads((run / "summary.json").read_text())
        report.write_text(nnreg.report(run).read_text())
    return "\n\n".join([
        f"## {name}",
        image(trained.history.svg(name), f"The loss of {name} by epoch"),
        results(summary),
        f"{summary['parameters']:,} parameters, trained for {summary['epochs']} epochs in "
        f"{summary['seconds']:.1f} s while this page was built. "
        f'<a href="reports/{report.name}">The report of this run</a>',
        f"```sh\nnnreg run models/{name}.json\n```",
        f"```json\n{spec.read_text().strip()}\n```",
    ])  # fmt: skip


def results(summary: dict[str, Any]) -> str:
    """Return the table of a run's metrics and those of the baseline."""
    splits = [split for split in ("train", "validation", "test") if split in summary]
    names = list(summary[splits[0]])
    rows = [[split, *(f"{summary[split][name]:.4g}" for name in names)] for split in splits]
    if summary["baseline"]:
        base = summary["baseline"]
        rows.append(["constant baseline", *(f"{base[n]:.4g}" if n in base else "" for n in names)])
    return table(["", *map(plain, names)], rows)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_config_value("gallery_epochs", 0, "html", int)
    app.add_directive("gallery", directive(lambda found: gallery(found.env.app)))
    return {"parallel_read_safe": True}
