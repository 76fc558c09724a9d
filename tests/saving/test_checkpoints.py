import errno
import math
import os

import numpy as np
import pytest

from minicnn import FileFormatError
from minicnn.saving import write_tensors
from minicnn.saving.checkpoints import CheckpointFolder


def save(folder, *steps):
    for step in steps:
        folder.save(step, {"x": np.full(3, step)}, {"step": step})


def names(path):
    return sorted(file.name for file in path.iterdir() if file.name != ".lock")


def step_of(folder):
    """Return the step of the newest checkpoint, if array and state agree about it."""
    found = folder.latest()
    assert found.arrays["x"].tolist() == [found.state["step"]] * 3
    return found.state["step"]


def test_the_last_three_are_kept_and_the_newest_is_returned(tmp_path):
    with CheckpointFolder(tmp_path / "new" / "run") as folder:
        assert folder.latest() is None
        save(folder, 1, 2, 9, 10, 100_000_000)
        assert step_of(folder) == 100_000_000
    assert names(tmp_path / "new" / "run") == [
        *("step-00000009.safetensors", "step-00000010.safetensors", "step-100000000.safetensors")
    ]


def test_the_state_survives_exactly(tmp_path):
    state = {
        "floats": [0.1, 1e-308, -0.0, math.inf],
        "large": 2**127 + 1,
        "key": np.arange(4, dtype=np.uint32) + 2**31,
        "single": np.float32(0.1),
    }
    with CheckpointFolder(tmp_path) as folder:
        folder.save(1, {}, state)
        read = folder.latest().state
    assert read == state | {"key": [2**31, 2**31 + 1, 2**31 + 2, 2**31 + 3], "single": float(np.float32(0.1))}
    assert math.copysign(1, read["floats"][2]) == -1


def test_what_json_cannot_hold_is_refused(tmp_path):
    with (
        CheckpointFolder(tmp_path) as folder,
        pytest.raises(TypeError, match=r"JSON values, got \{1\}"),
    ):
        folder.save(1, {}, {"set": {1}})


@pytest.mark.parametrize(
    "damage", [lambda b: b"", lambda b: b[:-1], lambda b: b[:-1] + b"\1", lambda b: b[:9]]
)
def test_a_broken_newest_is_told_and_the_one_before_is_taken(tmp_path, damage):
    with CheckpointFolder(tmp_path) as folder:
        save(folder, 1, 2, 3)
        newest = tmp_path / "step-00000003.safetensors"
        newest.write_bytes(damage(newest.read_bytes()))
        with pytest.warns(UserWarning, match=r"step-00000003.* resuming from step-00000002"):
            assert step_of(folder) == 2
        # The broken one must not be what is kept in place of whole ones.
        (tmp_path / "step-00000009.safetensors").write_bytes(b"broken too")
        save(folder, 3, 4)
        assert step_of(folder) == 4
    assert names(tmp_path) == [f"step-0000000{step}.safetensors" for step in (2, 3, 4)]


def test_no_whole_checkpoint_is_an_error_not_a_new_beginning(tmp_path):
    with CheckpointFolder(tmp_path) as folder:
        for step in (1, 2):
            (tmp_path / f"step-0000000{step}.safetensors").write_bytes(b"?")
        with pytest.raises(FileFormatError, match=r"step-00000002.*step-00000001.*remove the folder"):
            folder.latest()


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 100_000])
def test_a_file_of_arrays_alone_is_no_checkpoint(tmp_path, text):
    write_tensors(tmp_path / "step-00000001.safetensors", {}, text)
    with CheckpointFolder(tmp_path) as folder, pytest.raises(FileFormatError, match="is not a checkpoint"):
        folder.latest()


