import base64
import re
from html.parser import HTMLParser

import pytest
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
        picture(Figure(), NASTY, NASTY, narrow=Figure()),
    ]
    found = Tags(page(NASTY, NASTY, [(NASTY, fragments)]))
    assert "script" not in [tag for tag, _ in found.tags]
    # Title, its heading, lead, link, heading, paragraph, preformatted, twice in the table, and the caption.
    assert found.text.count(NASTY) == 10
    assert [attrs["alt"] for tag, attrs in found.tags if tag == "img"] == [NASTY]
    assert [attrs["aria-label"] for tag, attrs in found.tags if tag == "pre"] == [NASTY]


def test_page_loads_nothing_and_its_links_lead_into_itself():
    text = page("t", "l", [("one", [picture(Figure(figsize=(2, 1), dpi=50), "a", "b")]), ("two", [])])
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


@pytest.mark.parametrize("narrow", [Figure(figsize=(1, 3), dpi=50), (1, 3)])
def test_a_picture_is_replaced_on_phones_by_a_narrow_one(narrow):
    tags = Tags(picture(Figure(figsize=(2, 1), dpi=50), "a", "b", narrow)).tags
    (source,), (image,) = ([attrs for tag, attrs in tags if tag == name] for name in ("source", "img"))
    assert (image["width"], image["height"]) == ("100", "50")
    assert (source["width"], source["height"]) == ("50", "150")
    assert source["media"] == "(max-width: 40rem)"
    assert source["srcset"].startswith("data:image/png;base64,")
    assert source["srcset"] != image["src"]


def test_a_picture_that_scrolls_is_reached_by_keyboard():
    (box,) = [attrs for tag, attrs in Tags(picture(Figure(), "a", "b")).tags if tag == "div"]
    assert (box["tabindex"], box["role"], box["aria-label"]) == ("0", "region", "a")
