"""Ask TensorFlow, Keras and PyTorch, where they are installed, whether this chapter is right about them.

python examples/conventions/ask.py
"""

import argparse
import importlib
import importlib.util
import os
import sys

import numpy as np

TOLERANCE = 1e-4  # frameworks hold rates and betas in float32, also beside weights in float64


def answers(name: str) -> bool:
    """Print each claim about a framework, and what it computes where it is false; return if all are true."""
    claims = importlib.import_module(f"ask_{name}")
    print(claims.VERSIONS)
    right = True
    for claim, got, expected in claims.claims():
        true = got == expected if isinstance(expected, str) else np.allclose(got, expected, TOLERANCE, 1e-7)
        print("  true " if true else "  FALSE", claim, "" if true else f": {got}, and not {expected}")
        right = right and true
    return right


def main(argv: list[str] | None = None) -> bool:
    """Ask all that are there."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow is talkative
    there = [name for name in ("tensorflow", "torch") if importlib.util.find_spec(name)]
    if not there:
        print("neither TensorFlow nor PyTorch is installed")
    return all(list(map(answers, there)))  # a list, so that each is asked


if __name__ == "__main__":
    sys.exit(not main())
