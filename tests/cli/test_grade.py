import pytest

from minicnn.cli import main

SOLUTION = """
import numpy as np

def pool_forward(A_prev, kernel_shape, stride=(1, 1), mode="max"):
    (m, h, w, c), (kh, kw), (sh, sw) = A_prev.shape, kernel_shape, stride
    A = np.zeros((m, (h - kh) // sh + 1, (w - kw) // sw + 1, c))
    for i in range(A.shape[1]):
        for j in range(A.shape[2]):
            window = A_prev[:, i * sh : i * sh + kh, j * sw : j * sw + kw]
            A[:, i, j] = window.max(axis=(1, 2)) if mode == "max" else window.mean(axis=(1, 2))
    return A
"""


def test_grade_accepts_a_right_solution(tmp_path, capsys):
    (tmp_path / "solution.py").write_text(SOLUTION)
    assert main(["grade", str(tmp_path / "solution.py")]) == 0
    assert "pool_forward  correct" in capsys.readouterr().out


def test_grade_ends_with_status_1_for_a_wrong_solution(tmp_path, capsys):
    (tmp_path / "solution.py").write_text(SOLUTION.replace("mean", "sum"))
    assert main(["grade", str(tmp_path / "solution.py"), "--timeout", "30"]) == 1
    assert "pool_forward  wrong" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["nowhere.py"], ["solution.py", "--timeout", "-1"]])
def test_grade_refuses_wrong_input(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "solution.py").write_text(SOLUTION)
    assert main(["grade", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("minicnn grade: ")
    assert captured.err.count("\n") == 1
