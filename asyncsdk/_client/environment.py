"""Destinations and settings from environment variables: `Client.from_env()`.

`from_env` has the table of the variables. One that is empty counts as not set, as Docker Compose and GitHub Actions
leave variables that have no value.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncsdk.errors import ConfigurationError
from asyncsdk.vendors._base import Destination
from asyncsdk.vendors.statsig import Rules, Statsig

if TYPE_CHECKING:
    from asyncsdk.vendors.amplitude import Amplitude
    from asyncsdk.vendors.rudderstack import RudderStack

logger = logging.getLogger("asyncsdk")

SPOOL = "ASYNCSDK_SPOOL"
# The key of each destination, and its other variables.
_STATSIG = ("STATSIG_SECRET_KEY", "STATSIG_ENVIRONMENT", "STATSIG_SPECS_URL", "STATSIG_LOG_EVENT_URL")
_BOOTSTRAP = "STATSIG_BOOTSTRAP"
_RUDDERSTACK = ("RUDDERSTACK_WRITE_KEY", "RUDDERSTACK_URL")
_AMPLITUDE = ("AMPLITUDE_API_KEY", "AMPLITUDE_ZONE", "AMPLITUDE_URL")
_GROUPS = {"Statsig": (*_STATSIG, _BOOTSTRAP), "RudderStack": _RUDDERSTACK, "Amplitude": _AMPLITUDE}


def destinations_from(environ: Mapping[str, str]) -> list[Destination]:
    """Return the destinations whose keys are set.

    Raises:
        ConfigurationError: A variable is missing or has a wrong value; the message names it, and has no key.
    """
    given = {name: environ[name].strip() for group in _GROUPS.values() for name in group if environ.get(name)}
    given = {name: value for name, value in given.items() if value}
    found: list[Destination] = []
    for vendor, names in _GROUPS.items():
        own = [name for name in names if name in given]
        if names[0] not in given:
            if own:
                logger.warning("%s is set, but %s is not: there is no %s", ", ".join(own), names[0], vendor)
            continue
        try:
            found.append(_BUILDERS[vendor](given))
        except ConfigurationError as error:
            msg = f"{error} (from {', '.join(own)})"
            raise ConfigurationError(msg) from None
    return found


def missing_keys() -> str:
    """Return the text of the error for an environment without any key."""
    names = [group[0] for group in _GROUPS.values()]
    return (
        f"no destination: set {', '.join(names[:-1])} or {names[-1]} in the environment, or ASYNCSDK_ENABLED=0 for a "
        "client that is off"
    )


def _statsig(given: Mapping[str, str]) -> Statsig:
    secret, environment, specs, log_event = _STATSIG
    rules: dict[str, Any] = {"specs_url": given[specs]} if specs in given else {}
    if _BOOTSTRAP in given:
        rules["bootstrap"] = Path(given[_BOOTSTRAP])
    more: dict[str, Any] = {"log_event_url": given[log_event]} if log_event in given else {}
    return Statsig(given[secret], environment=given.get(environment), rules=Rules(**rules), **more)


def _rudderstack(given: Mapping[str, str]) -> "RudderStack":
    from asyncsdk.vendors.rudderstack import RudderStack  # noqa: PLC0415 -- only if its key is set

    key, url = _RUDDERSTACK
    if url not in given:
        msg = f"RudderStack needs the address of its data plane: set {url}"
        raise ConfigurationError(msg)
    return RudderStack(given[key], given[url])


def _amplitude(given: Mapping[str, str]) -> "Amplitude":
    from asyncsdk.vendors.amplitude import Amplitude  # noqa: PLC0415 -- only if its key is set

    key, zone, url = _AMPLITUDE
    more: dict[str, Any] = {"zone": given[zone].upper()} if zone in given else {}
    return Amplitude(given[key], url=given.get(url), **more)


_BUILDERS: dict[str, Callable[[Mapping[str, str]], Destination]] = {
    "Statsig": _statsig,
    "RudderStack": _rudderstack,
    "Amplitude": _amplitude,
}
