"""A parsed report page, and names in data that a page must escape."""

import csv
from html.parser import HTMLParser

from nnreg.reports.report import report

SPLIT = {"validation": 0.2, "test": 0.25, "stratify": True}


class Page(HTMLParser):
    """The text of a page by element, and all its addresses; raises if tags do not match."""

    def __init__(self, html):
        super().__init__()
        self.open, self.texts, self.addresses, self.tags = [], {}, [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        names = ("src", "href", "xlink:href", "action", "data")
        self.addresses += [value for name, value in attrs if name in names]
        if tag not in ("meta", "link", "img", "br", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)

    def text_of(self, tag):
        return " ".join(self.texts.get(tag, []))


def write_csv(path, head, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])


def page_of(run):
    return Page(report(run).read_text())


NASTY = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</style></svg><b>", "]]>&amp;",
    "$\\frac{", "a$b$c", "\x1b[31mred", "\u202egnirts", "${title}", "名前",
]  # fmt: skip
