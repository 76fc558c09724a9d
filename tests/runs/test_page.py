import base64
import re
from html.parser import HTMLParser

from matplotlib.figure import Figure

from minicnn.runs.page import page, paragraph, picture, preformatted, table

NASTY = "<script>alert(\"1\")</script> & 'it'"


class Tags(HTMLParser):
    """Collects the tags of a page, with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_page_escapes_every_text():
    fragments = [
        paragraph(NASTY),
        preformatted(NASTY, NASTY),
        table({NASTY: NASTY}),
        picture(Figure(), NASTY),
    ]
    found = Tags(page(NASTY, NASTY, [(NASTY, fragments)]))
    assert "script" not in [tag for tag, _ in found.tags]
    # Title, its heading, lead, link, heading, paragraph, preformatted, and twice in the table.
    assert found.text.count(NASTY) == 9
    assert [attrs["alt"] for tag, attrs in found.tags if tag == "img"] == [NASTY]
    assert [attrs["aria-label"] for tag, attrs in found.tags if tag == "pre"] == [NASTY]


def test_page_loads_nothing_and_its_links_lead_into_itself():
    text = page("t", "l", [("one", [picture(Figure(figsize=(2, 1), dpi=50), "a")]), ("two", [])])
    tags = Tags(text).tags
    targets = [attrs["id"] for tag, attrs in tags if tag == "section"]
    assert [attrs["href"] for tag, attrs in tags if tag == "a"] == [f"#{name}" for name in targets]
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in tags}
    assert not re.search(r"https?:|url\(|@import", text)
    (image,) = [attrs for tag, attrs in tags if tag == "img"]
    kind, data = image["src"].split(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data).startswith(b"\x89PNG")
    assert (image["width"], image["height"]) == ("100", "50")