def test_entering_sweeps_and_locks_and_leaves_other_files_alone(tmp_path):
    (tmp_path / ".step-00000001.safetensors.0123abcd.tmp").touch()
    (tmp_path / "step-1.safetensors").touch()
    (tmp_path / "notes.txt").touch()
    with CheckpointFolder(tmp_path) as folder:
        assert folder.latest() is None
        save(folder, 5)
        with pytest.raises(BlockingIOError), CheckpointFolder(tmp_path):
            pass
    assert names(tmp_path) == ["notes.txt", "step-00000005.safetensors", "step-1.safetensors"]
    with CheckpointFolder(tmp_path):
        pass


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_a_folder_or_a_pipe_with_a_checkpoints_name_is_told_and_harms_nobody(tmp_path, make):
    odd = tmp_path / "step-00000009.safetensors"
    with CheckpointFolder(tmp_path) as folder:
        save(folder, 1)
        make(odd)
        with pytest.warns(
            UserWarning, match=r"step-00000009.*is a folder or a device.*; resuming from step-0"
        ):
            assert step_of(folder) == 1
        save(folder, 2)
        if make is os.mkdir:
            odd.rmdir()
        assert step_of(folder) == 2


def test_a_link_to_a_checkpoint_of_others_is_not_followed(tmp_path):
    with CheckpointFolder(tmp_path / "others") as others, CheckpointFolder(tmp_path / "own") as folder:
        save(others, 7)
        save(folder, 1)
        (tmp_path / "own" / "step-00000007.safetensors").symlink_to(
            others.folder / "step-00000007.safetensors"
        )
        with pytest.warns(
            UserWarning, match=r"step-00000007.*is a symbolic link.*; resuming from step-00000001"
        ):
            assert step_of(folder) == 1
        save(folder, 2)
        assert (step_of(folder), step_of(others)) == (2, 7)


@pytest.mark.parametrize("call", ["mkdir", "open"])
def test_a_folder_that_cannot_be_written_to_is_said_at_once_and_what_to_do(tmp_path, monkeypatch, call):
    def denied(*args):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, denied)
        with (
            pytest.raises(PermissionError, match=r"Permission denied; make the folder writable: .*run"),
            CheckpointFolder(tmp_path / "run"),
        ):
            pass


CALLS = ("open", "write", "fsync", "close", "replace", "unlink", "listdir", "scandir")


def faulty(monkeypatch, when, number):
    """Let one of the system calls to come fail, the `when`-th; return the list of those that were made."""
    made = []

    def wrap(name):
        real = getattr(os, name)

        def call(*args, **options):
            made.append(name)
            if len(made) - 1 == when:
                if name == "close":
                    real(*args)
                raise OSError(number, os.strerror(number))
            return real(*args, **options)

        monkeypatch.setattr(os, name, call)

    for name in CALLS:
        wrap(name)
    return made


def test_a_fault_at_any_system_call_of_a_save_leaves_a_whole_checkpoint(tmp_path, monkeypatch):
    with monkeypatch.context() as patch, CheckpointFolder(tmp_path / "count") as folder:
        save(folder, 1, 2, 3)
        made = faulty(patch, -1, 0)
        save(folder, 4)
        calls = list(made)
    expected = ["open", "write", "fsync", "close", "replace", "open", "fsync", "close", "unlink"]
    assert [name for name in calls if name not in ("listdir", "scandir")] == [*expected, "unlink"]
    advice = {
        errno.ENOSPC: "free some disk space",
        errno.EROFS: "make the folder writable",
        errno.EIO: "resume from the last",
    }
    for number, words in advice.items():
        for when, name in enumerate(calls):
            place = tmp_path / f"{number}-{when}"
            with monkeypatch.context() as patch, CheckpointFolder(place) as folder:
                save(folder, 1, 2, 3)
                faulty(patch, when, number)
                if when == expected.index("unlink"):  # of a temporary file that is gone already
                    save(folder, 4)
                else:
                    told = words if when < len(expected) else ""  # no disk is too full to remove from it
                    with pytest.raises(OSError, match=f"{told}.*call fit again") as error:
                        save(folder, 4)
                    assert (error.value.errno, "step-00000004" in str(error.value)) == (number, True)
            with CheckpointFolder(place) as folder:
                # Once it is renamed, the new one is there; what failed is to be sure of it, or to tidy up.
                assert step_of(folder) == (4 if when > expected.index("replace") else 3), (name, when)
                save(folder, 5)
                assert step_of(folder) == 5
            assert names(place)[-1] == "step-00000005.safetensors"
            assert len(names(place)) == 3


def test_every_must_be_a_number_of_steps(tmp_path):
    with pytest.raises(ValueError, match="`checkpoint_every` must be at least 1, got 0"):
        CheckpointFolder(tmp_path, every=0)
