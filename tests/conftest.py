"""Settings for all tests: a quiet TensorFlow, and how many examples hypothesis draws."""

import copy
import functools
import gc
import logging
import os
import signal
import sys

# Read by NumPy when it is imported. On products as small as a test's, BLAS threads only get in each other's
# way, the more so with two workers of pytest on two cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, Phase, settings

# Where Python is told to write no bytecode, each of the 200 processes that the tests start would compile the
# whole package: a tenth of the tests' time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A shell that runs the tests in the background lets them ignore SIGINT, which some of them send.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Read by TensorFlow when it is imported, later: no log, and its own kernels, since with oneDNN's a float32
# convolution that pads a single column to the right returns NaN (2.21, stride 2, kernel 1x2, width 1).
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

settings.register_profile("dev", max_examples=20, deadline=None)
# The same examples in every run, as in hypothesis's own profile of this name: what passes once passes again.
# New ones are drawn where people look at what is found.
settings.register_profile("ci", max_examples=30, deadline=None, derandomize=True)
settings.register_profile("thorough", max_examples=2000, deadline=None)
# For mutation testing: the same examples for every mutant, and no time spent on shrinking what failed.
settings.register_profile(
    "mutation",
    max_examples=30,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


@pytest.hookimpl(wrapper=True)
def pytest_collect_file():
    """Look for no doctests in the tests: there are none."""
    return [collector for collector in (yield) if type(collector) is pytest.Module]


def pytest_collection_finish():
    """Let the garbage collector pass over what all imports have made, millions of objects with TensorFlow's.

    To look through them again and again takes 6 % of the tests' time; what a test makes is looked at as ever.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def read_mnist_once():
    """Give each test a copy of the bundled digits: to unpack and to check them takes a third of a second."""
    from minicnn.datasets import mnist

    folder, digests, read = mnist._MNIST_FOLDER, mnist._MNIST, mnist.load_folder
    bundled = functools.cache(lambda: read(folder, digests))

    def load_folder(path, expected=None):
        return copy.deepcopy(bundled()) if path == folder else read(path, expected)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist, "load_folder", load_folder)
        yield


@pytest.fixture
def logged():
    """The records of what is logged, which the plugin for it would collect for each test."""
    records, handler = [], logging.Handler()
    handler.emit = records.append
    logging.getLogger().addHandler(handler)
    yield records
    logging.getLogger().removeHandler(handler)
