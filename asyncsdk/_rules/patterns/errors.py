"""Why a condition cannot be decided, or a pattern cannot be used."""


class UnsupportedError(Exception):
    """A condition that this package cannot decide; the evaluation's outcome is `Unsupported`."""


class UnsupportedPatternError(UnsupportedError):
    """A pattern, or a text for it, that no engine here can handle; the message says why."""


class InvalidPatternError(Exception):
    """A pattern that Statsig's package refuses too; it matches nothing."""
