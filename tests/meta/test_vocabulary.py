"""Words that a newcomer would have to decode stay out of code, messages and documentation."""

import re

from tests.helpers.paths import ROOT

WORDS = re.compile(
    r"\b(mend(s|ed|ing)?|manners|crew|lanes?|strangers?|told|hears?|so many|in words|the bits|"
    r"goes on with)\b",
    re.IGNORECASE,
)
ENDINGS = {".py", ".md", ".html", ".toml", ".yml", ".yaml"}
PLACES = ("nnreg", "plugins", "benchmarks", "docs", "tests", "models", ".github")
EXCLUDED = {"golden", "_build", "__pycache__", "runs", "build"}


def files():
    """Yield the project's own text files, but this one, which lists the words."""
    for place in PLACES:
        for path in (ROOT / place).rglob("*"):
            if path.suffix in ENDINGS and not EXCLUDED & set(path.parts[len(ROOT.parts) :]):
                yield path
    yield from ROOT.glob("*.md")


def test_no_file_uses_a_word_that_has_a_standard_one():
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files()
        if path.name != "test_vocabulary.py"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if WORDS.search(line.replace("\\n", " "))
    ]
    assert not found, "\n".join(found)
