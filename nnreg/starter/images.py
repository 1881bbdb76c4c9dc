"""What `nnreg init` proposes for images: their size and colours, and a table that names them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from nnreg.builtin.sources.image_files import FORMATS
from nnreg.builtin.sources.image_names import column_of_names
from nnreg.builtin.sources.images import Images
from nnreg.interfaces.source import Source
from nnreg.registry.registry import Registry
from nnreg.spec.validation import Reader, read
from nnreg.tables.columns import categorical
from nnreg.tables.table import Table

MAX_SIDE = 128
"""The longest side that is proposed where images differ in size."""

TABLES = (".csv", ".tsv")

BEGINNING = 2**16
"""The bytes of a table in which the name of an image is looked for."""


def table_of_images(path: Path) -> Path:
    """Return the only table in a directory if it names images, else the path itself."""
    if not path.is_dir():
        return path
    tables = [one for one in path.iterdir() if one.suffix.lower() in TABLES and one.is_file()]
    if len(tables) != 1:
        return path
    with tables[0].open("rb") as file:
        text = file.read(BEGINNING).decode("latin-1").lower()
    return tables[0] if any(suffix in text for suffix in FORMATS) else path


def names_images(table: Table, path: Path) -> bool:
    """Return whether a table has a column of file names, the first of which is a file."""
    name = column_of_names(table)
    if name is None:
        return False
    cells = categorical(table, name)
    first = cells.categories[cells.codes[0]] if cells.codes[0] >= 0 else ""
    return (path.parent / first).is_file()


def image_options(
    path: Path, options: dict[str, Any], registry: Registry
) -> tuple[dict[str, Any], Sequence[str]]:
    """Return the options of the source of images, with a size and a colour, and their reasons.

    They are set if the images differ.
    """
    source = cast(Images, read(Source, options, Reader(registry)))
    files = [file for file in source.files(path) if file.suffix.lower() in FORMATS]
    if not files:
        return options, ()
    heights, widths, channels = zip(*map(source.decoder.declared, files), strict=True)
    sizes = sorted(set(zip(heights, widths, strict=True)))
    options, reasons = dict(options), list[str]()
    if len(sizes) > 1:
        sides = statistics.median(heights), statistics.median(widths)
        scale = min(MAX_SIDE / max(sides), 1)
        options["size"] = [max(round(side * scale), 1) for side in sides]
        (low, narrow), (high, wide) = sizes[0], sizes[-1]
        reasons.append(
            f"The images differ in size, such as {narrow} x {low} and {wide} x {high} pixels; all "
            "are resized."
        )
    if len(set(channels)) > 1:
        options["color"] = "rgb"
        reasons.append("Some images are gray or transparent, others are not; all become colours.")
    return options, reasons
