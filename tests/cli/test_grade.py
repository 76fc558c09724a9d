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


def test_grade_of_a_folder_counts_says_what_is_protected_and_writes_a_table(tmp_path, capsys):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "0-pool.py").write_text(SOLUTION)
    (tmp_path / "files" / "0-main.py").write_text("pool_forward = None")
    (tmp_path / "files" / "bad.py").write_text("1 / 0")
    assert main(["grade", str(tmp_path / "files"), "--csv", str(tmp_path / "all.csv")]) == 1
    report = capsys.readouterr().out
    assert "1 of 2 files correct" in report
    assert "Not protected" in " ".join(report.split())
    header, *rows = (tmp_path / "all.csv").read_text().splitlines()
    assert header.startswith("file,function,verdict")
    assert len(rows) == 6


def test_grade_ends_with_status_1_for_a_wrong_solution(tmp_path, capsys):
    (tmp_path / "solution.py").write_text(SOLUTION.replace("mean", "sum"))
    assert main(["grade", str(tmp_path / "solution.py"), "--timeout", "30"]) == 1
    assert "pool_forward  wrong" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["nowhere.py"], ["solution.py", "--timeout", "-1"], ["solution.py", "--memory", "1"]]
)
def test_grade_refuses_wrong_input(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "solution.py").write_text(SOLUTION)
    assert main(["grade", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("minicnn grade: ")
    assert captured.err.count("\n") == 1


def test_help_says_what_is_protected_on_this_system(capsys):
    with pytest.raises(SystemExit):
        main(["grade", "--help"])
    assert "Not protected" in " ".join(capsys.readouterr().out.partition("On this system:")[2].split())


def test_a_file_to_grade_is_not_overwritten_by_the_table(tmp_path, capsys):
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text("x = 1\n")
    assert main(["grade", "--csv", *(str(tmp_path / name) for name in ("a.py", "b.py"))]) == 2
    assert "--csv must end in .csv, got" in capsys.readouterr().err
    assert (tmp_path / "a.py").read_text() == "x = 1\n"
