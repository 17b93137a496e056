"""Checks of the settings that destinations have in common."""

from typing import Any
from urllib.parse import SplitResult, urlsplit

import attrs

from asyncsdk.errors import ConfigurationError
from asyncsdk.vendors._base import Limits

_URL_FORM = "http(s)://host[:port][/path], with a port of 1 to 65535, without user, password, fragment or white space"


def strip_ends(text: str) -> str:
    """Take white space off the ends of a key or address: a secret that is mounted as a file ends with a newline."""
    return text.strip() if isinstance(text, str) else text


def check_key(instance: object, attribute: "attrs.Attribute[Any]", key: object) -> None:
    """Refuse a key that is blank, no text, or broken inside; the message never has the key in it."""
    owner = type(instance).__name__
    if not (isinstance(key, str) and key.strip()):
        msg = f"{owner} needs a `{attribute.name}` that is text and not blank"
        raise ConfigurationError(msg)
    if not key.isprintable():
        msg = (
            f"`{attribute.name}` of {owner} has a line break or invisible character inside: copy it again, as one line"
        )
        raise ConfigurationError(msg)


def check_name(instance: object, attribute: "attrs.Attribute[Any]", name: object) -> None:
    """Refuse a name that reports could not show or that `integrations` keeps for all destinations."""
    check_key(instance, attribute, name)
    if str(name).strip().lower() == "all":
        msg = f"`name` of {type(instance).__name__} cannot be 'All', which in `integrations` means every destination"
        raise ConfigurationError(msg)


def check_url(instance: object, attribute: "attrs.Attribute[Any]", url: object) -> None:
    """Refuse what is no http(s) URL, and one with credentials in it, which would end in logs."""
    try:
        good = isinstance(url, str) and url.isprintable() and " " not in url and _is_valid_address(urlsplit(url))
    except ValueError:
        good = False
    if not good:
        msg = f"`{attribute.name}` of {type(instance).__name__} must be {_URL_FORM}"
        raise ConfigurationError(msg)


def _is_valid_address(parts: SplitResult) -> bool:
    """Say whether a request can be sent there; raises ValueError for a port or host that cannot be read."""
    host, port = parts.hostname, parts.port
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc or parts.fragment:
        return False
    return bool(host.encode("idna")) and port != 0


def with_path(url: str, path: str) -> str:
    """Append `path` to an address that has none; any other path is kept, since a proxy may have its own."""
    if not isinstance(url, str):
        return url
    address, mark, query = strip_ends(url).partition("?")
    bare = address.rstrip("/")
    return (address if "/" in bare.partition("://")[2] else bare + path) + mark + query


def check_limits(instance: object, _: object, limits: object) -> None:
    """Refuse what is no `Limits`."""
    if not isinstance(limits, Limits):
        msg = f"`limits` of {type(instance).__name__} must be Limits(...), such as Limits(linger=0.2)"
        raise ConfigurationError(msg)


def check_overflow(instance: object, _: object, overflow: object) -> None:
    """Refuse an unknown rule for a full queue."""
    if overflow not in ("drop", "wait", "raise"):
        msg = f"`overflow` of {type(instance).__name__} must be 'drop', 'wait' or 'raise'"
        raise ConfigurationError(msg)


def check_exposures(instance: object, _: object, exposures: object) -> None:
    """Refuse an unknown choice of exposures."""
    if exposures not in ("none", "experiments", "all"):
        msg = f"`exposures` of {type(instance).__name__} must be 'none', 'experiments' or 'all'"
        raise ConfigurationError(msg)
