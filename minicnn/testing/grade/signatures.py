"""Signatures of the textbook functions, and those of other courses, which have exercises like them."""

import inspect

from minicnn import functional
from minicnn.testing.grade.cases import RESULTS

SIGNATURES = {
    "conv_forward": 'A_prev, W, b, activation, padding="same", stride=(1, 1)',
    "pool_forward": 'A_prev, kernel_shape, stride=(1, 1), mode="max"',
    "conv_backward": 'dZ, A_prev, W, b, padding="same", stride=(1, 1)',
    "pool_backward": 'dA, A_prev, kernel_shape, stride=(1, 1), mode="max"',
}
FUNCTIONS = tuple(SIGNATURES)
EXERCISES = (*FUNCTIONS, "lenet5")
_NAMES_ELSEWHERE = {
    "conv_forward_naive",
    "conv_backward_naive",
    "max_pool_forward_naive",
    "max_pool_backward_naive",
}
SEARCHED = (*EXERCISES, *sorted(_NAMES_ELSEWHERE))
_COURSES = {
    "hparameters": "the Deep Learning Specialization (deeplearning.ai)",
    "cache": "the Deep Learning Specialization (deeplearning.ai) or CS231n (Stanford)",
    "conv_param": "CS231n (Stanford)",
    "pool_param": "CS231n (Stanford)",
}


def wrong_signature(name: str, parameters: list[str]) -> str:
    """Return what is wrong with the parameters of a function; nothing if they may be right."""
    wanted = list(inspect.signature(getattr(functional, name)).parameters)
    course = next((_COURSES[each] for each in parameters if each in _COURSES), "")
    wants = f"the exercise wants {name}({SIGNATURES[name]}), which returns {', '.join(RESULTS[name])}"
    if course:
        return f"its parameters ({', '.join(parameters)}) are those of {course}: {wants}"
    if parameters != wanted and sorted(parameters) == sorted(wanted):
        return f"its parameters are in another order ({', '.join(parameters)}): {wants}"
    return ""


def other_course(names: list[str]) -> str:
    """Return which other course a file is for that has none of the functions."""
    elsewhere = [name for name in names if name in _NAMES_ELSEWHERE]
    return f"; {', '.join(elsewhere)} are exercises of CS231n (Stanford)" if elsewhere else ""
