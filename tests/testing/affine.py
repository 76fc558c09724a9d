"""An affine function and its gradient, a right and a wrong one, for arrays of any module."""


def affine_forward(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dy, saved):
    x, w = saved
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)


def affine_backward_wrong(dy, saved):
    x, w = saved
    return dy @ w.T, x.T @ dy, dy.mean(axis=0)
