from pathlib import Path

import pytest
from testing.grade.hostile import AT_IMPORT, IN_CALLS, IN_NETS, draw, draw_net
from testing.grade.solutions import TEXTBOOK_POOL, write

import minicnn
from minicnn.testing.grade import grade_all
from minicnn.testing.grade.grading import MEMORY
from minicnn.testing.grade.isolation import best_isolation

KINDS = [*AT_IMPORT, *IN_CALLS]


def attack(folder, kind, seed, timeout):
    """Grade a hostile file before an honest one; return the hostile file's grade."""
    if not best_isolation(MEMORY).namespaces:
        pytest.skip("a hostile file may do all of this without user namespaces and the command unshare")
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
def test_a_hostile_file_is_wrong_and_its_neighbour_is_graded(tmp_path, kind):
    attack(tmp_path, kind, seed=0, timeout=5)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(500))
def test_500_hostile_files(tmp_path, seed):
    attack(tmp_path, KINDS[seed % len(KINDS)], seed, timeout=3)


@pytest.mark.campaign  # each starts TensorFlow
@pytest.mark.parametrize("kind", IN_NETS)
def test_hostile_nets(tmp_path, kind):
    hostile = attack(tmp_path, kind, seed=0, timeout=60)
    assert hostile.functions["lenet5"].case.startswith("lenet5(X)")
