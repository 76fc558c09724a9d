"""How drawings, pictures and test images become inputs of a network."""

import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.datasets import DATASETS, load_digit_image
from minicnn.datasets.digits import digit_from_pixels
from minicnn.datasets.folder import Split
from minicnn.layers import Layer
from minicnn.runs import TrainConfig, load_parts, load_test_data
from minicnn.runs.inputs import input_reader, pad_to
from minicnn.safeguards.inputs import to_input
from minicnn.saving.preprocessing import DIGIT

_MOST_TRAINED_ON = 5000  # pictures of a folder that is larger than memory
_DRAWN = ("mnist", "fashion-mnist")  # data sets of light strokes or shapes on black, as the pad gives them


class Inputs:
    """The images that a network can be asked about: uint8, or floats as the network takes them.

    Parameters
    ----------
    model : Layer
        A built model for images, (H, W, 1) or (H, W, 3).
    config : TrainConfig
        Its training configuration, which names the data set.
    """

    def __init__(self, model: Layer, config: TrainConfig) -> None:
        self.shape = model.input_shape or ()
        self.config = config
        self.model = model
        small = len(self.shape) == 3 and min(self.shape[:2]) >= 28 and self.shape[2] == 1
        self.digits = model.preprocessing == DIGIT or (small and config.dataset == "mnist")
        self.drawn = self.digits or (small and config.dataset in _DRAWN)
        self.has_examples = bool(config.dataset)
        given = model.preprocessing
        scaled = isinstance(given, dict) and {"scale", "offset"} & given.keys()
        self.are_bytes = self.digits or not scaled  # whether drawings and pictures become bytes, not floats

    def from_drawing(self, pixels: np.ndarray) -> np.ndarray | None:
        """Return a drawing, uint8 (H, W), as an input, or None if it is empty."""
        image = read_drawing(pixels) if self.digits else _shrink(pixels)
        return None if image is None else pad_to(image[np.newaxis], self.shape[:2])[0]

    def from_picture(self, data: bytes) -> np.ndarray:
        """Return the bytes of a picture file as an input, prepared as the pictures of the training.

        Raises
        ------
        ValueError
            If it is no picture that can be read.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "picture"
            path.write_bytes(data)
            try:
                return self._read(path)
            except ValueError as error:
                raise ValueError(str(error).replace(str(path), "the picture")) from error

    @cached_property
    def _read(self) -> Any:
        if self.digits:  # also a model that does not say so itself
            return lambda path: pad_to(load_digit_image(path)[np.newaxis], self.shape[:2])[0]
        return input_reader(self.model)

    def to_batch(self, image: np.ndarray) -> np.ndarray:
        """Return a batch of one image, in floats as the network takes them."""
        return self.to_floats(image[np.newaxis])

    def to_floats(self, images: np.ndarray) -> np.ndarray:
        """Return a batch of images in floats as the network takes them."""
        return to_input(self.model, images)

    @cached_property
    def examples(self) -> tuple[np.ndarray, np.ndarray]:
        """The images and labels to test on; those held out, if the data set has no test images.

        Raises
        ------
        FileNotFoundError, FileFormatError
            If the data set no longer exists, or a model file does not name one.
        ValueError
            If its images or classes are not like those of the model.
        """
        config = self.config
        if config.dataset in DATASETS and config.labels is None:  # without the training images
            images, labels = load_test_data(config.dataset, config.data, config.model)
            return self._fitting(pad_to(images, self.shape[:2]), labels)
        return self._fitting(*self._parts[1])

    @cached_property
    def training(self) -> tuple[np.ndarray, np.ndarray]:
        """The images and labels that the network was trained on; raises as `examples`."""
        return self._fitting(*self._parts[0])

    def _fitting(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return images and labels, if they are like those that the model takes and gives."""
        outputs = self.model.output_shape[-1]
        if images.shape[1:] != self.shape or labels.max(initial=0) >= outputs:
            raise ValueError(
                f"{self.config.dataset} has images {images.shape[1:]} and labels up to "
                f"{labels.max(initial=0)}, but the model takes {self.shape} and has {outputs} classes"
            )
        return images, labels

    @cached_property
    def _parts(self) -> tuple[Split, Split]:
        """The images to train and to test on, which may be many pictures: they are read once."""
        dataset = self.config.dataset
        if not dataset:
            raise FileNotFoundError(
                "a model file does not hold its data set: start `minicnn demo` with its run folder, or with "
                "--dataset PLACE"
            )
        if dataset not in DATASETS and not Path(dataset).exists():
            raise FileNotFoundError(
                f"the data set {dataset!r} is not on this machine: start `minicnn demo` with --dataset PLACE"
            )
        return load_parts(self.config, self.model, _MOST_TRAINED_ON)


def read_drawing(pixels: np.ndarray) -> np.ndarray | None:
    """Return a drawing, uint8 (H, W), prepared as MNIST's digits were, or None if it is empty."""
    if pixels.max() <= 30:
        return None
    return digit_from_pixels(np.pad(pixels, 1))  # a border, so that strokes that touch the edge count as ink


def _shrink(pixels: np.ndarray) -> np.ndarray | None:
    """Return a drawing, uint8, in 28x28 pixels by area averaging, or None if it is empty."""
    if pixels.max() <= 30:
        return None
    side = len(pixels) // 28
    means = pixels.reshape(28, side, 28, side).mean(axis=(1, 3))
    return np.rint(means).astype(np.uint8)[..., np.newaxis]
