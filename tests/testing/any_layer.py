"""The examples of the chapter `examples/any_layer` that need another framework."""

import re
from pathlib import Path

from minicnn.testing import check_layer

CHAPTER = Path(__file__).parents[2] / "examples" / "any_layer" / "README.md"


def run_example(framework):
    """Run the block of the chapter that imports a framework."""
    blocks = re.findall(r"^```python3\n(.*?)^```$", CHAPTER.read_text(), re.DOTALL | re.MULTILINE)
    (block,) = [block for block in blocks if f"import {framework}\n" in block]
    exec(block, {"check_layer": check_layer})
