"""Which pixels decide a prediction, and which patches activate a filter most."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from minicnn.insight import class_gradient, grad_cam, occlusion, strongest_patches
from minicnn.insight.saliency import last_maps
from minicnn.layers import Sequential
from minicnn.ops.activations import softmax
from minicnn.ops.scaling import to_float
from minicnn.plots.pixels import to_pixels
from minicnn.plots.style import (
    FAINT,
    INK,
    POSITIVE,
    SMALL,
    TEXT,
    draw_signed,
    dress,
    figure_of,
    new_axes,
    shorten,
)
from minicnn.plots.tiles import draw_tiles, tile_axes
from minicnn.plural import counted

_COLUMNS = 8
# Drawn over the image; what speaks for the class has the positive sign, as in the other pictures.
_HEAT = LinearSegmentedColormap.from_list("heat", [POSITIVE + "00", POSITIVE + "E0"])


def saliency(
    model: Sequential,
    image: np.ndarray,
    label: int | None = None,
    class_names: Sequence[str] | None = None,
    axes: Sequence[Axes] | None = None,
) -> Figure:
    """Draw which pixels decide a prediction: gradient, occlusion and Grad-CAM, see `minicnn.insight`.

    Parameters
    ----------
    model : Sequential
        Built, with logits as output. Without a layer with maps, there is no Grad-CAM.
    image : ndarray, shape (H, W, C)
        uint8, or floats in [0, 1]; one or three channels.
    label : int, optional
        The class to explain; by default the predicted class.
    class_names : sequence of str, optional
        By default the class indices.
    axes : sequence of four Axes, optional
        Where to draw: the image, gradient, occlusion, Grad-CAM. Without that, three are enough.

    Returns
    -------
    Figure
    """
    has_maps = last_maps(model) is not None
    if axes is None:
        axes = new_axes(10, 3.3, columns=4) if has_maps else new_axes(7.5, 3.3, columns=3)
    pixels = to_float(np.asarray(image), model.dtype)
    probabilities = softmax(model.predict(np.asarray(image)[np.newaxis]))[0]
    label = int(probabilities.argmax()) if label is None else label
    name = str(label) if class_names is None else shorten(class_names[label])
    drawn = [
        _draw_pixels(axes[0], pixels),
        draw_signed(axes[1], class_gradient(model, image, label).sum(axis=-1)),
        draw_signed(axes[2], occlusion(model, image, label)),
    ]
    if has_maps:
        drawn.append(_draw_heat(axes[3], grad_cam(model, image, label), pixels))
    titles = (f"P({name}) = {100 * probabilities[label]:.0f} %", "Gradient", "Occlusion, 5x5", "Grad-CAM")
    bars = ("pixel value", "gradient of the logit", "decrease of the logit", "weighted maps")
    for ax, values, title, bar in zip(axes, drawn, titles, bars, strict=False):
        _finish(ax, values, title, bar)
    for ax in axes[len(drawn) :]:
        ax.set_axis_off()
    return figure_of(axes[0])


def _draw_pixels(ax: Axes, pixels: np.ndarray) -> AxesImage:
    if pixels.shape[-1] != 1:
        return ax.imshow(to_pixels(pixels))
    low, high = min(float(pixels.min()), 0.0), max(float(pixels.max()), 1.0)
    return ax.imshow(pixels[..., 0], cmap="gray", vmin=low, vmax=high)


def _draw_heat(ax: Axes, cam: np.ndarray, pixels: np.ndarray) -> AxesImage:
    """Draw a coarse map over a pale image."""
    height, width = pixels.shape[:2]
    grey = to_pixels(pixels.mean(axis=-1, keepdims=True))
    ax.imshow(grey, cmap="gray_r", vmin=0, vmax=1, alpha=0.35)
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    largest = float(cam.max()) or 1.0  # an all-zero map stays transparent
    return ax.imshow(cam, cmap=_HEAT, vmin=0, vmax=largest, interpolation="bilinear", extent=extent)


def _finish(ax: Axes, values: AxesImage, title: str, label: str) -> None:
    """Add a title, a frame and a color bar."""
    ax.set_title(title, fontsize=TEXT, color=INK, loc="left")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(True)
    ax.spines[:].set_color(FAINT)
    bar = figure_of(ax).colorbar(values, ax=ax, orientation="horizontal", pad=0.03, aspect=18)
    bar.set_label(label, fontsize=SMALL, color=INK)
    bar.ax.tick_params(labelsize=SMALL, colors=INK, length=0)
    bar.locator = MaxNLocator(4)
    bar.update_ticks()
    bar.outline.set_visible(False)


def patches(
    model: Sequential,
    images: np.ndarray,
    layer: int,
    channel: int,
    count: int = 8,
    ax: Axes | None = None,
) -> Figure:
    """Draw the image patches that activate a filter most, each as large as its receptive field.

    The filter's output is written below each patch.

    Parameters
    ----------
    model, images, layer, channel, count
        See `minicnn.insight.strongest_patches`.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Figure
    """
    found = strongest_patches(model, images, layer, channel, count)
    ax = tile_axes(found.pixels, _COLUMNS) if ax is None else ax
    draw_tiles(ax, found.pixels, [(f"{value:.3g}", "") for value in found.values], _COLUMNS, accent=INK)
    height, width = found.pixels.shape[1:3]
    title = f"Strongest patches of channel {channel}, layer {layer}, in {counted(len(images), 'image')}"
    dress(ax, f"{title}: {height}x{width}")
    return figure_of(ax)
