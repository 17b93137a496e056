"""Parse a `User-Agent` header into operating system and browser, as Statsig's servers do.

`user_agent_tokens` splits the header into tokens (names with or without a version) and hints. This module decides by
them: the system and browser that the tokenizer has found, else the first token with a meaning, else the hints.

Both follow statsig-python-core 0.24.0 (its default parser), not ua-parser: the two differ on many user agents.
"""

import re

import attrs

from asyncsdk._model.values import Value
from asyncsdk._rules.language.token_reading import Token, TokenReading
from asyncsdk._rules.language.user_agent_tokens import tokenize

_NO_VERSION = "0.0.0"
_MAX_BYTES = 1000


@attrs.frozen(eq=False, repr=False)
class UserAgent(Value):
    """A parsed user agent.

    Attributes:
        os_name: Operating system; `Other` if unknown.
        os_version: Its version; `0.0.0` if absent.
        browser_name: Browser; `Other` if unknown.
        browser_version: Its version; `0.0.0` if absent.
    """

    os_name: str = "Other"
    os_version: str = _NO_VERSION
    browser_name: str = "Other"
    browser_version: str = _NO_VERSION


def parse(agent: str) -> UserAgent | None:
    """Parse a user agent; returns None for one of more than 1,000 bytes."""
    if len(agent) > _MAX_BYTES or len(agent.encode("utf-8", "replace")) > _MAX_BYTES:
        return None
    reading = tokenize(agent)
    os_name, os_version = _find_os(reading)
    name, version = _find_browser(reading)
    return UserAgent(os_name, _version(os_name, os_version), name, _version(name, version))


# Token to system, and whether the token's version is the system's.
_OS_BY_TOKEN = {
    "ATV OS X": ("ATV OS X", False),
    "iPhone OS": ("iOS", True),
    "iOS": ("iOS", True),
    "CFNetwork": ("iOS", True),
    "Android": ("Android", True),
    "Chromecast": ("Chromecast", False),
    "Red Hat": ("Red Hat", False),
    "Kindle": ("Kindle", True),
    "Ubuntu": ("Ubuntu", True),
}
_OS_BY_HINT = (("ios", "iOS"), ("mac", "Mac OS X"), ("win", "Windows"), ("linux", "Linux"))


def _find_os(reading: TokenReading) -> Token:
    # 1. A system with a version.
    if reading.os is not None:
        return reading.os
    # 2. The first token that means a system.
    for name, version in reading.tokens:
        if name in _OS_BY_TOKEN:
            os_name, has_version = _OS_BY_TOKEN[name]
            return os_name, version if has_version else None
        if (name == "CPU OS" and "ios" in reading.hints) or (name == "Version" and {"ios", "mac"} <= reading.hints):
            return "iOS", version
        if name.startswith("Android"):
            return "Android", None
    # 3. A hint.
    return next((os_name for hint, os_name in _OS_BY_HINT if hint in reading.hints), "Other"), None


_MOBILE_NAMES = {"Firefox": "Firefox Mobile", "Edge": "Edge Mobile", "Opera": "Opera Mobile"}
_BROWSER_TOKENS = {"Yahoo! Slurp", "NetFront NX", "axios", "HeadlessChrome"}


def _find_browser(reading: TokenReading) -> Token:
    # 1. A browser with a version, or a bot.
    if reading.browser is not None:
        return reading.browser
    # 2. The first token that means a browser.
    seen: dict[str, Token] = {}
    for token in reading.tokens:
        browser = _browser_by_token(token, reading.hints)
        if browser is not None:
            return browser
        seen[token[0]] = token
    # 3. All tokens and hints together.
    return _browser_by_all_tokens(reading, seen)


def _browser_by_token(token: Token, hints: set[str]) -> Token | None:
    name, version = token
    if name in _MOBILE_NAMES:
        return _MOBILE_NAMES[name] if "mobile" in hints else name, version
    if name in _BROWSER_TOKENS:
        return token
    if name == "Silk":
        return ("NetFront NX", None) if "playstation" in hints else ("Amazon Silk", version)
    return ("Yandex Browser", version) if name == "YaBrowser" else None


def _browser_by_all_tokens(reading: TokenReading, seen: dict[str, Token]) -> Token:
    """Return the browser where no single token names it; `seen` has the tokens by name."""
    hints, android = reading.hints, seen.get("Android")
    if "Chrome" in seen:
        return _chrome(seen["Chrome"][1], hints, android, webview="Version" in seen)
    if android is not None:
        return android
    if "cfnetwork" in hints and reading.tokens:
        return _network_library(reading.tokens)
    if "safari" in hints:
        name = "Mobile Safari" if "mobile" in hints and "mac" not in hints else "Safari"
        return name, seen.get("Version", ("", None))[1]
    name = "crawler" if "crawler" in hints else "Other"
    return "Mobile Safari UI/WKWebView" if "ios" in hints else name, None


def _network_library(tokens: list[Token]) -> Token:
    """Return the app that uses Apple's CFNetwork: it comes first, unless that is a network extension."""
    if tokens[0][0] == "NetworkingExtension":
        return "CFNetwork", tokens[1][1] if len(tokens) > 1 else None
    return tokens[0]


def _chrome(version: str | None, hints: set[str], android: Token | None, *, webview: bool) -> Token:
    if webview:
        return "Chrome Mobile WebView", version
    if "mobile" in hints and version is not None and "huawei" not in hints:
        return "Chrome Mobile", version
    if version is None and android is not None:
        return android
    return "Chrome", version


_WINDOWS_VERSIONS = {"5.1": "XP", "5.2": "XP", "6.0": "Vista", "6.1": "7", "6.3": "8.1", "10.0": "10"}
_THREE_PARTS = {"YaBrowser", "Yandex Browser", "Opera", "Opera Mobile", "NetFront NX"}
_VERSION_PARTS = re.compile("[_,.]")
_LEADING_DIGITS = re.compile("[0-9]*")


def _version(name: str, version: str | None) -> str:
    if version is None:
        return _NO_VERSION
    if name == "Windows":
        return _WINDOWS_VERSIONS.get(version, _NO_VERSION)
    parts = _VERSION_PARTS.split(version)
    if not parts[-1]:
        parts.pop()
    parts = parts[: 3 if name in _THREE_PARTS else 4]
    if len(parts) > 1:
        parts[1] = _LEADING_DIGITS.match(parts[1])[0]  # type: ignore[index]
    return ".".join(parts) or _NO_VERSION
