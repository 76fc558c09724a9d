"""Grading of the course's `lenet5(x, y)` in TensorFlow and `lenet5(X)` in Keras.

The learner's process returns the weights of its net, and what it makes of images with them. The same weights
in minicnn's net, outside of that process, give what is right. So nothing that it says has to be trusted.
"""

from minicnn.testing.grade.lenet5.needs import LIBRARIES, needs_tensorflow, without_tensorflow
from minicnn.testing.grade.lenet5.verdict import grade_lenet5

__all__ = ["LIBRARIES", "grade_lenet5", "needs_tensorflow", "without_tensorflow"]
