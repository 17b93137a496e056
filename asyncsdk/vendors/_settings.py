"""Converters and validators of the settings that vendors share."""

from typing import Any
from urllib.parse import SplitResult, urlsplit

import attrs

from asyncsdk._model.validation import describe_type
from asyncsdk.errors import ConfigurationError
from asyncsdk.vendors._base import Limits

_URL_FORM = "http(s)://host[:port][/path], with a port of 1 to 65535, without user, password, fragment or white space"


def strip_ends(text: str) -> str:
    """Return a key or address without white space at either end: a secret mounted as a file ends with a newline."""
    # attrs runs converters before validators: other types pass, and the validator rejects them.
    return text.strip() if isinstance(text, str) else text


def check_key(instance: object, attribute: "attrs.Attribute[Any]", key: object) -> None:
    """Reject a key that is not text, is blank, or contains invisible characters; the error never contains the key."""
    owner = type(instance).__name__
    if not (isinstance(key, str) and key.strip()):
        msg = f"{owner} needs a `{attribute.name}` that is text and not blank"
        raise ConfigurationError(msg)
    # Such a key would fail in an HTTP header, or be refused by the vendor, without a hint at the cause.
    if not key.isprintable():
        msg = (
            f"`{attribute.name}` of {owner} has a line break or invisible character inside: copy it again, as one line"
        )
        raise ConfigurationError(msg)


def check_name(instance: object, attribute: "attrs.Attribute[Any]", name: object) -> None:
    """Reject a name that is not a valid key, and `All`, which `integrations` reserves for all destinations."""
    check_key(instance, attribute, name)
    if str(name).strip().lower() == "all":
        msg = f"`name` of {type(instance).__name__} cannot be 'All', which in `integrations` means every destination"
        raise ConfigurationError(msg)


def check_url(instance: object, attribute: "attrs.Attribute[Any]", url: object) -> None:
    """Reject anything but an http(s) URL, and URLs with credentials, which would appear in logs."""
    try:
        is_valid = isinstance(url, str) and url.isprintable() and " " not in url and _is_valid_address(urlsplit(url))
    except ValueError:
        is_valid = False
    if not is_valid:
        msg = f"`{attribute.name}` of {type(instance).__name__} must be {_URL_FORM}"
        raise ConfigurationError(msg)


def _is_valid_address(parts: SplitResult) -> bool:
    """Return whether a request can be sent to an address.

    Raises:
        ValueError: The port or host is malformed.
    """
    host, port = parts.hostname, parts.port
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc or parts.fragment:
        return False
    return bool(host.encode("idna")) and port != 0


def with_path(url: str, path: str) -> str:
    """Return a URL with `path` appended if it has none; another path is kept, since a proxy may have its own."""
    if not isinstance(url, str):
        return url
    address, mark, query = strip_ends(url).partition("?")
    # Any slash after the host starts a path.
    bare = address.rstrip("/")
    return (address if "/" in bare.partition("://")[2] else bare + path) + mark + query


def check_limits(instance: object, _: object, limits: object) -> None:
    """Reject anything but `Limits`."""
    if not isinstance(limits, Limits):
        msg = f"`limits` of {type(instance).__name__} must be Limits(...), such as Limits(linger=0.2)"
        raise ConfigurationError(msg)


def check_overflow(instance: object, _: object, overflow: object) -> None:
    """Reject an unknown value of `overflow`."""
    if overflow not in ("drop", "wait", "raise"):
        msg = f"`overflow` of {type(instance).__name__} must be 'drop', 'wait' or 'raise'"
        raise ConfigurationError(msg)


def check_bool(instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    """Reject anything but True and False: the text "false", of an environment variable, would count as True."""
    if not isinstance(value, bool):
        msg = f"`{attribute.name}` of {type(instance).__name__} must be True or False, not {describe_type(value)}"
        raise ConfigurationError(msg)


def check_exposures(instance: object, _: object, exposures: object) -> None:
    """Reject an unknown value of `exposures`."""
    if exposures not in ("none", "experiments", "all"):
        msg = f"`exposures` of {type(instance).__name__} must be 'none', 'experiments' or 'all'"
        raise ConfigurationError(msg)
