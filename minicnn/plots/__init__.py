"""Pictures of data, models and their training (extra `plot`).

Each function takes arrays, draws on the axes that it is given or on a new figure, and returns the figure.
None calls `show`, and none touches pyplot's global state, so they work without a display and in threads:
`learning_curves(history).savefig("curves.png")`.
"""

try:
    import matplotlib  # noqa: F401 - before the modules below, to say how to get it
except ImportError as error:
    raise ImportError('drawing pictures needs matplotlib: pip install "minicnn-numpy[plot]"') from error

from minicnn.plots.batch import batch
from minicnn.plots.benchmark import benchmark
from minicnn.plots.confusion import confusion_matrix
from minicnn.plots.curves import learning_curves
from minicnn.plots.embedding import hidden_map
from minicnn.plots.feature_maps import feature_maps, kernels
from minicnn.plots.frameworks import comparison
from minicnn.plots.lr_curves import distributions, learning_rates
from minicnn.plots.mistakes import mistakes
from minicnn.plots.profile import profile_chart
from minicnn.plots.saliency import evidence, patches

__all__ = [
    "batch",
    "benchmark",
    "comparison",
    "confusion_matrix",
    "distributions",
    "evidence",
    "feature_maps",
    "hidden_map",
    "kernels",
    "learning_curves",
    "learning_rates",
    "mistakes",
    "patches",
    "profile_chart",
]
