"""Reading the next chunk while the previous one is in use."""

import time

import numpy as np
import pytest

from nnreg.tables.lazy import iter_chunks, materialize, read_ahead
from tests.data.lazy.stored import prepared, readers


class TestReadingAhead:
    def test_chunks_are_not_overwritten(self, directory):
        x = prepared().train.x
        found = list(iter_chunks(x, 20))
        assert {len(chunk) for chunk in found[:-1]} == {20}
        np.testing.assert_array_equal(np.concatenate(found), materialize(x))
        assert next(iter_chunks(x.select(np.arange(0)), 20)).shape == (0, 2, 4)

    def test_one_item_is_read_while_the_previous_one_is_in_use(self):
        done = []

        def read(item):
            done.append(item)
            return item

        items = read_ahead(read, range(5))
        assert next(items) == 0
        time.sleep(0.05)
        assert done == [0, 1]
        assert list(items) == [1, 2, 3, 4]
        assert not readers()

    def test_an_exception_of_read_is_raised_in_order(self):
        items = read_ahead(lambda item: 1 // (2 - item), range(5))
        assert [next(items), next(items)] == [0, 1]
        with pytest.raises(ZeroDivisionError):
            next(items)
        assert not readers()
