"""Values of a spec that were renamed are still read."""

import pytest

from nnreg.errors import NnregWarning
from nnreg.spec.document import read_spec
from tests.helpers.specs import classifier, csv_data

OLD = classifier(data=csv_data(columns={"type": "words", "x": "number"}))
NEW = classifier(data=csv_data(columns={"type": "category", "x": "number"}))


def test_the_old_column_type_is_replaced_with_a_warning_that_names_its_line(files):
    files(spec=OLD)
    text = r'^spec.json:\d+:\d+: \$.data.columns.type: "words" was renamed; write "category"$'
    with pytest.warns(NnregWarning, match=text):
        document = read_spec("spec.json")
    assert document.tree == NEW


def test_the_old_type_is_accepted_in_a_mapping_and_an_override():
    with pytest.warns(NnregWarning, match=r'^spec: \$.data.columns.type: "words" was renamed'):
        assert read_spec(OLD).tree == NEW
    with pytest.warns(NnregWarning, match='^--set data.columns.type=words: "words" was renamed'):
        assert read_spec(NEW, ["data.columns.type=words"]).tree == NEW


def test_a_spec_that_was_read_is_read_again_without_a_warning():
    with pytest.warns(NnregWarning):
        document = read_spec(OLD)
    assert read_spec(document, ["train.epochs=3"]).tree["data"] == NEW["data"]


def test_the_command_line_prints_the_warning_as_a_note(files, nnreg):
    files(spec=OLD)
    _, out, err = nnreg("validate", "spec.json")
    assert "note: spec.json" in err, out + err
    assert '"words" was renamed; write "category"' in err
