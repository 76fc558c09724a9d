"""The pytest plugin, found by its entry point: more seeds, remarks and repeating code in the summary."""

from collections.abc import Generator
from typing import Any

import pytest

from minicnn.plural import counted
from minicnn.testing.parametrize import SEEDS
from minicnn.testing.report import LayerCheckError, LayerCheckRemark

SHOWN = 5  # failures whose code is printed


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--minicnn-seeds`."""
    group = parser.getgroup("minicnn", "checks of layers, by minicnn.testing")
    group.addoption(
        "--minicnn-seeds",
        type=int,
        default=1,
        metavar="N",
        help="run each test of parametrize_with_checks with N seeds (default: 1)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Read the option."""
    seeds = config.getoption("minicnn_seeds")
    if seeds < 1:
        raise pytest.UsageError(f"--minicnn-seeds must be at least 1, got {seeds}")
    token = SEEDS.set(seeds)
    config.add_cleanup(lambda: SEEDS.reset(token))
    config.pluginmanager.register(Summary(), "minicnn-summary")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Generator[None, Any, Any]:
    """Keep the code that repeats a failure in the report, which xdist sends to the main process."""
    report: Any = yield
    if call.excinfo is not None and isinstance(call.excinfo.value, LayerCheckError):
        report.minicnn_repeat = call.excinfo.value.repeat
    return report


class Summary:
    """Collects remarks, and prints them once, with the code that repeats the first failures."""

    def __init__(self) -> None:
        self.remarks: dict[str, set[str]] = {}  # the tests of each remark

    def pytest_warning_recorded(self, warning_message: Any, nodeid: str) -> None:
        """Collect a remark."""
        if issubclass(warning_message.category, LayerCheckRemark):
            self.remarks.setdefault(str(warning_message.message), set()).add(nodeid)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print two sections, if there is something in them."""
        if self.remarks:
            terminalreporter.section("remarks of minicnn")
            for text, tests in sorted(self.remarks.items()):
                terminalreporter.write_line(f"{text} ({counted(len(tests), 'test')})")
        failed = [r for r in terminalreporter.getreports("failed") if getattr(r, "minicnn_repeat", "")]
        if failed:
            terminalreporter.section("to repeat failed checks of minicnn")
            for report in failed[:SHOWN]:
                terminalreporter.write_line(f"{report.nodeid}\n{report.minicnn_repeat}")
            if len(failed) > SHOWN:
                terminalreporter.write_line(f"... and {len(failed) - SHOWN} more")
