"""Checks of the settings that destinations have in common."""

from typing import Any
from urllib.parse import urlsplit

import attrs

from asyncsdk.errors import ConfigurationError


def check_key(instance: object, attribute: "attrs.Attribute[Any]", key: object) -> None:
    """Refuse a key that is blank or no text; the text never has the key in it."""
    if not (isinstance(key, str) and key.strip()):
        msg = f"{type(instance).__name__} needs a `{attribute.name}` that is text and not blank"
        raise ConfigurationError(msg)


def check_url(instance: object, attribute: "attrs.Attribute[Any]", url: object) -> None:
    """Refuse what is no http(s) URL, and one with credentials in it, which would end in logs."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
        good = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    except ValueError:
        good = False
    if not good:
        form = "http(s)://host[:port][/path], without user or password"
        msg = f"`{attribute.name}` of {type(instance).__name__} must be {form}"
        raise ConfigurationError(msg)


def check_overflow(instance: object, _: object, overflow: object) -> None:
    """Refuse an unknown rule for a full queue."""
    if overflow not in ("drop", "wait", "raise"):
        msg = f"`overflow` of {type(instance).__name__} must be 'drop', 'wait' or 'raise'"
        raise ConfigurationError(msg)
