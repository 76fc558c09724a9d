from pathlib import Path

import pytest
from testing.grade.hostile import AFTER, AT_IMPORT, IN_CALLS, IN_NETS, draw, draw_net
from testing.grade.solutions import TEXTBOOK_POOL, write

import minicnn
from minicnn.testing.grade import grade_all
from minicnn.testing.grade.filters import landlock_version
from minicnn.testing.grade.grading import MEMORY
from minicnn.testing.grade.isolation import Isolation, best_isolation

KINDS = [*AT_IMPORT, *IN_CALLS, *AFTER]


@pytest.fixture(params=["namespaces", "landlock"])
def isolation(request, monkeypatch):
    """Confine by namespaces, or by Landlock as where there are none."""
    confine(request.param, monkeypatch)


def confine(by, monkeypatch):
    if by == "namespaces" and not best_isolation(MEMORY).namespaces:
        pytest.skip("a hostile file may do all of this without user namespaces and the command unshare")
    if by == "landlock":
        if landlock_version() < 6:
            pytest.skip("a hostile file can stop the program without version 6 of Landlock")
        weaker = "minicnn.testing.grade.grading.best_isolation"
        monkeypatch.setattr(weaker, lambda memory: Isolation(False, memory, landlock=True))


def attack(folder, kind, seed, timeout):
    """Grade a hostile file before an honest one; return the hostile file's grade."""
    neighbour = write(folder, "neighbour.py", TEXTBOOK_POOL.replace("def pool_backward", "def other"))
    if kind in IN_NETS:
        source = draw_net(kind, seed)
    else:
        source = draw(kind, seed, str(folder), str(Path(minicnn.__file__).parent))
    write(folder, "hostile.py", source)
    hostile, honest = grade_all(str(folder), timeout)
    assert honest.passed, source
    assert honest.path == neighbour
    assert sorted(path.name for path in folder.iterdir()) == ["hostile.py", "neighbour.py"]
    assert not any(verdict.passed for verdict in hostile.functions.values()), source
    assert not hostile.passed, source
    return hostile


@pytest.mark.parametrize("kind", ["forged arrays", "neighbour overwritten", "search of the stack"])
def test_a_hostile_file_is_wrong_and_its_neighbour_is_graded(tmp_path, kind, monkeypatch):
    confine("namespaces", monkeypatch)
    attack(tmp_path, kind, seed=0, timeout=5)


@pytest.mark.ci
def test_a_file_that_fills_the_disk_is_stopped(tmp_path, isolation):
    problem = attack(tmp_path, "disk", seed=11, timeout=30).problem  # files of a few MB
    assert problem == "the file wrote more than 64 MB of files" or "No space left on device" in problem


@pytest.mark.ci
@pytest.mark.parametrize("kind", AFTER)
def test_a_file_reaches_nothing_but_python(tmp_path, kind, isolation):
    attack(tmp_path, kind, seed=0, timeout=5)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(500))
def test_500_hostile_files(tmp_path, seed, monkeypatch):
    confine("landlock" if seed // len(KINDS) % 2 else "namespaces", monkeypatch)
    attack(tmp_path, KINDS[seed % len(KINDS)], seed, timeout=3)


@pytest.mark.campaign  # each starts TensorFlow
@pytest.mark.parametrize("kind", IN_NETS)
def test_hostile_nets(tmp_path, kind, isolation):
    hostile = attack(tmp_path, kind, seed=0, timeout=60)
    assert hostile.functions["lenet5"].case.startswith("lenet5(X)")
