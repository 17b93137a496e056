"""Validation of what a client is given: its destinations, its timeouts, the address of a dev server."""

import logging
import os
from collections.abc import Sequence
from urllib.parse import urlsplit

from asyncsdk._model.validation import describe_type
from asyncsdk.errors import ConfigurationError
from asyncsdk.vendors._base import Destination

logger = logging.getLogger("asyncsdk")

DEV_SERVER = "ASYNCSDK_DEV_SERVER"


def check_destinations(destinations: Sequence[Destination]) -> None:
    """Raise if one is not a destination, or two have the same name.

    Raises:
        ConfigurationError: The message says what to pass.
    """
    for given in destinations:
        if isinstance(given, type) or not hasattr(given, "frame"):
            what = given.__name__ if isinstance(given, type) else f"a {type(given).__name__}"
            msg = (
                f"destinations are Statsig(...), RudderStack(...) and the like, one by one (Client(*them)), not {what}"
            )
            raise ConfigurationError(msg)
    names = [given.name for given in destinations]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        msg = f"two destinations are called {twice!r}: give each a `name=` of its own"
        raise ConfigurationError(msg)


def switch(value: object, name: str) -> bool:
    """Return a switch of the client, or raise: the text "false", of an environment variable, would count as True.

    Raises:
        ConfigurationError: It is neither True nor False.
    """
    if isinstance(value, bool):
        return value
    msg = f"`{name}` must be True or False, not {describe_type(value)}"
    raise ConfigurationError(msg)


def seconds(timeout: float) -> float:
    """Return a timeout, or raise before anything is done about it.

    Raises:
        ConfigurationError: It is not a number of seconds.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout != timeout:  # noqa: PLR0124 -- NaN
        msg = "a timeout is a number of seconds"
        raise ConfigurationError(msg)
    return timeout


def dev_server() -> str | None:
    """Return the URL of the dev server from the environment; None if there is none.

    Raises:
        ConfigurationError: It is not an address of this machine.
    """
    url = os.environ.get(DEV_SERVER)
    if not url:
        return None
    if urlsplit(url).hostname not in ("localhost", "127.0.0.1", "::1"):
        msg = f"{DEV_SERVER} must be an http:// address of this machine, such as http://127.0.0.1:4010"
        raise ConfigurationError(msg)
    logger.warning("all events go to the dev server at %s, because %s is set", url, DEV_SERVER)
    return url
