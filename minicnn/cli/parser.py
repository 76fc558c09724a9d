"""The argument parser: errors in one line with a suggestion, help that is filled to the terminal's width."""

import argparse
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from minicnn.datasets import DATASETS, FOLDER_FORMATS
from minicnn.models import MODELS
from minicnn.suggestions import did_you_mean

# Return type of add_subparsers, which is private in the standard library.
Commands = Any


class HelpFormatter(argparse.HelpFormatter):
    """Fills paragraphs to the terminal's width and keeps the lines of an indented block, such as an example.

    Words are broken neither at hyphens, which options have, nor where they are longer than a line.
    """

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        blocks = text.split("\n\n")
        return "\n\n".join(
            block if "\n  " in f"\n{block}" else "\n".join(self._split_lines(block, width))
            for block in blocks
        )

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


class CommandParser(argparse.ArgumentParser):
    """A parser that reports an error in one line, with the nearest command, option or choice."""

    def __init__(self, **settings: Any) -> None:
        # No abbreviations: --val must not change its meaning when --valley is added one day.
        super().__init__(**settings, allow_abbrev=False, formatter_class=HelpFormatter)

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Parse; an unknown argument of a subcommand is reported here, since its parser knows the options."""
        namespace, unknown = super().parse_known_args(args, namespace)
        for argument in unknown:
            if argument.startswith("-"):
                option = argument.partition("=")[0]
                self.error(f"unknown option {option!r}{did_you_mean(option, self._option_string_actions)}")
        if unknown:
            self.error(f"unexpected argument {unknown[0]!r}")
        return namespace, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        # Python 3.11 passes the empty list of an argument that may be left out.
        if action.choices is None or value == [] or value in action.choices:
            return
        suggestion = did_you_mean(str(value), action.choices)
        if isinstance(action, argparse._SubParsersAction):
            raise argparse.ArgumentError(None, f"unknown command {value!r}{suggestion}")
        name = "/".join(action.option_strings) or action.metavar
        listed = ", ".join(map(str, action.choices))
        raise argparse.ArgumentError(None, f"{name} must be one of {listed}, got {value!r}{suggestion}")


def add_command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], int],
    help: str,
    text: str,
    example: str,
) -> argparse.ArgumentParser:
    """Add a subcommand that calls `run(args)`.

    `help` is its line in the list of commands; `text`, in paragraphs, and `example`, in lines that are kept,
    are shown by its own --help.
    """
    title = "examples" if "\n" in example else "example"
    epilog = f"{title}:\n{textwrap.indent(example, '  ')}"
    parser = commands.add_parser(name, help=help, description=text, epilog=epilog)
    parser.set_defaults(run=run)
    return parser


class _ModelNames(list[str]):
    """The names of models; FILE.py:NAME and MODULE:NAME are such, too."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or ":" in str(name)

    def __iter__(self) -> Iterator[str]:
        yield from super().__iter__()
        yield "FILE.py:NAME"


def add_model(parser: argparse.ArgumentParser, default: str, *others: str) -> None:
    """Add --model."""
    parser.add_argument(
        "--model",
        metavar="NAME",
        choices=_ModelNames([*MODELS, *others]),
        help=f"network: {', '.join((*MODELS, *others))}; or a model, or a function of the number of classes, "
        f"as FILE.py:NAME or MODULE:NAME, which is executed (default: {default})",
    )


def add_dataset(parser: argparse.ArgumentParser, default: str | None, shown: str) -> None:
    """Add --dataset, --data, --labels and --skip-unreadable."""
    parser.add_argument(
        "--dataset",
        metavar="NAME|DIR|FILE",
        default=default,
        help=f"{', '.join(DATASETS)}; or a folder with a folder of pictures for each class, with or without "
        f"train/, val/ and test/; or an .npz file; or {', or '.join(FOLDER_FORMATS)} (default: {shown})",
    )
    names = " and ".join(name for name, entry in DATASETS.items() if entry.takes_folder)
    help_data = f"folder with the files of {names} (default: searched in the usual places)"
    parser.add_argument("--data", metavar="DIR", help=help_data)
    table = "table of the pictures in the folder --dataset and their classes, in place of class folders: a "
    table += "line FILE,CLASS for each"
    parser.add_argument("--labels", metavar="FILE.csv", help=table)
    skip = "leave out pictures that cannot be read, with a warning"
    parser.add_argument("--skip-unreadable", action="store_true", default=None, help=skip)
