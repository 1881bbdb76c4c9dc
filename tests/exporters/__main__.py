"""Write docs/reference/exports.md: each model of models/ in each format."""

import os
import sys
import tempfile

from tests.exporters import page

if __name__ == "__main__":
    os.chdir(page.ROOT)
    found = []
    with tempfile.TemporaryDirectory() as directory:
        for name, path in page.models().items():
            model = page.trained(path, f"{directory}/{name}")
            if model is not None:
                found += page.lines(name, model)
                print(*found[-5:], sep="\n", file=sys.stderr)
    page.PAGE.write_text(page.HEAD + "\n".join(found) + "\n")
