"""Make the golden file of the format that is written now: `python tests/golden/make.py`.

That files of every version go on loading as they are is the point: one of a version that was
released is never made again.
"""

import json
import os
from pathlib import Path

import nnreg
from nnreg.migrations import FORMAT

SPEC = {
    "seed": 3,
    "model": {"layers": [
        {"type": "dense", "units": 4, "activation": "tanh"},
        "batch_norm",
        {"type": "dense", "units": "classes", "activation": "softmax"},
    ]},
    "loss": "cross_entropy",
    "optimizer": {"type": "adam", "learning_rate": 0.05},
    "metrics": ["accuracy"],
    "train": {"epochs": 6, "batch_size": 4},
}  # fmt: skip
ROWS = {
    "island": ["north", "south", "north", "south", "north", "south", "south", "north"],
    "length": [1.0, 1.2, 3.9, 4.1, 0.8, 4.4, 1.1, 3.7],
}
SPECIES = ["red", "red", "blue", "blue", "red", "blue", "red", "blue"]


def main() -> None:
    """Train, save, and record what the model then answers."""
    here = Path(__file__).resolve().parent
    os.chdir("/")  # the folder is recorded, and that of this machine is of no interest
    model = nnreg.build(SPEC, data=(ROWS, SPECIES))
    model.fit(ROWS, SPECIES, validation=(ROWS, SPECIES))
    nnreg.save(model, here / f"format-{FORMAT}.h5")
    known = {
        "rows": ROWS,
        "species": SPECIES,
        "predictions": model.predict(ROWS).tolist(),
        "history": [dict(record) for record in model.history],
    }
    (here / f"format-{FORMAT}.json").write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
