"""Reading the next chunk while the previous one is in use."""

import threading

import numpy as np
import pytest

from nnreg.tables.lazy import iter_chunks, materialize, read_ahead
from tests.data.lazy.stored import prepared, readers
from tests.helpers.work import HANG_SECONDS


class TestReadingAhead:
    def test_chunks_are_not_overwritten(self, directory):
        x = prepared().train.x
        found = list(iter_chunks(x, 20))
        assert {len(chunk) for chunk in found[:-1]} == {20}
        np.testing.assert_array_equal(np.concatenate(found), materialize(x))
        assert next(iter_chunks(x.select(np.arange(0)), 20)).shape == (0, 2, 4)

    def test_one_item_is_read_while_the_previous_one_is_in_use(self):
        began, asked = [threading.Event() for _ in range(5)], []

        def read(item):
            began[item].set()
            return item

        def items():
            for item in range(5):
                asked.append(item)
                yield item

        chunks = read_ahead(read, items())
        for item in range(5):
            assert next(chunks) == item
            ahead = min(item + 1, 4)
            assert began[ahead].wait(HANG_SECONDS)
            assert asked == list(range(ahead + 1))
        assert list(chunks) == []
        assert not readers()

    def test_an_exception_of_read_is_raised_in_order(self):
        items = read_ahead(lambda item: 1 // (2 - item), range(5))
        assert [next(items), next(items)] == [0, 1]
        with pytest.raises(ZeroDivisionError):
            next(items)
        assert not readers()
