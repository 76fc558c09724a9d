"""What is known of a wrong gradient, for the search of its cause."""

from dataclasses import dataclass

import numpy as np

CLOSE = 1e-5  # relative to the largest value
_AXES = {2: ("example", "feature"), 3: ("example", "step", "feature")}
_AXES_OF_IMAGES = ("example", "row", "column", "channel")


@dataclass
class Evidence:
    """What is known of a wrong gradient.

    Attributes
    ----------
    analytic, numeric : ndarray
        The gradient that backward returned, and that by finite differences.
    wrong : ndarray of bool
        Where they differ.
    value, dy : ndarray
        The array with respect to which it is the gradient (x or a weight), and what backward got.
    of_input : bool
        Whether it is the gradient of the input.
    elementwise : bool
        Whether each output depends on one element of x only, that at its own place.
    curved : bool
        Whether most outputs are nonlinear in the array, even in small steps.
    fewer : float or None
        The ratio of the analytic to the numeric derivative, along one direction, in a batch of one example
        less.
    block_of_input : bool
        Whether the arrays are some elements of the gradient of the input, without their axes.
    parts : ndarray or None
        The terms of the numeric gradient, one for each output: the elements' axes, then the axes of dy.
    """

    analytic: np.ndarray
    numeric: np.ndarray
    wrong: np.ndarray
    value: np.ndarray
    dy: np.ndarray
    of_input: bool
    elementwise: bool = False
    curved: bool = False
    parts: np.ndarray | None = None
    block_of_input: bool = False
    fewer: float | None = None

    def __post_init__(self) -> None:
        sizes = (np.abs(array).max(initial=0.0) for array in (self.numeric, self.analytic))
        self.size = float(max(sizes))  # to which errors are compared
        with np.errstate(invalid="ignore"):
            error = float(np.abs(self.numeric - self.analytic).max(initial=0.0))
        # An explanation must fit better than the right gradient itself, where errors are small.
        self.tolerance = min(CLOSE * self.size, 0.01 * error)

    def is_analytic(self, other: np.ndarray) -> bool:
        """Return whether an array is the gradient that backward returned."""
        return other.shape == self.analytic.shape and self.close(other, self.analytic)

    def close(self, one: np.ndarray, two: np.ndarray) -> bool:
        """Return whether two arrays of gradients are equal up to rounding."""
        return bool((np.abs(one - two) <= self.tolerance).all())

    def where(self) -> str:
        """Return the range of inputs where an elementwise gradient is wrong, if it is right elsewhere."""
        if not self.elementwise or self.wrong.all():
            return ""
        wrong, right = self.value[self.wrong], self.value[~self.wrong & (self.numeric != 0)]
        right = right if right.size else self.value[~self.wrong]
        if wrong.min() > right.max():
            return f" for x > {right.max():.3g}"
        if wrong.max() < right.min():
            return f" for x < {right.min():.3g}"
        if np.abs(wrong).min() > np.abs(right).max():
            return f" for |x| > {np.abs(right).max():.3g}"
        if np.abs(wrong).max() < np.abs(right).min():
            return f" for |x| < {np.abs(right).min():.3g}"
        if not ((right > wrong.min()) & (right < wrong.max())).any():
            return f" for {wrong.min():.3g} <= x <= {wrong.max():.3g}"
        return ""

    def reaches(self, axes: tuple[int, ...]) -> bool:
        """Return whether an output depends on inputs whose place on these axes of images is another one."""
        if self.parts is None or not self.of_input or self.value.ndim != self.dy.ndim:
            return False
        n = self.value.ndim
        if any(self.value.shape[a] != self.dy.shape[a] for a in axes):
            return True
        others = tuple(a for a in range(2 * n) if a % n not in axes)
        pairs = (self.parts != 0).any(axis=others)
        size = int(np.sqrt(pairs.size))
        return bool((pairs.reshape(size, size) & ~np.eye(size, dtype=bool)).any())


def axis_names(ndim: int) -> tuple[str, ...]:
    """Return what the axes of a batch mean; further ones have no name."""
    return _AXES.get(ndim, _AXES_OF_IMAGES)
