import ast
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minicnn.testing.zoo import ZOO

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name):
    return runpy.run_path(str(EXAMPLES / name))


def test_find_the_bug_shows_source_report_and_answer(capsys):
    main, names = load("find_the_bug.py")["main"], list(ZOO)
    main([])
    assert capsys.readouterr().out.count("input shape (") == len(ZOO)
    number = names.index("FlippedKernelInDx") + 1
    main([str(number)])
    source = capsys.readouterr().out
    assert source.startswith(f"class Layer{number}(WithKernel):")
    assert "flipped" not in source
    main([str(number), "--check", "--answer"])
    output = capsys.readouterr().out
    assert "fails: gradients" in output
    assert output.endswith(f"FlippedKernelInDx: {ZOO['FlippedKernelInDx'].bug}\n")
    with pytest.raises(SystemExit):
        main(["0"])


@pytest.mark.ci
def test_no_exercise_gives_its_bug_away():
    exercise = load("find_the_bug.py")["exercise"]
    for number, specimen in enumerate(ZOO.values(), start=1):
        source = exercise(number, specimen)
        assert specimen.name not in source
        assert ast.get_docstring(ast.parse(source).body[0]) is None


def test_textbook_runs_forward_and_backward(tmp_path, capsys):
    example = load("textbook.py")
    example["main"](["--out", str(tmp_path / "new")])
    assert capsys.readouterr().out.startswith("digit: 7\n")
    picture = np.asarray(Image.open(tmp_path / "new" / "textbook.png").convert("L"))
    assert picture.shape[1] > 1000
    assert picture.std() > 30
    image = np.zeros((28, 28, 1), np.uint8)
    image[14:] = 255  # one edge, from top to bottom
    digit, maps, pooled, back, through, gone = example["forward_and_backward"](image).values()
    assert (digit.shape, maps.shape, pooled.shape, gone.shape) == (
        (28, 28, 1),
        (28, 28, 2),
        (14, 14, 2),
        (28, 28, 1),
    )
    np.testing.assert_array_equal(np.flatnonzero(maps[:, 10, 0]), [13, 14])
    assert maps[13, 10, 0] == 4.0
    assert not maps[1:-1, 1:-1, 1].any()
    np.testing.assert_array_equal(pooled[:, 5, 0], np.where(np.isin(np.arange(14), [6, 7]), 4.0, 0.0))
    np.testing.assert_array_equal(back[:, 10, 0], np.where(np.isin(np.arange(28), [12, 15]), 0.0, 1.0))
    np.testing.assert_array_equal(np.flatnonzero(through[:, 10, 0]), [13, 14])
    # Each edge pixel wants the row above it dark and the row below it light.
    np.testing.assert_array_equal(gone[:, 10, 0][[12, 13, 14, 15]], [-4, -4, 4, 4])
