"""HTML of a self-contained page, which loads nothing and opens without a network."""

import base64
import html
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# Dark mode follows the system, but not on paper; pictures keep their white background. The page is never
# wider than a phone: on it, most pictures are replaced by a narrow one; the others, and tables, scroll.
_NARROW = "(max-width: 40rem)"
_STYLE = """\
:root { color-scheme: light dark; --ink: #222; --ground: #fff; --faint: #ddd; --link: #00735c; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --ground: #16181b; --faint: #3a3e44; --link: #35d0a5; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 64rem; color: var(--ink); background: var(--ground);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { margin: 0; font-size: 1.7rem; }
h2 { margin: 2.5rem 0 .5rem; font-size: 1.25rem; border-bottom: 1px solid var(--faint); }
nav a { margin-right: 1rem; color: var(--link); }
.lead { font-size: 1.15rem; }
figure { margin: 1rem 0 1.75rem; }
figcaption { margin-top: .5rem; max-width: 46rem; }
.picture { overflow-x: auto; border-radius: 6px; }
img { display: block; width: 100%; height: auto; background: #fff; }
.scrolls img { min-width: 38rem; }
pre { overflow-x: auto; overflow-wrap: normal; font-size: .85rem; line-height: 1.4; }
table { border-collapse: collapse; }
th, td { padding: .15rem 1.5rem .15rem 0; text-align: left; vertical-align: top; font-weight: normal; }
th { opacity: .75; white-space: nowrap; }
@media print {
  :root { color-scheme: light; }
  body { padding: 0; font-size: .85rem; }
  nav { display: none; }
  h2 { margin-top: 1.5rem; break-after: avoid; }
  p:has(+ figure) { break-after: avoid; }
  figure, table, pre { break-inside: avoid; }
  pre { white-space: pre-wrap; }
  img { width: auto; max-width: 100%; max-height: 6in; }
}
"""

# Nothing may run or be loaded, even if the escaping of a text failed.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(title: str, lead: str, sections: Sequence[tuple[str, Iterable[str]]]) -> str:
    """Return the page.

    Parameters
    ----------
    title, lead : str
        Plain text.
    sections : sequence of (str, iterable of str)
        A heading in plain text, and HTML fragments from the functions below.
    """
    links = "".join(f'<a href="#part-{i}">{_text(name)}</a> ' for i, (name, _) in enumerate(sections))
    parts = "".join(
        f'<section id="part-{i}">\n<h2>{_text(name)}</h2>\n{"".join(fragments)}</section>\n'
        for i, (name, fragments) in enumerate(sections)
    )
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_text(title)}</title>
<style>
{_STYLE}</style>
</head>
<body>
<header>
<h1>{_text(title)}</h1>
<p class="lead">{_text(lead)}</p>
</header>
<nav aria-label="Parts of this page">{links}</nav>
<main>
{parts}</main>
</body>
</html>
"""


def paragraph(text: str) -> str:
    """Return a paragraph."""
    return f"<p>{_text(text)}</p>\n"


def preformatted(text: str, label: str) -> str:
    """Return text in a fixed-width font; it scrolls, also by keyboard, if it is too wide."""
    return f'<pre tabindex="0" role="region" aria-label="{_text(label)}">{_text(text)}</pre>\n'


def table(rows: Mapping[str, Any]) -> str:
    """Return a table of names and values."""
    lines = "".join(
        f'<tr><th scope="row">{_text(name)}</th><td>{_text(value)}</td></tr>\n'
        for name, value in rows.items()
    )
    return f"<table>\n{lines}</table>\n"


def picture(figure: Any, text: str, caption: str, narrow: Any = None) -> str:
    """Return a Matplotlib figure as an image embedded in the page, with a caption below it.

    `text` says to screen readers, in a few words, what it is. On phones it is replaced by `narrow`, another
    figure or a size in inches in which the same is drawn; without it, it scrolls there.
    """
    size, source = _embedded(figure)
    image = f'<img {size} alt="{_text(text)}" src="{source}">'
    if narrow is None:  # reached by keyboard, since it scrolls
        opening = f'<div class="picture scrolls" tabindex="0" role="region" aria-label="{_text(text)}">'
    else:
        if isinstance(narrow, tuple):
            figure.set_size_inches(narrow)
            narrow = figure
        size, source = _embedded(narrow)
        image = f'<picture><source media="{_NARROW}" {size} srcset="{source}">{image}</picture>'
        opening = '<div class="picture">'
    return f"<figure>\n{opening}{image}</div>\n<figcaption>{_text(caption)}</figcaption>\n</figure>\n"


def _embedded(figure: Any) -> tuple[str, str]:
    """Return the attributes of a figure's size, and its PNG as an address."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    data = file.getvalue()
    size = " ".join(  # from the PNG's header, so that the layout does not shift while it is decoded
        f'{name}="{int.from_bytes(data[start : start + 4])}"'
        for name, start in (("width", 16), ("height", 20))
    )
    return size, f"data:image/png;base64,{base64.b64encode(data).decode()}"


def _text(value: Any) -> str:
    return html.escape(str(value))
