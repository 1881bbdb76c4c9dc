"""One column from chunks that a source reads with other types."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from nnreg.tables.cells import MAX_EXACT
from nnreg.tables.concat import concat_chunks
from nnreg.tables.lazy import materialize
from nnreg.tables.table import Table

LARGE = MAX_EXACT + 1


@dataclass
class Chunks:
    """A source of a column `x` whose integers are text where one is missing, as Arrow's are."""

    parts: list[list[int | None]]

    def iter_chunks(self, path, text):
        for part in self.parts:
            if None not in part:
                cells = np.array(part)
            elif "x" in text or any(part):
                cells = np.array([None if one is None else str(one) for one in part], object)
            else:
                cells = np.full(len(part), np.nan)
            yield Table({"x": cells, "y": np.arange(len(part))})


@pytest.mark.parametrize(
    "parts",
    [
        [[None, None], [None, LARGE], [LARGE + 1]],
        [[LARGE], [None], [None, 1]],
        [[1, 2], [None], [LARGE]],
        [[1], [None, LARGE], [2]],
    ],
)
def test_large_integers_and_missing_ones_are_text_in_any_order(parts):
    table = concat_chunks(Chunks(parts), Path("d"))
    expected = [None if one is None else str(one) for part in parts for one in part]
    assert materialize(table.columns["x"]).tolist() == expected
    assert len(table.columns["y"]) == len(expected)
