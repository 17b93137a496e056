"""Whether a key looks like one of its vendor. No text contains the key. Pure."""

import re

from asyncsdk.cli.doctor.findings import Finding
from asyncsdk.vendors._base import Destination
from asyncsdk.vendors.amplitude import Amplitude
from asyncsdk.vendors.rudderstack import RudderStack
from asyncsdk.vendors.statsig import Statsig

# The form of keys as the vendors' consoles issue them (seen in 2026); none of the vendors promises it.
_FORMS = {
    "secret-": (re.compile(r"secret-[A-Za-z0-9]{20,}"), "`secret-` and at least 20 letters and digits"),
    "write": (re.compile(r"[A-Za-z0-9]{27}"), "27 letters and digits"),
    "api": (re.compile(r"[0-9a-f]{32}"), "32 hexadecimal digits"),
}
_QUOTES = "'\"`"


def key_of(destination: Destination) -> tuple[str, str] | None:
    """Return the kind of a destination's key, and the key; None for a destination of your own."""
    match destination:
        case Statsig():
            return "secret-", destination.secret_key
        case RudderStack():
            return "write", destination.write_key
        case Amplitude():
            return "api", destination.api_key
    return None


def check_key(destination: Destination) -> Finding:
    """Return whether a destination's key has the usual form."""
    check, found = f"{destination.name} key", key_of(destination)
    if found is None:
        return Finding("skipped", check, "a destination of your own")
    kind, key = found
    pattern, form = _FORMS[kind]
    if pattern.fullmatch(key):
        return Finding("ok", check, f"has the usual form, {form}")
    if key[0] in _QUOTES or key[-1] in _QUOTES:
        advice = "Remove the quotes: Docker's --env-file and systemd keep them as a part of the value."
        return Finding("failure", check, "it has quotes around it", advice)
    advice = f"Keys of {type(destination).__name__} usually have {form}: compare it with the vendor's console."
    return Finding("warning", check, f"has an unusual form, with a length of {len(key)}", advice)
