"""The plugin in a project of its own, in this process and in the two of xdist."""

import configparser
from pathlib import Path

import pytest

import minicnn.testing  # noqa: F401 - before the runs in this process, which forget what they import: NumPy, once

pytest_plugins = "pytester"

PROJECT = """
    import pytest
    from minicnn import Layer
    from minicnn.testing import LayerCheckRemark, parametrize_with_checks

    class Double(Layer):
        def __init__(self, function=None):
            self.function = function

        def forward(self, x):
            self.cache = x
            return 2 * x

        def backward(self, dy):
            return 2 * dy

    class Wrong(Double):
        def backward(self, dy):
            return 3 * dy

    @parametrize_with_checks([(Double(lambda x: x), (3,)), (Wrong(), (3,))], only=("gradients", "shapes"))
    def test_layers(layer, check):
        check(layer)

    @pytest.mark.parametrize("n", [1, 2])
    def test_remarks(n):
        import warnings
        warnings.warn("Double: a convention", LayerCheckRemark)
"""
PLUGIN = ("-p", "no:minicnn", "-p", "minicnn.testing.pytest_plugin", "-p", "no:cacheprovider")
# In this process the plugin may be imported already, of which pytest warns, depending on the tests before.
WARNINGS = ("-W", "default", "-W", "ignore::pytest.PytestAssertRewriteWarning")


def test_summary_has_remarks_and_code_that_repeats(pytester):
    pytester.makepyfile(PROJECT)
    result = pytester.runpytest_inprocess(*PLUGIN, *WARNINGS)
    result.assert_outcomes(passed=5, failed=1, warnings=2)
    result.stdout.fnmatch_lines(
        [
            "*= remarks of minicnn =*",
            "Double: a convention (2 tests)",
            "*= to repeat failed checks of minicnn =*",
            "*::test_layers?Wrong()-3-gradients?",
            "*from minicnn.testing import check_layer",
            "*check_layer(Wrong(), (3,), rng=0, only=('gradients',))",
        ]
    )


def test_tracebacks_show_the_test_only(pytester):
    pytester.makepyfile(PROJECT)
    result = pytester.runpytest_inprocess(*PLUGIN, "-k", "Wrong and gradients")
    result.stdout.fnmatch_lines([">*check(layer)", "*LayerCheckError: Wrong() with input shape*"])
    result.stdout.no_fnmatch_line("*check.py:*")
    result.stdout.no_fnmatch_line("*parametrize.py:*")


@pytest.mark.campaign
def test_processes_of_xdist_collect_the_same_tests(pytester):
    pytester.makepyfile(PROJECT)
    result = pytester.runpytest_subprocess(*PLUGIN, "-n", "2", "-k", "Double or Wrong")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["*= to repeat failed checks of minicnn =*", "*check_layer(Wrong(), *"])


def test_seeds_are_run_one_after_another(pytester):
    pytester.makepyfile(
        """
        import numpy as np
        from minicnn import Layer
        from minicnn.testing import parametrize_with_checks

        seen = []

        def inputs(rng, shape):
            seen.append(rng.standard_normal(3).tobytes())
            return rng.standard_normal(shape)

        class Double(Layer):
            def forward(self, x):
                self.cache = None
                return 2 * x

            def backward(self, dy):
                return 2 * dy

        @parametrize_with_checks([(Double(), (3,))], only=("linearity",), inputs=inputs, rng=5)
        def test_layers(layer, check):
            check(layer)
            print("drawn", len(set(seen)))
        """
    )
    once, twice = (
        pytester.runpytest_inprocess(*PLUGIN, "-s", "--minicnn-seeds", str(n)).stdout.str() for n in (1, 2)
    )
    drawn = [int(text.partition("drawn ")[2].split()[0]) for text in (once, twice)]
    assert drawn[1] == 2 * drawn[0]


def test_less_than_one_seed_is_a_usage_error(pytester):
    result = pytester.runpytest_inprocess(*PLUGIN, "--minicnn-seeds", "0")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--minicnn-seeds must be at least 1, got 0"])


def test_the_entry_point_is_declared():
    config = configparser.ConfigParser()
    config.read(Path(__file__).parents[2] / "setup.cfg")
    assert config["options.entry_points"]["pytest11"].strip() == "minicnn = minicnn.testing.pytest_plugin"
