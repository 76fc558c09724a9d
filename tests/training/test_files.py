import os
import subprocess
import sys

import pytest

from minicnn.training.files import locked, sweep, write_atomically


def test_a_disk_that_writes_a_few_bytes_at_a_time_gets_them_all(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    write_atomically(tmp_path / "a", bytes(range(100)))
    assert (tmp_path / "a").read_bytes() == bytes(range(100))


def test_sweep_takes_our_temporary_files_only(tmp_path):
    names = [".a.safetensors.0123abcd.tmp", ".a.tmp", "a.0123abcd.tmp", ".a.0123abcd.tmp~", "a.safetensors"]
    for name in names:
        (tmp_path / name).touch()
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])


def test_a_folder_is_locked_until_the_process_that_holds_it_is_dead(tmp_path):
    code = """
import pathlib, sys, time
from minicnn.training.files import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""
    path = tmp_path / ".lock"
    process = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    with pytest.raises(BlockingIOError, match="must be trained into by one at a time") as error, locked(path):
        pass
    assert error.value.filename == str(tmp_path)
    process.kill()
    process.communicate()
    with locked(path), pytest.raises(BlockingIOError), locked(path):
        pass
    with locked(path):
        pass
