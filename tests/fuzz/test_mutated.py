"""Thousands of broken files; a million in the campaign: `pytest -m campaign tests/fuzz`."""

import os
import random
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from fuzz.formats import FORMATS, outcome, seeds
from fuzz.mutations import mutated

DEFAULT = {"weights": 2200, "checkpoint": 1800, "stranger": 1000, "json": 300, "csv": 300}
DEFAULT |= {"model": 300, "model-inside": 200, "model-values": 300}
DEFAULT |= {"idx": 2200, "gzip": 1300, "png": 700, "png-inside": 300, "picture": 500}
CAMPAIGN = int(os.environ.get("MINICNN_MUTATED", 1_000_000))
MEMORY = 1 << 20  # beyond a few times the file's size
EVERY = 20  # of so many files, the memory of one is measured, which takes time


def reads_nothing_else(name, count, seed):
    """Read changed files; return how many were accepted. Whole ones are accepted first."""
    form, whole, draws = FORMATS[name], seeds(name), random.Random(seed)
    # A PNG has a checksum for each part, but none for all: parts of two make a third.
    others = [b""] if name == "png" else whole
    accepted = 0
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        path = Path(folder) / form.filename
        known = []
        for content in whole:
            path.write_bytes(content)
            known.append(form.read(path))
        for number in range(count):
            content = mutated(draws.choice(whole), draws, others, form.within)
            path.write_bytes(content)
            try:
                found = outcome(form, path) if number % EVERY else measured(form, path, len(content))
                assert found is None or not form.sealed or found in known, "another content was accepted"
            except BaseException as error:
                error.add_note(f"{name}, seed {seed}, file {number}: {content!r}")
                raise
            accepted += found is not None
    return accepted


def measured(form, path, size):
    tracemalloc.start()
    try:
        found = outcome(form, path)
        # The second opinions hold the content a few more times.
        assert tracemalloc.get_traced_memory()[1] < MEMORY + 20 * size
    finally:
        tracemalloc.stop()
    return found


@pytest.mark.parametrize("name", FORMATS)
def test_a_mutated_file_gives_its_content_or_our_error(name):
    accepted = reads_nothing_else(name, DEFAULT[name], seed=0)
    assert accepted < DEFAULT[name] * (0.2 if FORMATS[name].sealed else 0.9)


@pytest.mark.campaign
@pytest.mark.parametrize("name", FORMATS)
def test_a_million_mutated_files_give_their_content_or_our_error(name, capsys):
    count = CAMPAIGN if name in ("weights", "checkpoint") else CAMPAIGN // 10
    accepted = reads_nothing_else(name, count, seed=random.SystemRandom().getrandbits(32))
    with capsys.disabled():
        print(f"{name}: {count} files, {accepted} accepted with their content, no other outcome")
