"""`from_torch`: a module, an autograd function, or a function of tensors."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.testing.adapters.adapted import Adapted, Params, Shared, arrays_of


def from_torch(module: Any, params: Params = None, *, batch_dependent: bool = False) -> Layer:
    """Return a layer for `check_layer`, made of PyTorch code.

    The gradients are those of `torch.autograd.grad`; the random numbers, of dropout say, come from PyTorch's
    generator, seeded by the check.

    Parameters
    ----------
    module : torch.nn.Module, subclass of torch.autograd.Function, or callable
        A module has its weights and running statistics. A function `f(x, *params)` of tensors has those of
        `params`; of an autograd function, `apply` is called.
    params : dict or list of array, or callable, optional
        The weights of a function, or a function `(input_shape, rng)` that draws them.
    batch_dependent : bool
        Whether the examples of a batch influence each other in training mode, as in BatchNorm.

    Examples
    --------
    Channels first:

    >>> import torch  # doctest: +SKIP
    >>> conv = torch.nn.Conv2d(3, 4, 3, padding=1)  # doctest: +SKIP
    >>> check_layer(from_torch(conv), (3, 8, 7), layout="NCHW")  # doctest: +SKIP
    """
    import torch

    if isinstance(module, torch.nn.Module):
        if params is not None:
            raise ValueError("`params` must be None for a module, which has its own weights")
        return FromModule(module, batch_dependent)
    function = module.apply if hasattr(module, "apply") else module
    if not callable(function):
        raise TypeError(f"`module` must be a torch.nn.Module or a function of tensors, got {module!r}")
    return FromTensors(Shared(module), function, params, batch_dependent)


class FromTensors(Adapted):
    """A layer made of a function of tensors."""

    factory = "from_torch"

    def __init__(self, adapted: Any, function: Callable, params: Params, batch_dependent: bool) -> None:
        super().__init__(adapted, batch_dependent)
        self.function, self.params = Shared(function), params

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Hold the weights, and a generator of seeds."""
        self.hold(arrays_of(self.params, input_shape, rng))
        self.stream = rng.spawn(1)[0]

    def call(self, x: Any, weights: list[Any]) -> Any:
        """Return the output of the function, a tensor."""
        return self.function(x, *weights)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Run the function, with gradients in training mode."""
        import torch

        graph = self.training and self.needs_backward
        # A copy, in C order, in which dropout draws; and a clone, since a module may work in place.
        tensor = torch.from_numpy(np.array(x, order="C")).requires_grad_(graph)
        weights = [torch.from_numpy(p.value).requires_grad_(graph and p.trainable) for p in self.held()]
        with torch.set_grad_enabled(graph), torch.random.fork_rng(devices=[]):
            torch.manual_seed(copy.deepcopy(self.stream).integers(2**62))
            start = torch.get_rng_state()
            y = self.call(tensor.clone(), weights)
            if not torch.equal(start, torch.get_rng_state()):
                self.stream.integers(2**62)  # only the stream of a layer that draws numbers moves
        if not isinstance(y, torch.Tensor):
            what = f"the output must be one tensor, got {type(y).__name__}"
            raise TypeError(f"{what}: wrap the module in one that returns the tensor to check")
        self.cache = tensor, weights, y
        return y.detach().numpy().copy()

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return the gradient that autograd computes."""
        import torch

        x, weights, y = self.cache
        leaves = [leaf for leaf in (x, *weights) if leaf.requires_grad]
        found = torch.autograd.grad(
            y, leaves, torch.from_numpy(np.array(dy, order="C")), retain_graph=True, allow_unused=True
        )
        grads = {id(leaf): grad for leaf, grad in zip(leaves, found, strict=True)}
        arrays = [grads.get(id(leaf)) for leaf in (x, *weights)]
        dx, *dweights = (
            np.zeros(tuple(leaf.shape), dy.dtype) if grad is None else grad.numpy()
            for leaf, grad in zip((x, *weights), arrays, strict=True)
        )
        self.add_grads(dweights)
        return dx


class FromModule(FromTensors):
    """A layer made of a module; its floating-point buffers are weights that are not trained."""

    def __init__(self, module: Any, batch_dependent: bool) -> None:
        super().__init__(copy.deepcopy(module), module, None, batch_dependent)
        self._keys: list[str] = []  # PyTorch's names

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Hold weights and buffers."""
        super().init_params(input_shape, rng)
        for named, trainable in (
            (self.adapted.named_parameters(), True),
            (self.adapted.named_buffers(), False),
        ):
            tensors = {name: t.detach().numpy() for name, t in named if t.is_floating_point()}
            self._keys += tensors
            self.hold(tensors, trainable=trainable)

    def call(self, x: Any, weights: list[Any]) -> Any:
        """Return the output of the module with these weights; it updates the buffers in place."""
        import torch

        self.adapted.train(self.training)
        return torch.func.functional_call(self.adapted, dict(zip(self._keys, weights, strict=True)), (x,))
