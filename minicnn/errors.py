"""The exceptions that minicnn defines, for errors that callers catch by name."""


class FileFormatError(ValueError):
    """A file is truncated, corrupted, or not of the expected format."""
