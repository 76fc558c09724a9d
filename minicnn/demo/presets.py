"""Trainings that show one thing each, by name: what goes right, and what goes wrong when it is provoked."""

from typing import Any, NamedTuple

from minicnn.demo.settings import Settings


class Preset(NamedTuple):
    """Settings, perhaps those of a rival, and what to look at."""

    label: str
    text: str
    settings: Settings
    rival: Settings | None = None

    def describe(self) -> dict[str, Any]:
        """Return the preset as the page gets it."""
        rival = None if self.rival is None else self.rival.to_texts()
        return {"label": self.label, "text": self.text, "settings": self.settings.to_texts(), "rival": rival}


def _deep(activation: str, **others: Any) -> Settings:
    """Return the settings of a net of nine layers, in which gradients pass a long way."""
    units = (64,) * 7
    return Settings(net="own", filters=(8,), units=units, activation=activation, **others)


PRESETS = {
    "start": Preset("As opened", "The network that was opened, with settings that work.", Settings()),
    "dead": Preset(
        "Dead units",
        "The learning rate is far too large. The first steps throw weights and biases so far that many ReLU "
        "units are 0 for every image. Their gradient is 0, too, so no later step brings them back.",
        Settings(net="own", lr=0.5),
    ),
    "vanishing": Preset(
        "Vanishing gradient",
        "Nine layers with sigmoid. The derivative of a sigmoid is at most 1/4, so the gradient shrinks from "
        "layer to layer on its way back. Compare its sizes: the first layers get next to nothing, and the "
        "loss stays.",
        _deep("sigmoid"),
    ),
    "exploding": Preset(
        "Exploding gradient",
        "Nine layers whose initial weights are three times too large. Each layer triples what comes "
        "through, forward and backward: the gradient is enormous, and a few steps carry the weights out of "
        "all bounds.",
        _deep("leaky_relu", init=3.0),
    ),
    "zeros": Preset(
        "All weights 0",
        "All initial weights are 0, so no unit differs from another one, nothing comes through, and the "
        "gradient of all layers but the last is 0. Random weights are needed to break the symmetry.",
        Settings(net="own", init=0.0),
    ),
    "overfitting": Preset(
        "Overfitting",
        "Only 100 images to learn from: the network soon knows them by heart. The training loss goes to 0, "
        "while the test loss rises.",
        Settings(net="own", images="100", batch_size=20),
    ),
    "rescue": Preset(
        "Race: sigmoid with and without BatchNorm",
        "The same nine layers with sigmoid. BatchNorm keeps the values where the sigmoid is steep, and the "
        "gradient arrives.",
        _deep("sigmoid", lr=0.1),
        _deep("sigmoid", lr=0.1, batchnorm="yes"),
    ),
    "momentum": Preset(
        "Race: with and without momentum",
        "The same network and the same learning rate, with momentum 0.9 and without.",
        Settings(net="own", lr=0.01),
        Settings(net="own", lr=0.01, momentum=0.0),
    ),
    "optimizers": Preset(
        "Race: SGD against Adam",
        "The same random weights and the same batches; only the optimizer differs.",
        Settings(net="own"),
        Settings(net="own", optimizer="adam", lr=0.002),
    ),
}
