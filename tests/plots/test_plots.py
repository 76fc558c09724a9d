import os
import subprocess
import sys
from io import BytesIO

import numpy as np
from matplotlib.figure import Figure

from minicnn import plots


def png_of(figure):
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


CODE = """
import sys
import numpy as np
from minicnn import History, plots
history = History([0, 1], {"loss": [1.0, 0.5], "accuracy": [0.5, 0.75]})
figures = [
    plots.learning_curves(history),
    plots.confusion_matrix(np.array([[3, 1], [0, 4]])),
    plots.mistakes(np.zeros((2, 28, 28, 1)), np.array([0, 1]), np.eye(2)[::-1]),
]
for i, figure in enumerate(figures):
    figure.savefig(f"{sys.argv[1]}/{i}.png")
print("matplotlib.pyplot" in sys.modules)
"""


def test_pictures_need_neither_pyplot_nor_a_display(tmp_path):
    env = {name: value for name, value in os.environ.items() if name != "DISPLAY"} | {"MPLBACKEND": "tkagg"}
    command = [sys.executable, "-c", CODE, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, env=env)
    assert result.stdout.strip() == "False", result.stderr
    for i in range(3):
        assert (tmp_path / f"{i}.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_error_says_how_to_get_it():
    code = "import sys; sys.modules['matplotlib'] = None; import minicnn.plots"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert 'ImportError: plots need matplotlib: pip install "minicnn-numpy[plot]"' in result.stderr


def test_every_picture_can_be_drawn_on_given_axes():
    figure = Figure()
    axes = figure.subplots(1, 2)
    assert plots.confusion_matrix(np.eye(3, dtype=int), ax=axes[0]) is figure
    images = np.zeros((2, 4, 4, 1), np.uint8)
    assert plots.mistakes(images, np.array([0, 0]), np.eye(2), ax=axes[1]) is figure
    assert len(figure.axes) == 2
    assert png_of(figure).startswith(b"\x89PNG")
