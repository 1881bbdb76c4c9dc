"""Write docs/reference/exports.md: what formats cannot express, and the models in each format."""

import os
import runpy
import sys
import tempfile

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported

from tests.exporters import page, refusals

if __name__ == "__main__":
    os.chdir(page.ROOT)
    for name, data in page.MADE.items():
        if not data.exists():
            runpy.run_path("models/make_data.py")["LARGER"][name]()
    found = []
    with tempfile.TemporaryDirectory() as directory:
        for name, path in page.models().items():
            model = page.trained(path, f"{directory}/{name}")
            found += page.lines(name, model)
            print(*found[-5:], sep="\n", file=sys.stderr)
    text = page.HEAD.format(refusals=refusals.section())
    page.PAGE.write_text(text + "\n".join(found) + "\n")
