"""Exports in all formats."""

import nnreg

FORMATS = {"numpy": "model.py", "c": "model_c", "js": "model.mjs", "onnx": "model.onnx"}


def export_in_all_formats(model, directory, formats=tuple(FORMATS)):
    """Export a model; each checks its answers, if its programs are installed."""
    for form in formats:
        nnreg.export(model, directory / FORMATS[form], to=form)
