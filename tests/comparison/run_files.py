"""Run directories written by hand, which cost no training."""

import json


def write_run(directory, metrics, *, seed=0, stopped="epochs", epochs=2, planned=None, folds=None,
              fold=None, history=None, **settings):  # fmt: skip
    """Write a run with test `metrics`; `settings` replace values of its spec, as `units=4`."""
    spec = {
        "seed": seed,
        "data": {"path": "/data.csv", "split": {"validation": 0.25, "test": 0.25,
                                               "seed": settings.pop("split_seed", None)}},
        "model": {"layers": [{"type": "dense", "units": settings.pop("units", 4),
                              "activation": settings.pop("activation", "relu")}]},
        "loss": {"type": "mean_squared_error"},
        "optimizer": settings.pop("optimizer", {"type": "sgd", "learning_rate": 0.1}),
        "train": {"epochs": planned or epochs, "folds": folds, "fold": fold},
    }  # fmt: skip
    assert not settings, settings
    directory.mkdir(parents=True)
    if fold is not None:
        (directory / "checkpoints").mkdir()
    history = history or [
        {"epoch": e, "loss": 1 / e, "val_loss": 2 / e} for e in range(1, epochs + 1)
    ]
    (directory / "spec.json").write_text(json.dumps(spec))
    (directory / "resolved.json").write_text(json.dumps(spec))
    (directory / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in history))
    if stopped is not None:
        summary = {"name": "spec", "stopped": stopped, "epochs": epochs, "best_epoch": epochs,
                   "parameters": 10, "higher_is_better": ["r2"], "seconds": 1.0}  # fmt: skip
        if stopped in ("epochs", "early_stopping"):
            summary["validation"] = {name: value + 1 for name, value in metrics.items()}
            summary["test"] = metrics
        (directory / "summary.json").write_text(json.dumps(summary))
    return directory


def write_groups(directory, values, metric="r2", **fixed):
    """Write a run for each value of each activation, with the seeds 0, 1, … of one split."""
    number = 0
    for activation, of_seeds in values.items():
        for seed, value in enumerate(of_seeds):
            number += 1
            metrics = {"loss": 1 - value, metric: value}
            write_run(directory / f"run-{number}", metrics, seed=seed, activation=activation,
                      **{"split_seed": 0, **fixed})  # fmt: skip
    return directory
