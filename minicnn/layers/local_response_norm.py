"""Local response normalization."""

from __future__ import annotations

import numpy as np

from minicnn.layers._building import Size, image_shape
from minicnn.layers.base import Layer
from minicnn.ops.norm_local_response import check_size, local_response_norm, local_response_norm_backward
from minicnn.validation import check_dy, check_real


class LocalResponseNorm(Layer):
    """Divide each value by (k + alpha * sum of squares over neighbouring channels) ** beta.

    Channels compete: a large response lowers those of neighbouring channels at the same pixel (Krizhevsky et
    al. 2012, section 3.3, where `size` is called n). Other frameworks have other conventions:

    - TensorFlow's `depth_radius` is (size - 1) / 2; alpha is as here, and k is its `bias`;
    - PyTorch and ONNX take the mean of the squares instead of the sum: their alpha is size * alpha.

    Parameters
    ----------
    size : int, odd
        Channels in a window, centred on the value's own; windows are cut off at the first and last channels.
    k, alpha, beta : float
        Constants of the formula, by default the paper's; k must be positive, alpha and beta not negative.

    Examples
    --------
    >>> layer = LocalResponseNorm(size=3, k=1.0, alpha=1.0, beta=1.0).build((1, 1, 3))
    >>> layer(np.array([[[[1.0, 2.0, 3.0]]]])).round(3)    # 1 / (1+1+4), 2 / (1+1+4+9), 3 / (1+4+9)
    array([[[[0.167, 0.133, 0.214]]]])
    """

    def __init__(self, size: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75) -> None:
        self.size = check_size(size)
        self.k = check_real(k, "k", above_low=True)
        self.alpha, self.beta = check_real(alpha, "alpha"), check_real(beta, "beta")

    def _size_for(self, input_shape: tuple[int, ...]) -> Size:
        return Size(image_shape(self, input_shape))

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the normalised images."""
        self.cache = x
        return local_response_norm(x, self.size, self.k, self.alpha, self.beta)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dL/dx, including the paths through the denominators of neighbouring channels."""
        x = self.cache
        check_dy(dy, x.shape)
        return local_response_norm_backward(dy, x, self.size, self.k, self.alpha, self.beta)
