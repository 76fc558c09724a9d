"""Naive loops: slow, obvious, and written from the definitions, not from the package's code."""

import struct

import numpy as np


def naive_conv2d(x, kernel, bias, strides, pads, dilation, groups):
    n, h, w, _ = x.shape
    kh, kw, cg, f = kernel.shape
    (top, bottom), (left, right) = pads
    oh = (h + top + bottom - (kh - 1) * dilation[0] - 1) // strides[0] + 1
    ow = (w + left + right - (kw - 1) * dilation[1] - 1) // strides[1] + 1
    y = np.zeros((n, oh, ow, f))
    for image, row, column, out in np.ndindex(n, oh, ow, f):
        total = bias[out]
        for i, j, channel in np.ndindex(kh, kw, cg):
            r = row * strides[0] + i * dilation[0] - top
            s = column * strides[1] + j * dilation[1] - left
            if 0 <= r < h and 0 <= s < w:
                group = out // (f // groups)
                total += x[image, r, s, group * cg + channel] * kernel[i, j, channel, out]
        y[image, row, column, out] = total
    return y


def naive_conv2d_backward(dy, x, kernel, strides, pads, dilation, groups):
    _, h, w, _ = x.shape
    kh, kw, cg, f = kernel.shape
    (top, _), (left, _) = pads
    dx, dkernel, dbias = np.zeros(x.shape), np.zeros(kernel.shape), np.zeros(f)
    for image, row, column, out in np.ndindex(dy.shape):
        g = dy[image, row, column, out]
        dbias[out] += g
        for i, j, channel in np.ndindex(kh, kw, cg):
            r = row * strides[0] + i * dilation[0] - top
            s = column * strides[1] + j * dilation[1] - left
            if 0 <= r < h and 0 <= s < w:
                source = out // (f // groups) * cg + channel
                dx[image, r, s, source] += g * kernel[i, j, channel, out]
                dkernel[i, j, channel, out] += g * x[image, r, s, source]
    return dx, dkernel, dbias


def cellwise_conv2d_backward(dy, x, kernel, strides, pads):
    """dx and dkernel, cell of the kernel by cell: quick enough for many channels; one group, no dilation."""
    h, w = x.shape[1:3]
    (top, bottom), (left, right) = pads
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    dpadded, dkernel = np.zeros(padded.shape), np.zeros(kernel.shape)
    oh, ow = dy.shape[1:3]
    for i, j in np.ndindex(kernel.shape[:2]):
        cells = np.s_[
            :, i : i + (oh - 1) * strides[0] + 1 : strides[0], j : j + (ow - 1) * strides[1] + 1 : strides[1]
        ]
        dpadded[cells] += np.einsum("nhwf,cf->nhwc", dy, kernel[i, j])
        dkernel[i, j] = np.einsum("nhwc,nhwf->cf", padded[cells], dy, optimize=True)
    return dpadded[:, top : top + h, left : left + w], dkernel


def naive_windows(x, window, strides, pads):
    """Yield (index of the output cell, indices of the real input cells in row-major order)."""
    n, h, w, c = x.shape
    (top, bottom), (left, right) = pads
    oh = (h + top + bottom - window[0]) // strides[0] + 1
    ow = (w + left + right - window[1]) // strides[1] + 1
    for image, row, column, channel in np.ndindex(n, oh, ow, c):
        cells = [
            (image, r, s, channel)
            for r in range(row * strides[0] - top, row * strides[0] - top + window[0])
            for s in range(column * strides[1] - left, column * strides[1] - left + window[1])
            if 0 <= r < h and 0 <= s < w
        ]
        yield (image, row, column, channel), cells


def naive_pool2d(x, window, strides, pads, mode):
    windows = list(naive_windows(x, window, strides, pads))
    y = np.zeros([size + 1 for size in windows[-1][0]])
    for out, cells in windows:
        values = [x[cell] for cell in cells]
        y[out] = max(values) if mode == "max" else sum(values) / len(values)
    return y


def naive_pool2d_backward(dy, x, window, strides, pads, mode, ties="first"):
    dx = np.zeros(x.shape)
    for out, cells in naive_windows(x, window, strides, pads):
        if mode == "avg":
            winners, share = cells, 1 / len(cells)
        else:
            largest = max(x[cell] for cell in cells)
            winners = [cell for cell in cells if x[cell] == largest]
            winners = winners[:1] if ties == "first" else winners
            share = 1 / len(winners) if ties == "split" else 1
        for cell in winners:
            dx[cell] += dy[out] * share
    return dx


IDX_CODES = {0x08: "B", 0x09: "b", 0x0B: "h", 0x0C: "i", 0x0D: "f", 0x0E: "d"}


def idx_content(content):
    """The values and shape in an IDX file, number by number, as the format says; None if it is none."""
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in IDX_CODES or not 0 < content[3] <= 64:
        return None
    start, code = 4 + 4 * content[3], IDX_CODES[content[2]]
    if len(content) < start:
        return None
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    count = 1
    for dim in shape:
        count *= dim
    if len(content) - start != count * struct.calcsize(f">{code}"):
        return None
    return struct.unpack(f">{count}{code}", content[start:]), shape
