"""The page says what formats cannot express, and every encoder is in a test or there."""

from nnreg.registry.registry import installed
from tests.exporters import page, refusals, test_encoders
from tests.exporters.formats import EXPORTERS

ARRAYS = {"values", "index"}
"""Encoders of arrays and of integers; those of test_sequences and of models of images."""


def test_the_page_says_what_formats_cannot_express():
    assert refusals.section() in page.PAGE.read_text()


def test_every_encoder_is_exported_or_refused():
    known = {one.name for one in installed() if one.plugin == "nnreg" and one.kind == "encoder"}
    numbers = {one["type"] for one in test_encoders.COLUMNS.values()}
    assert known == numbers | {name.split()[0] for name in refusals.TEXTS} | ARRAYS


def test_python_javascript_and_c_read_the_same_texts():
    for name, encoder in refusals.TEXTS.items():
        refused = {form: reason for form, reason in refusals.reasons(encoder).items() if reason}
        assert set(refused) in (set(), {"onnx"}, set(refusals.FORMATS)), name
    assert set(refusals.FORMATS) < set(EXPORTERS)
