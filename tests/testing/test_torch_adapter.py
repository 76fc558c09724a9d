"""Layers and autograd functions of PyTorch: real ones pass, planted bugs are found."""

import numpy as np
import pytest
from testing.any_layer import run_example

from minicnn.testing import LayerCheckError, check_layer, from_torch

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'minicnn-numpy[peers]'")
nn = torch.nn

MODULES = [
    (lambda: nn.Linear(5, 3), (5,), {}),
    (lambda: nn.Conv2d(3, 4, (3, 2), stride=2, padding=1), (3, 7, 6), {"layout": "NCHW"}),
    (lambda: nn.ConvTranspose2d(2, 3, 3, stride=2), (2, 4, 3), {"layout": "NCHW"}),
    (lambda: nn.MaxPool2d(2), (3, 6, 4), {"layout": "NCHW"}),
    (lambda: nn.AvgPool2d(2, padding=1), (3, 6, 4), {"layout": "NCHW"}),
    (lambda: nn.BatchNorm1d(4), (4,), {}),
    (lambda: nn.LayerNorm(6), (6,), {}),
    (lambda: nn.GroupNorm(2, 4), (4, 3, 2), {"layout": "NCHW"}),
    (lambda: nn.GELU(), (7,), {}),
    (lambda: nn.PReLU(), (7,), {}),
    (lambda: nn.Softmax(dim=-1), (6,), {}),
    (lambda: nn.Dropout(0.3), (9,), {}),
    (lambda: nn.ReLU(inplace=True), (7,), {}),
    (lambda: nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)), (5,), {}),
]


@pytest.mark.filterwarnings("ignore:.*a batch of one example is refused")
@pytest.mark.parametrize(("make", "shape", "options"), MODULES)
def test_modules_of_pytorch_pass(make, shape, options):
    torch.manual_seed(0)
    module = make()
    check_layer(from_torch(module, batch_dependent=isinstance(module, nn.BatchNorm1d)), shape, **options)


def test_outputs_and_running_statistics_are_those_of_the_module():
    module = nn.BatchNorm1d(4)
    layer, x = from_torch(module, batch_dependent=True).build((4,)), np.random.default_rng(0).random((6, 4))
    x = x.astype(np.float32)
    np.testing.assert_array_equal(layer.train()(x), module(torch.from_numpy(x)).detach().numpy())
    held = dict(layer.named_parameters())
    np.testing.assert_array_equal(held["running_var"].value, module.running_var.numpy())
    assert [name for name, p in held.items() if p.trainable] == ["weight", "bias"]


def function(forward, backward):
    """Return an autograd function from two functions of tensors: y, and the gradients of all inputs."""

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *inputs):
            ctx.save_for_backward(*inputs)
            return forward(*inputs)

        @staticmethod
        def backward(ctx, dy):
            return backward(dy, *ctx.saved_tensors)

    return Function


def weights():
    rng = np.random.default_rng(0)
    return {"w": rng.standard_normal((4, 4)), "b": rng.standard_normal(4)}


def affine(x, w, b):
    return x @ w + b


def normalize(x):
    return (x - x.mean(-1, keepdim=True)) / x.std(-1, unbiased=False, keepdim=True)


RIGHT = {
    "square": (lambda x: x**2, lambda dy, x: 2 * dy * x, None),
    "affine": (affine, lambda dy, x, w, b: (dy @ w.T, x.T @ dy, dy.sum(0)), weights()),
}
WRONG = {
    "a missing factor": (lambda x: x**2, lambda dy, x: dy * x, None),
    "no mask": (torch.relu, lambda dy, x: dy, None),
    "the derivative of another function": (torch.tanh, lambda dy, x: dy * (1 - torch.tanh(x)), None),
    "a mean over the batch": (affine, lambda dy, x, w, b: (dy @ w.T, x.T @ dy, dy.mean(0)), weights()),
    "a matrix not transposed": (affine, lambda dy, x, w, b: (dy @ w, x.T @ dy, dy.sum(0)), weights()),
    "no gradient of the bias": (affine, lambda dy, x, w, b: (dy @ w.T, x.T @ dy, None), weights()),
    "a kernel's gradient transposed": (
        affine,
        lambda dy, x, w, b: (dy @ w.T, dy.T @ x, dy.sum(0)),
        weights(),
    ),
    "softmax without its sum": (
        lambda x: torch.softmax(x, -1),
        lambda dy, x: dy * torch.softmax(x, -1),
        None,
    ),
    "statistics as constants": (
        normalize,
        lambda dy, x: dy / x.std(-1, unbiased=False, keepdim=True),
        None,
    ),
    "the gradient of a maximum to all": (
        lambda x: x.amax(-1, keepdim=True),
        lambda dy, x: dy.expand(x.shape).clone(),
        None,
    ),
    "a sign": (torch.abs, lambda dy, x: dy, None),
    "a bound that lets gradients pass": (lambda x: x.clamp(-1, 1), lambda dy, x: dy * (x < 1), None),
    "an error of a thousandth": (torch.exp, lambda dy, x: 1.001 * dy * torch.exp(x), None),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_functions_pass(name):
    forward, backward, params = RIGHT[name]
    check_layer(from_torch(function(forward, backward), params), (4,))


@pytest.mark.parametrize("name", WRONG)
def test_planted_bugs_are_found(name):
    forward, backward, params = WRONG[name]
    with pytest.raises(LayerCheckError):
        check_layer(from_torch(function(forward, backward), params), (4,), only="gradients")


def test_a_function_of_tensors_needs_no_class():
    check_layer(from_torch(lambda x, w, b: torch.tanh(affine(x, w, b)), weights()), (4,), only="gradients")


def test_wrong_arguments_raise_clear_errors():
    with pytest.raises(ValueError, match="`params` must be None for a module"):
        from_torch(nn.Linear(2, 3), [np.zeros(3)])
    with pytest.raises(
        TypeError, match=r"`module` must be a torch.nn.Module or a function of tensors, got 3"
    ):
        from_torch(3)


def test_the_chapter_s_example_runs():
    run_example("torch")
