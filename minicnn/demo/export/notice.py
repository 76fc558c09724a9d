"""The notice in a static copy: what it is, and whose work it has."""

from minicnn.demo.export.runtime import PACKAGE, Runtime
from minicnn.version import __version__

_TEXT = """\
# A page of minicnn

A copy of the page of `minicnn demo`, made by `minicnn demo --export`. Any web server shows it, also in a
subfolder; to look at it on your own machine, run `python -m http.server` in this folder. It loads nothing
from elsewhere.

It has the work of several, and this notice must stay with it:

{works}

## MIT License

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without
limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of
the Software, and to permit persons to whom the Software is furnished to do so, subject to the following
conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT
LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO
EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN
AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE
OR OTHER DEALINGS IN THE SOFTWARE.
"""
_PAGE = f"- the page: minicnn {__version__}, Copyright (c) 2026 the minicnn maintainers; MIT License, below"
_RUNTIME = """\
- `copy/ort.js` and `copy/ort.bin`: {package} {version}, Copyright (c) Microsoft Corporation; MIT License,
  below. ThirdPartyNotices.txt at https://github.com/microsoft/onnxruntime names what it consists of."""
_IMAGES = {
    "mnist": """MNIST, by Yann LeCun, Corinna Cortes and Christopher J. C. Burges, derived
  from NIST's Special Databases 1 and 3; CC BY-SA 3.0,
  https://creativecommons.org/licenses/by-sa/3.0/legalcode""",
    "fashion-mnist": "Fashion-MNIST, Copyright (c) 2017 Zalando SE; MIT License, below",
}


def notice(dataset: str, runtime: Runtime | None) -> str:
    """Return the text of the notice; `dataset` is that of the test images in the copy, if any."""
    works = [_PAGE]
    if runtime:
        works.append(_RUNTIME.format(package=PACKAGE, version=runtime.version))
    if dataset:
        works.append(f"- `copy/images.bin`: test images of {_IMAGES.get(dataset, dataset)}")
    return _TEXT.format(works="\n".join(works))
