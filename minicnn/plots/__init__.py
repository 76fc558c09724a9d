"""Plots of data, models and training (extra `plot`).

Each function draws on the given axes, or on a new figure, and returns the figure. None calls `show` or uses
pyplot's global state, so they work without a display and in threads:
`learning_curves(history).savefig("curves.png")`. The colors, text sizes and axes that all of them
share are in `minicnn.plots.style`. Blue and orange are signs there, positive and negative, and nothing else
has them.
"""

try:
    import matplotlib  # noqa: F401 - first, so that the error says how to install it
except ImportError as error:
    raise ImportError('plots need matplotlib: pip install "minicnn-numpy[plot]"') from error

from minicnn.plots.batch import batch
from minicnn.plots.benchmark import benchmark
from minicnn.plots.confusion import confusion_matrix
from minicnn.plots.curves import learning_curves
from minicnn.plots.embedding import embedding
from minicnn.plots.feature_maps import feature_maps, kernels
from minicnn.plots.frameworks import comparison
from minicnn.plots.lr_curves import distributions, learning_rates
from minicnn.plots.mistakes import mistakes
from minicnn.plots.profile import profile_chart
from minicnn.plots.saliency import patches, saliency

__all__ = [
    "batch",
    "benchmark",
    "comparison",
    "confusion_matrix",
    "distributions",
    "embedding",
    "feature_maps",
    "kernels",
    "learning_curves",
    "learning_rates",
    "mistakes",
    "patches",
    "profile_chart",
    "saliency",
]
