"""Colours as people see them: hue and lightness, contrast, and how they look to the color-blind."""

import numpy as np
from matplotlib.colors import to_rgb

# Ottosson (2020), "A perceptual color space for image processing".
CONES = [
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
]
OPPONENTS = [
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
]

# Machado, Oliveira and Fernandes (2009), at full strength, for linear light.
EYES = {
    "usual": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def light(colour):
    """Return the linear light of a colour: red, green, blue."""
    values = np.array(to_rgb(colour))
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def oklab(colour, eye="usual"):
    seen = np.clip(np.array(EYES[eye]) @ light(colour), 0, 1)
    return np.array(OPPONENTS) @ np.cbrt(np.array(CONES) @ seen)


def hue_and_chroma(colour):
    _, a, b = oklab(colour)
    return np.degrees(np.arctan2(b, a)) % 360, np.hypot(a, b)


def contrast(first, second):
    """Return the contrast of WCAG 2.2."""
    low, high = sorted(float(light(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (first, second))
    return (high + 0.05) / (low + 0.05)
