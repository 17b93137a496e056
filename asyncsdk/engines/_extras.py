"""Checks shared by engines: that their client library is installed, and that a setting makes sense."""

from importlib.util import find_spec

from asyncsdk.errors import ConfigurationError


def require(module: str, extra: str) -> None:
    """Check that an optional package is installed.

    Raises:
        ConfigurationError: It is not; the message says how to install it.
    """
    if find_spec(module) is None:
        msg = f"this engine needs the package {module}: pip install 'asyncsdk[{extra}]'"
        raise ConfigurationError(msg)


def check_count(value: object, name: str, minimum: int) -> int:
    """Return a setting that is a whole number.

    Raises:
        ConfigurationError: It is not, or below `minimum`.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        msg = f"`{name}` must be a whole number, {minimum} or more"
        raise ConfigurationError(msg)
    return value


def check_seconds(value: object, name: str) -> float:
    """Return a setting that is a number of seconds above 0.

    Raises:
        ConfigurationError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1e9:
        msg = f"`{name}` must be a number of seconds above 0"
        raise ConfigurationError(msg)
    return float(value)
