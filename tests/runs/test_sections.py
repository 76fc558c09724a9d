"""The pictures of a report, for nets of any kind."""

import numpy as np
import pytest

from minicnn import Conv2D, Dense, Flatten, Layer, Sequential, save_model
from minicnn.runs import open_trained
from minicnn.runs.evaluation import Evaluation
from minicnn.runs.sections import SECTIONS


class SometimesSkipped(Layer):
    """A layer that holds another one, and draws random numbers itself."""

    def init_params(self, input_shape, rng):
        self.rng = rng.spawn(1)[0]
        self.inner = Conv2D(input_shape[-1], 3, padding="same").build(input_shape, rng)

    def forward(self, x):
        return x + self.inner(x) * (self.rng.integers(0, 2, (len(x), 1, 1, 1)) if self.training else 1)


@pytest.mark.ci
@pytest.mark.parametrize(
    ("layers", "pictures", "said"),
    [
        ([Conv2D(2, 3), Flatten(), Dense(3)], 3, "Grad-CAM"),
        ([Flatten(), Dense(3)], 3, "Occlusion"),
        (
            [SometimesSkipped(), Flatten(), Dense(3)],
            2,
            "Not drawn, since it cannot be computed for this model",
        ),
    ],
    ids=["maps", "no maps", "no gradients"],
)
def test_a_report_shows_what_can_be_drawn_of_any_net(tmp_path, layers, pictures, said):
    save_model(Sequential(layers).build((6, 5, 2), rng=0), tmp_path / "net.safetensors")
    run = open_trained(tmp_path / "net.safetensors", [SometimesSkipped])
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (9, 6, 5, 2), dtype=np.uint8), np.arange(9) % 3
    evaluation = Evaluation(run, "test", images, labels, {"accuracy": 0.0}, run.model.predict(images))
    inside = ("One image, layer by layer", "Map of the last hidden layer")
    text = "".join(fragment for name in inside for fragment in SECTIONS[name](evaluation))
    assert text.count("<figure") == pictures
    assert said in text
    assert ("Grad-CAM" in text) == (said == "Grad-CAM")
