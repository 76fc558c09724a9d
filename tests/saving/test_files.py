import errno
import os
import subprocess
import sys
import time

import pytest

from minicnn.saving.files import locked, parse_json, remove_temporaries, to_json, write_atomically


def test_a_disk_that_writes_a_few_bytes_at_a_time_gets_them_all(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    write_atomically(tmp_path / "a", bytes(range(100)))
    assert (tmp_path / "a").read_bytes() == bytes(range(100))


def test_sweep_takes_our_temporary_files_only(tmp_path):
    names = [".a.safetensors.0123abcd.tmp", ".a.tmp", "a.0123abcd.tmp", ".a.0123abcd.tmp~", "a.safetensors"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / ".folder.0123abcd.tmp").mkdir()
    remove_temporaries(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([".folder.0123abcd.tmp", *names[1:]])


@pytest.mark.parametrize(
    "value",
    [{"pairs": [[i, 0] for i in range(5000)]}, {str(i): "" for i in range(5000)}, {"bits": [0, 1] * 9000}],
)
def test_json_that_is_mostly_brackets_and_commas_is_written_so_that_it_is_read(value):
    text = to_json(value)
    assert parse_json(text) == value
    with pytest.raises(ValueError, match="strings, brackets and commas, too many"):
        parse_json(text.rstrip())


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="links would be followed")
def test_a_link_is_not_locked_and_makes_no_file(tmp_path):
    (tmp_path / ".lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"remove the link: .*\.lock"), locked(tmp_path / ".lock"):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_is_locked_until_the_process_that_holds_it_is_dead(tmp_path):
    code = """
import pathlib, sys
from minicnn.saving.files import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
    path = tmp_path / ".lock"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", code, path], **pipes)
    assert process.stdout.readline() == "held\n"
    with pytest.raises(BlockingIOError, match="another process is training into") as error, locked(path):
        pass
    assert error.value.filename == str(tmp_path)
    process.kill()
    process.communicate()
    with locked(path), pytest.raises(BlockingIOError), locked(path):
        pass
    with locked(path):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process cannot be forked")
def test_a_forked_child_neither_holds_nor_releases_the_lock(tmp_path):
    code = """
import os, pathlib, sys, time
from minicnn.saving.files import locked
path = pathlib.Path(sys.argv[1])
with locked(path):
    if not (child := os.fork()):
        sys.exit()  # with all that is done at the end of a process
    os.waitpid(child, 0)
    if not os.fork():
        try:
            with locked(path):
                os._exit(1)
        except BlockingIOError:
            print("still held", flush=True)
            sys.stdin.read()  # lives on
            os._exit(0)
    time.sleep(0.5)
with locked(path):
    print("free", flush=True)
"""
    command = [sys.executable, "-c", code, tmp_path / ".lock"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert [process.stdout.readline() for _ in range(2)] == ["still held\n", "free\n"]
        process.stdin.close()


def test_a_file_system_without_locks_is_written_to_without_one(tmp_path, monkeypatch):
    def flock(descriptor, operation):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr("fcntl.flock", flock)
    (tmp_path / ".a.0123abcd.tmp").touch()
    with locked(tmp_path / ".lock"):
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def open_once_read(pipe):
    """Return a descriptor of a pipe for writing, as soon as a process reads it."""
    while True:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            time.sleep(0.01)


def test_a_pipe_is_written_into_and_stays_one(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE) as reader:
        other = open_once_read(pipe)
        write_atomically(pipe, b"whole")
        os.close(other)
        assert reader.stdout.read() == b"whole"
    assert pipe.is_fifo()
