"""The exceptions of our own: only where a caller has reason to catch one by name."""


class FileFormatError(ValueError):
    """A file's bytes are not what its format promises: truncated, corrupted, or another kind of file."""
