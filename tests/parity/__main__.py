"""Write docs/reference/verified.md: compare all components, with the extra `verify` installed."""

import sys

import pytest

from tests.parity import comparison, page

if __name__ == "__main__":
    status = pytest.main(["-n", "0", "-m", "verify", "--deselect", page.CHECK, "tests/parity"])
    if status:
        sys.exit(status)
    page.PAGE.write_text(page.write(comparison.RECORDS))
