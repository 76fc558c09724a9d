"""The version, in a leaf of its own, so that no module below the package root imports it."""

__version__ = "0.1.0"
