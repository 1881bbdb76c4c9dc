"""What formats cannot express, by component, as a section of docs/reference/exports.md."""

from nnreg.builtin.encoders.dates import Date
from nnreg.builtin.encoders.hashing import Hashed
from nnreg.builtin.encoders.labels import Labels
from nnreg.builtin.encoders.text import BagOfWords, TfIdf
from nnreg.builtin.encoders.tokens import Tokens
from nnreg.errors import ExportError
from tests.exporters.formats import EXPORTERS
from tests.exporters.test_read_texts import program_of

BERLIN = "Europe/Berlin"
TEXTS = {
    "bag_of_words": BagOfWords(words=("a",)),
    "tf_idf": TfIdf(words=("a",), idf=(1.0,)),
    "hashed": Hashed(),
    "labels": Labels(labels=("a",)),
    "tokens": Tokens(items=("a",)),
    "tokens of characters": Tokens("characters", items=("a",)),
    "tokens of byte pairs": Tokens("byte_pairs", merges=((97, 98),)),
    "date": Date(),
    'date with "format": "%d.%m.%Y"': Date("%d.%m.%Y"),
    'date with "format": "%Y%m%d%H%M%S"': Date("%Y%m%d%H%M%S"),
    'date with "format": "%d %b %Y"': Date("%d %b %Y"),
    f'date with "time_zone": "{BERLIN}"': Date(time_zone=BERLIN),
}
"""The encoders that read more in a text than which of several it is."""

FORMATS = ("numpy", "c", "js", "onnx")


def reasons(encoder):
    """Return why formats cannot express what an encoder reads in a text."""
    try:
        program = program_of(encoder)
    except (ExportError, NotImplementedError) as error:
        return dict.fromkeys(FORMATS, str(error))
    refused = {
        form: [reason for one in program.operations if (reason := EXPORTERS[form].unsupported(one))]
        for form in FORMATS
    }
    return {form: "; ".join(found) for form, found in refused.items() if found}


def section():
    """Return the section of the page."""
    lines = [
        "## What formats cannot express",
        "",
        "Every built-in layer, activation and loss can be expressed in each format, and so can",
        "every encoder of numbers, arrays and categories. What cannot be read in a text is an",
        "error that names the column:",
        "",
        "| Encoder | Format | Reason |",
        "| --- | --- | --- |",
    ]
    for name, encoder in TEXTS.items():
        found = reasons(encoder)
        for reason in dict.fromkeys(found.values()):
            forms = [form for form in found if found[form] == reason]
            named = "all" if len(forms) == len(FORMATS) else ", ".join(f"`{one}`" for one in forms)
            lines.append(f"| `{name}` | {named} | {reason} |")
    return "\n".join(lines)
