"""What a library can do, confirmed by a command in its environment, or else by its documentation.

A command that fails makes its cell `not confirmed`.
"""

from __future__ import annotations

from dataclasses import dataclass

NO_COMMANDS = """
from importlib.metadata import entry_points
names = [e.name for e in entry_points(group="console_scripts") if e.dist.name.lower() == "{}"]
assert not names, names
"""
NO_GRADIENT_COMMAND = """
import contextlib, io, sys
from ludwig.cli import CLI
sys.argv = ["ludwig", "--help"]
with contextlib.redirect_stdout(io.StringIO()) as text, contextlib.suppress(SystemExit):
    CLI()
assert "experiment" in text.getvalue() and "gradient" not in text.getvalue()
"""
NO_GPU_LIBRARY = """
from importlib.metadata import requires
needed = [line for line in requires("nnreg") if "extra ==" not in line]
assert needed and not any(name in line for line in needed for name in ("torch", "cupy", "jax"))
"""
APPLICATIONS = (
    "import keras.applications as a; assert len([n for n in dir(a) if n[0].isupper()]) > 30"
)
CHECK = ("-m", "nnreg", "plugin", "check", "gelu")


@dataclass(frozen=True)
class Cell:
    """A statement, with the arguments of Python that confirm it, or the page that makes it.

    `here` runs them with the Python of the comparison, which has Hypothesis.
    """

    text: str
    check: tuple[str, ...] = ()
    source: str = ""
    here: bool = False


GUIDE = "https://scikit-learn.org/stable/modules/neural_networks_supervised.html"
FACTS = {
    "network and training in one file, no code": {
        "nnreg": Cell("JSON", ("-m", "nnreg", "validate", "models/penguins.json")),
        "scikit-learn": Cell("no", ("-c", NO_COMMANDS.format("scikit-learn"))),
        "Keras": Cell(
            "network only", ("-c", "import keras; keras.models.model_from_json"),
            "https://keras.io/api/models/model_saving_apis/model_config_serialization/",
        ),
        "Ludwig": Cell(
            "YAML",
            ("-m", "ludwig.cli", "render_config", "-c", "benchmarks/comparison/penguins.yaml"),
        ),
    },
    "command that checks gradients by finite differences": {
        "nnreg": Cell("`nnreg plugin check`", CHECK, here=True),
        "scikit-learn": Cell("no", ("-c", NO_COMMANDS.format("scikit-learn"))),
        "Keras": Cell("no", ("-c", NO_COMMANDS.format("keras"))),
        "Ludwig": Cell("no", ("-c", NO_GRADIENT_COMMAND)),
    },
    "GPU": {
        "nnreg": Cell("no", ("-c", NO_GPU_LIBRARY)),
        "scikit-learn": Cell("no", source=GUIDE),
        "Keras": Cell("**yes**", source="https://www.tensorflow.org/install/pip"),
        "Ludwig": Cell("**yes**", ("-c", "import torch; assert torch.version.cuda")),
    },
    "pre-trained networks": {
        "nnreg": Cell("no", ("-c", "import nnreg; assert not hasattr(nnreg, 'applications')")),
        "scikit-learn": Cell("no", source=GUIDE),
        "Keras": Cell("**yes**", ("-c", APPLICATIONS)),
        "Ludwig": Cell(
            "**yes**", ("-c", "import ludwig.encoders.image.torchvision, transformers")
        ),
    },
}  # fmt: skip
