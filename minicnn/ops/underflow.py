"""Underflow: a number too small for its type becomes 0, as it should, whatever `np.seterr` says of it."""

import numpy as np

HARMLESS = np.errstate(under="ignore")  # a decorator; overflows are treated as the user says
