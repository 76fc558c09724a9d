"""Solutions of the textbook exercises, and a way to call them as the command does, in this process."""

import io
from pathlib import Path

from minicnn.testing.grade.cases import RESULTS
from minicnn.testing.grade.child import call, send
from minicnn.testing.grade.wire import read_reply

# What learners write: loops, with the places where they differ left open.
CONV = """
import numpy as np

def pads(n, k, s):
    total = (n - 1) * s + k - n
    return {pads}

def conv_forward(A_prev, W, b, activation, padding="same", stride=(1, 1)):
    (m, h, w, c), (kh, kw, _, c_new), (sh, sw) = A_prev.shape, W.shape, stride
    rows, columns = (pads(h, kh, sh), pads(w, kw, sw)) if padding == "same" else ((0, 0), (0, 0))
    P = np.pad(A_prev, ((0, 0), rows, columns, (0, 0)))
    Z = np.zeros((m, (h + sum(rows) - kh) // sh + 1, (w + sum(columns) - kw) // sw + 1, c_new))
    for i, j, k in np.ndindex(Z.shape[1:]):
        window = P[:, i * sh : i * sh + kh, j * sw : j * sw + kw]
        Z[:, i, j, k] = (window * W[..., k]).sum(axis=(1, 2, 3)) + b[0, 0, 0, k]
    return activation(Z)

def conv_backward(dZ, A_prev, W, b, padding="same", stride=(1, 1)):
    (m, h, w, c), (kh, kw, _, _), (sh, sw) = A_prev.shape, W.shape, stride
    rows, columns = (pads(h, kh, sh), pads(w, kw, sw)) if padding == "same" else ((0, 0), (0, 0))
    P = np.pad(A_prev, ((0, 0), rows, columns, (0, 0)))
    dP, dW = np.zeros_like(P), np.zeros_like(W)
    for n, i, j, k in np.ndindex(dZ.shape):
        here = n, slice(i * sh, i * sh + kh), slice(j * sw, j * sw + kw)
        dP[here] += W[..., k] * dZ[n, i, j, k]
        dW[..., k] += P[here] * dZ[n, i, j, k]
    dA = dP[:, rows[0] : rows[0] + h, columns[0] : columns[0] + w]
    return dA, dW, dZ.sum(axis=(0, 1, 2), keepdims=True)
"""
POOL = """
import numpy as np

def pool_forward(A_prev, kernel_shape, stride=(1, 1), mode="max"):
    (m, h, w, c), (kh, kw), (sh, sw) = A_prev.shape, kernel_shape, stride
    A = np.zeros((m, (h - kh) // sh + 1, (w - kw) // sw + 1, c))
    for i, j in np.ndindex(A.shape[1:3]):
        window = A_prev[:, i * sh : i * sh + kh, j * sw : j * sw + kw]
        A[:, i, j] = window.max(axis=(1, 2)) if mode == "max" else window.mean(axis=(1, 2))
    return A

def pool_backward(dA, A_prev, kernel_shape, stride=(1, 1), mode="max"):
    (kh, kw), (sh, sw) = kernel_shape, stride
    dx = np.zeros(A_prev.shape)
    for n, i, j, c in np.ndindex(dA.shape):
        here = n, slice(i * sh, i * sh + kh), slice(j * sw, j * sw + kw), c
        window = A_prev[here]
        if mode == "avg":
            dx[here] += dA[n, i, j, c] / (kh * kw)
        else:
            {rule}
    return dx
"""
TEXTBOOK_CONV = CONV.replace("{pads}", "(total - total // 2, total // 2)")
TEXTBOOK_POOL = POOL.replace("{rule}", "dx[here] += (window == window.max()) * dA[n, i, j, c]")


def functions(source):
    namespace = {}
    exec(source, namespace)
    return namespace


def caller(name, function, path=""):
    """Return what calls a function, with its results written to a stream and read from it."""

    def call_it(named):
        arrays = [value for value in named.values() if hasattr(value, "shape")]
        options = {key: value for key, value in named.items() if not hasattr(value, "shape")}
        stream = io.BytesIO()
        send(stream, call(function, arrays, options, len(RESULTS[name]), path))
        stream.seek(0)
        return read_reply(stream)

    return call_it


def write(folder, name, source):
    path = Path(folder, name)
    path.write_text(source)
    return str(path)
