"""Addresses to listen on: is the port one, and why is nothing listening there."""

import os

from asyncsdk.errors import ConfigurationError


def check_port(port: object) -> int:
    """Return a port to listen on; 0 picks a free one.

    Raises:
        ConfigurationError: It is not a whole number from 0 to 65535.
    """
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65_535:
        msg = f"a port is a whole number from 0 (any that is free) to 65535, not {port!r}"
        raise ConfigurationError(msg)
    return port


def listening_failed(host: str, port: int, error: OSError) -> OSError:
    """Return the error of a failed attempt to listen, in one line.

    Args:
        host: The address.
        port: The port.
        error: What the operating system said.
    """
    # asyncio's own text for an error of `bind` has the address, too; a name that is unknown has a negative number.
    number = error.errno or 0
    reason = os.strerror(number) if number > 0 else error.strerror or str(error)
    hint = "; port 0 picks a free one" if port else ""
    return type(error)(error.errno, f"cannot listen on {host}:{port}: {reason}{hint}")
