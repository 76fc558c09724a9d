"""PyTorch's weights in minicnn: its recorded outputs everywhere, and PyTorch itself where it is installed.

The extra `bench` installs it. `record_torch.py` has made the recorded outputs.
"""

from pathlib import Path

import numpy as np
import pytest

from minicnn import (
    ELU,
    GELU,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    GroupNorm,
    LayerNorm,
    LeakyReLU,
    LocalResponseNorm,
    Pool2D,
    PReLU,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
    Upsampling2D,
    ZeroPadding2D,
)
from minicnn.interop.torch import from_torch, load_state

RECORDED = Path(__file__).with_name("torch_recorded.npz")


def recorded(name):
    """Return the recorded state, inputs (N, H, W, C) and outputs of a net."""
    arrays = np.load(RECORDED)
    prefix = f"{name}/state/"
    state = {key.removeprefix(prefix): arrays[key] for key in arrays.files if key.startswith(prefix)}
    return state, arrays[f"{name}/x"].transpose(0, 2, 3, 1), arrays[f"{name}/y"]


def convolutions():
    return Sequential(
        [
            Conv2D(6, (3, 2), (2, 1), ((1, 1), (0, 0))),
            BatchNorm(0.9, 1e-5),
            LeakyReLU(0.1),
            Conv2D(6, 3, padding="same", groups=3, use_bias=False),
            GroupNorm(2, 1e-5),
            ELU(),
            Pool2D(3, 2, ((1, 1), (1, 1))),
            PReLU(),
            Dropout(0.5),
            Flatten(),
            BatchNorm(0.9, 1e-5),
            Dense(7),
            GELU(),
            LayerNorm(1e-5),
            Dense(5, use_bias=False),
            Softmax(),
        ]
    )


def pooled():
    return Sequential(
        [
            ZeroPadding2D(((0, 1), (1, 2))),
            Conv2D(4, 3, dilation=(2, 1)),
            Tanh(),
            LocalResponseNorm(3, 2.0, 0.5 / 3, 0.7),
            Pool2D(2, mode="avg"),
            Upsampling2D(2),
            SiLU(),
            GlobalAveragePool2D(),
            Flatten(),
            Dense(3),
            PReLU(),
            Sigmoid(),
        ]
    )


@pytest.mark.parametrize("make", [convolutions, pooled])
def test_a_recorded_state_gives_the_recorded_outputs(make):
    state, x, y = recorded(make.__name__)
    model = make().build(x.shape[1:], rng=0)
    load_state(model, state)
    np.testing.assert_allclose(model.predict(x), y, rtol=2e-5, atol=2e-6)


def test_a_state_that_does_not_fit_is_refused_and_changes_nothing():
    state, x, _ = recorded("convolutions")
    model = convolutions().build(x.shape[1:], rng=0)
    before = model.get_weights()
    names = list(state)
    for wrong, message in (
        (
            {name: state[name] for name in names[:-1]},
            r"layer 14 \(Dense\) has no counterpart: the state has no",
        ),
        (state | {"99.weight": state[names[-1]]}, "'99' of the state has no counterpart"),
        (
            state | {"0.weight": state["0.weight"][:3]},
            r"kernel of layer 0 \(Conv2D\) has shape \(3, 2, 3, 6\)",
        ),
        (
            state | {"3.0.bias": np.zeros(6)},
            r"layer 3 \(Conv2D\) needs weight, but '3.0' in its place has bias",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            load_state(model, wrong)
        assert all(map(np.array_equal, before, model.get_weights()))
    with pytest.raises(RuntimeError, match="must be built"):
        load_state(convolutions(), state)


def test_from_torch_knows_modules_of_torch_only():
    with pytest.raises(ValueError, match=r"module 0 \(Dense\) has no counterpart in minicnn: there is no"):
        from_torch(Dense(3), (2,))


@pytest.mark.parametrize("make", [convolutions, pooled])
def test_from_torch_gives_the_layers_and_the_outputs(make):
    torch = pytest.importorskip("torch")
    from interop.record_torch import nets, randomize

    net, (channels, height, width) = nets()[make.__name__]
    model = from_torch(randomize(net), (height, width, channels))
    assert repr(model) == repr(make())
    x = torch.randn(3, channels, height, width)
    with torch.no_grad():
        y = net(x).numpy()
    np.testing.assert_allclose(model.predict(x.numpy().transpose(0, 2, 3, 1)), y, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda nn: [nn.Conv2d(1, 2, 3, padding_mode="circular")], r"module 0 \(Conv2d\) .* `padding_mode`"),
        (
            lambda nn: [nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(1, 1, 2))],
            r"module 0.1 \(ConvTranspose2d\)",
        ),
        (lambda nn: [nn.AvgPool2d(3, 1, 1)], "`count_include_pad` must be False"),
        (lambda nn: [nn.MaxPool2d(2, ceil_mode=True)], "`ceil_mode` must be False"),
        (lambda nn: [nn.AdaptiveAvgPool2d(2)], "`output_size` must be 1"),
        (lambda nn: [nn.Linear(6, 2)], "works along the last axis of images"),
        (lambda nn: [nn.Conv2d(1, 2, 1), nn.Flatten()], r"layer 1 \(Flatten\) gives values in another order"),
    ],
)
def test_from_torch_refuses_what_would_be_another_net(make, message):
    nn = pytest.importorskip("torch").nn
    with pytest.raises(ValueError, match=message):
        from_torch(nn.Sequential(*make(nn)), (6, 6, 1))
