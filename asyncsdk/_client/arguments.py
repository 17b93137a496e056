"""Validation of a client's arguments, and of the address of a dev server."""

import logging
import os
from collections.abc import Sequence
from urllib.parse import urlsplit

from asyncsdk._model.http import HttpSettings
from asyncsdk._model.validation import describe_type
from asyncsdk.errors import ConfigurationError
from asyncsdk.vendors._base import Destination

logger = logging.getLogger("asyncsdk")

DEV_SERVER, DEV_LINGER = "ASYNCSDK_DEV_SERVER", "ASYNCSDK_DEV_LINGER"
# Maximum time that events wait for company on their way to a dev server, where a person is watching, in seconds.
_DEFAULT_DEV_LINGER = 0.1


def check_destinations(destinations: Sequence[Destination]) -> None:
    """Check that all are destinations, with different names.

    Raises:
        ConfigurationError: One is not a destination, or two have the same name.
    """
    for given in destinations:
        if isinstance(given, type) or not hasattr(given, "frame"):
            what = given.__name__ if isinstance(given, type) else f"a {type(given).__name__}"
            msg = f"pass destinations such as Statsig(...) one by one, as in Client(*destinations), not {what}"
            raise ConfigurationError(msg)
    names = [given.name for given in destinations]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        msg = f"two destinations are called {twice!r}: give each a `name=` of its own"
        raise ConfigurationError(msg)


def switch(value: object, name: str) -> bool:
    """Return a bool setting. Text is refused: "false", as from an environment variable, would count as True.

    Raises:
        ConfigurationError: It is neither True nor False.
    """
    if isinstance(value, bool):
        return value
    msg = f"`{name}` must be True or False, not {describe_type(value)}"
    raise ConfigurationError(msg)


def seconds(timeout: float) -> float:
    """Return a timeout if it is a number.

    Raises:
        ConfigurationError: It is not a number of seconds.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout != timeout:  # noqa: PLR0124 -- NaN
        msg = "a timeout is a number of seconds"
        raise ConfigurationError(msg)
    return timeout


def http_settings(destination: Destination, default: HttpSettings | None) -> HttpSettings | None:
    """Return the HTTP settings of a destination, after checking that the files they name can be loaded.

    Args:
        destination: The destination; its own `http`, if set, replaces the default.
        default: The client's `http`.

    Raises:
        ConfigurationError: The setting is not `HttpSettings`, or a file cannot be loaded.
    """
    own: object = getattr(destination, "http", None)
    given = default if own is None else own
    if given is None:
        return None
    if not isinstance(given, HttpSettings):
        msg = f"`http` must be HttpSettings(...), not {type(given).__name__}"
        raise ConfigurationError(msg)
    from asyncsdk._transport import tls_context  # noqa: PLC0415 -- see `jobs.load`

    tls_context(given)
    return given


def dev_server() -> str | None:
    """Return the URL of the dev server from the environment; None if there is none.

    Raises:
        ConfigurationError: It is not an address of this machine.
    """
    url = os.environ.get(DEV_SERVER)
    if not url:
        return None
    fault = _fault_of_dev_server(url)
    if fault:
        msg = f"{DEV_SERVER} must be an http:// address of this machine, such as http://127.0.0.1:4010: {fault}"
        raise ConfigurationError(msg)
    logger.warning("all events go to the dev server at %s, because %s is set", url, DEV_SERVER)
    return url


def dev_linger() -> float:
    """Return the maximum linger towards a dev server, in seconds, from the environment; 0.1 if it is not set.

    Raises:
        ConfigurationError: It is not a number of seconds.
    """
    text = os.environ.get(DEV_LINGER)
    try:
        linger = float(text) if text else _DEFAULT_DEV_LINGER
    except ValueError:
        linger = -1.0
    if not 0 <= linger < float("inf"):
        msg = f"{DEV_LINGER} must be a number of seconds, such as 0 or 0.1, not {text!r}"
        raise ConfigurationError(msg)
    return linger


def _fault_of_dev_server(url: str) -> str:
    """Return what is wrong with the address of a dev server, without showing a password; "" if nothing is."""
    if not url.isprintable() or " " in url:
        return "it contains a space or a control character"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme != "http" or parts.username is not None:
        has_user = parts.username is not None
        return "it has a user or password" if has_user else f"its scheme is {parts.scheme or 'missing'}"
    if parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        return f"{parts.hostname or 'no host'} is not this machine"
    return "it has port 0, a query or a fragment" if port == 0 or parts.query or parts.fragment else ""
