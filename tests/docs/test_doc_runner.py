"""How the output that a page shows is compared with what its commands print."""

import pytest

from tests.helpers.doc_runner import alike


@pytest.mark.parametrize(
    ("shown", "printed", "exact", "matches"),
    [
        ("best.h5: 18,624 bytes", "best.h5: 18,771 bytes", False, True),
        ("best.h5: 18,624 bytes", "best.h5: 28,771 bytes", False, False),
        ("1,234,567 rows", "1,234,568 rows", True, False),
        ("shape (2, 3)", "shape (2, 4)", True, False),
        ("loss 0.0123", "loss 0.0124", True, True),
        ("loss 0.0123", "loss 0.0125", True, False),
        ("data f204…", "data f204db2c", False, True),
    ],
)
def test_numbers_that_a_page_shows_match_those_of_nearly_the_same_value(
    shown, printed, exact, matches
):
    assert alike(shown, printed, exact=exact) is matches
