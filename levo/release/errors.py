"""What is wrong with a release."""


class ReleaseError(ValueError):
    """A release's folder that cannot be read: the message names the file, key or tensor and what was expected."""
