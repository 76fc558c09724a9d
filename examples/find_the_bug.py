"""An exercise: find the bug in broken layers, each with one bug taken from a real project.

    python examples/find_the_bug.py                 list the layers
    python examples/find_the_bug.py 17              show the source code of layer 17
    python examples/find_the_bug.py 17 --check      ... and the report of check_layer
    python examples/find_the_bug.py 17 --answer     ... and the bug in one sentence

The layers come from `minicnn.testing.ZOO`; names and docstrings that reveal the bug are removed.
"""

import argparse
import ast
import inspect
import textwrap

from minicnn.testing import ZOO, Specimen, check_layer


def exercise(number: int, specimen: Specimen) -> str:
    """Return the source code of a broken layer as `Layer17`, without its docstring."""
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(specimen.layer))).body
    assert isinstance(node, ast.ClassDef)
    node.name, node.decorator_list, node.body = f"Layer{number}", [], node.body[1:]
    return ast.unparse(node).replace(specimen.name, node.name)


def inherited(specimen: Specimen) -> str:
    """Return the source code of the base class if it is another one than `Layer`."""
    parent = specimen.layer.__mro__[1]
    return inspect.getsource(parent) if parent.__module__.startswith("minicnn.testing.zoo") else ""


def report(number: int, specimen: Specimen) -> str:
    """Return the report of `check_layer` about the layer."""
    reference = specimen.reference() if specimen.reference else None
    try:
        check_layer(specimen.make(), specimen.input_shape, reference=reference)
    except AssertionError as error:
        return str(error).replace(specimen.name, f"Layer{number}")
    return "check_layer found nothing"


def main(argv: list[str] | None = None) -> None:
    """Print the list of layers, or one exercise."""
    parser = argparse.ArgumentParser(description="Find the bug in a broken layer.")
    parser.add_argument("number", type=int, nargs="?", choices=range(1, len(ZOO) + 1), metavar="NUMBER")
    parser.add_argument("--check", action="store_true", help="print the report of check_layer")
    parser.add_argument("--answer", action="store_true", help="print the bug in one sentence")
    args = parser.parse_args(argv)
    specimens = list(ZOO.values())
    if args.number is None:
        print(f"{len(specimens)} layers with one bug each; pass a number to see the source code\n")
        for number, specimen in enumerate(specimens, start=1):
            theme = specimen.layer.__module__.rpartition(".")[2]
            print(f"{number:4}  {theme:<16} input shape {specimen.input_shape}")
        return
    specimen = specimens[args.number - 1]
    print(exercise(args.number, specimen))
    if inherited(specimen):
        print(f"\n# Base class:\n\n{inherited(specimen)}")
    print(f"\n# Input shape: {specimen.input_shape}")
    if args.check:
        print(f"\n{report(args.number, specimen)}")
    if args.answer:
        print(f"\n{specimen.name}: {specimen.bug}")


if __name__ == "__main__":
    main()
