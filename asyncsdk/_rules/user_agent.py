"""Which system and browser a `User-Agent` header names, as Statsig's servers see it.

The tokenizer follows statsig-python-core 0.24.0 (its default parser), not ua-parser: they differ on many agents.
"""

import re
from collections.abc import Callable

import attrs

_SEPARATORS = re.compile("[ ;]")
_TRIMMED = '();,+_"'
_TAG_END = re.compile("[/;:]")
_NO_VERSION = "0.0.0"
_MOST_BYTES = 1000


@attrs.frozen
class UserAgent:
    """What a user agent names; an unknown system or browser is `Other`, a missing version `0.0.0`."""

    os_name: str = "Other"
    os_version: str = _NO_VERSION
    browser_name: str = "Other"
    browser_version: str = _NO_VERSION


_Token = tuple[str, str | None]


@attrs.define
class _Reading:
    """The state of reading one user agent, word by word."""

    words: list[str]
    at: int = 0
    tokens: list[_Token] = attrs.Factory(list)
    os: _Token | None = None
    browser: _Token | None = None
    bot: _Token | None = None
    hints: set[str] = attrs.Factory(set)

    def word(self, ahead: int) -> str:
        """Give a word after the current one; "" past the end."""
        place = self.at + ahead
        return self.words[place] if place < len(self.words) else ""

    def take(self, ahead: int) -> str | None:
        """Give the word `ahead` as a version and step over it, if it starts with a digit."""
        word = self.word(ahead)
        if word[:1].isdigit() and word[0].isascii():
            self.at += 1
            return word
        return None

    def add(self, name: str, version: str | None = None) -> None:
        """Note a token."""
        self.tokens.append((name, version))

    def add_os(self, name: str, version: str | None = None) -> None:
        """Note a system; the first one with a version wins."""
        self.tokens.append((name, version))
        if self.os is None or (self.os[1] is None and version is not None):
            self.os = (name, version)

    def add_browser(self, name: str, version: str | None) -> None:
        """Note a browser; the last one with a version wins."""
        self.tokens.append((name, version))
        if self.browser is None or version is not None:
            self.browser = (name, version)

    def add_bot(self, name: str, version: str | None = None) -> None:
        """Note a bot; the first one wins over any browser."""
        self.bot = self.bot or (name, version)


def parse(agent: str) -> UserAgent | None:
    """Read a user agent; None when it is too long to be read."""
    if len(agent) > _MOST_BYTES or len(agent.encode("utf-8", "replace")) > _MOST_BYTES:
        return None
    reading = _Reading([word.strip(_TRIMMED) for word in _SEPARATORS.split(agent)])
    while reading.at < len(reading.words):
        word = reading.word(0)
        if word and not _read_phrase(reading, word):
            _read_tag(reading, word)
        reading.at += 1
    os_name, os_version = _find_os(reading)
    name, version = _find_browser(reading)
    return UserAgent(os_name, _version(os_name, os_version), name, _version(name, version))


# Phrases: words that mean something by themselves, or with the words after them.


def _read_phrase(reading: _Reading, word: str) -> bool:
    for matches, read in _PHRASES:
        if matches(reading, word):
            read(reading)
            return True
    return False


def _says(*wanted: str) -> Callable[[_Reading, str], bool]:
    first, rest = wanted[0], wanted[1:]

    def matches(reading: _Reading, word: str) -> bool:
        return word == first and all(reading.word(place) == other for place, other in enumerate(rest, 1))

    return matches


def _starts(prefix: str) -> Callable[[_Reading, str], bool]:
    return lambda _, word: word.startswith(prefix)


def _system(name: str, ahead: int, *hints: str) -> Callable[[_Reading], None]:
    """Read a system whose version stands `ahead` words on."""

    def read(reading: _Reading) -> None:
        reading.hints.update(hints)
        reading.add_os(name, reading.take(ahead))
        reading.at += ahead - 1

    return read


def _token(name: str, steps: int = 0, *hints: str) -> Callable[[_Reading], None]:
    def read(reading: _Reading) -> None:
        reading.hints.update(hints)
        reading.add(name)
        reading.at += steps

    return read


def _bot(name: str, steps: int = 0) -> Callable[[_Reading], None]:
    def read(reading: _Reading) -> None:
        reading.add_bot(name)
        reading.at += steps

    return read


def _skip(steps: int) -> Callable[[_Reading], None]:
    def read(reading: _Reading) -> None:
        reading.at += steps

    return read


def _device(name: str) -> Callable[[_Reading], None]:
    def read(reading: _Reading) -> None:
        reading.hints.add("ios")
        parts = reading.word(0).split(name)
        reading.add(name, parts[1].strip(_TRIMMED + " ") or None if len(parts) > 1 else None)

    return read


def _ios(reading: _Reading) -> None:
    reading.hints.add("ios")
    reading.add_os("iOS", reading.take(1))


def _cpu_os(reading: _Reading) -> None:
    reading.add("CPU OS", reading.take(2))
    reading.at += 1


def _chrome_os(reading: _Reading) -> None:
    version = reading.take(1)
    if version is None:
        version = reading.take(2)
        reading.at += 1
    reading.add_os("Chrome OS", version)


def _windows(reading: _Reading) -> None:
    reading.hints.add("win")
    if reading.word(1) == "NT":
        version = reading.take(2)
        reading.at += version is not None
    elif reading.word(1).startswith("XP"):
        version = "XP"
        reading.at += 1
    else:
        version = reading.take(1)
    reading.add_os("Windows", version)


def _linux(reading: _Reading) -> None:
    reading.hints.add("linux")
    reading.add("Linux")


_PHRASES: tuple[tuple[Callable[[_Reading, str], bool], Callable[[_Reading], None]], ...] = (
    (_starts("AppleTV"), _token("ATV OS X", 1)),
    (_says("like", "Mac", "OS"), _skip(3)),
    (_says("Mac", "OS", "X"), _system("Mac OS X", 3, "mac")),
    (_says("Mac", "OS"), _system("Mac OS X", 2, "mac")),
    (_says("iOS"), _ios),
    (_says("iPhone", "OS"), _system("iOS", 2)),
    (_says("iPadOS"), _ios),
    (_starts("iPad"), _device("iPad")),
    (_starts("iPhone"), _device("iPhone")),
    (_starts("Apple-iPhone7C2"), _token("iPhone", 0, "ios")),
    (_says("CPU", "OS"), _cpu_os),
    (_says("CrOS"), _chrome_os),
    (_says("CrKey"), lambda reading: reading.add_os("Chromecast")),
    (_says("PlayStation"), _token("PlayStation", 0, "playstation")),
    (_says("Android"), _system("Android", 1)),
    (_says("Windows", "Phone"), _system("Windows Phone", 2)),
    (_starts("Windows"), _windows),
    (_says("MSIE"), lambda reading: reading.add_browser("IE", reading.take(1))),
    (_says("Yahoo!", "Slurp"), _token("Yahoo! Slurp", 1)),
    (_says("Red", "Hat"), _system("Red Hat", 1)),
    (_says("Ubuntu"), _system("Ubuntu", 1)),
    (_says("Mobile"), _token("Mobile", 0, "mobile")),
    (_says("Linux"), _linux),
    (_says("linux"), _linux),
    (_says("Nintendo", "3DS"), _token("NetFront NX", 1)),
    (_says("like"), _skip(0)),
    (lambda _, word: len(word.encode("utf-8", "replace")) <= 2, _skip(0)),
    (_says("Better", "Uptime", "Bot"), _bot("Better Uptime Bot")),
    (_says("Radius", "Compilance", "Bot"), _bot("Radius Compilance Bot")),
    (_says("AdsBot-Google-Mobile"), _bot("AdsBot-Google")),
    (_says("Uptime", "Monitoring", "Bot"), _bot("Uptime Monitoring Bot")),
)

# Tags: `Name/version`.


def _read_tag(reading: _Reading, word: str) -> None:
    parts = _TAG_END.split(word, maxsplit=1)
    tag = parts[0].strip(_TRIMMED) or word
    version = (parts[1].strip(_TRIMMED) or None) if len(parts) > 1 else None
    if tag in _BROWSERS:
        reading.add_browser(_BROWSERS[tag], version)
    elif tag in _TAGS:
        _TAGS[tag](reading, version)
    elif any(part in tag for part in ("Bot", "bot", "crawler", "Crawler")):
        reading.add_bot(tag, version)
    else:
        if version is not None and "crawler" in version:
            reading.hints.add("crawler")
        reading.add(tag, version)


def _kindle(reading: _Reading, version: str | None) -> None:
    reading.add_os("Kindle", version)
    reading.add_browser("Kindle", version)


def _ios_browser(name: str, *hints: str) -> Callable[[_Reading, str | None], None]:
    def read(reading: _Reading, version: str | None) -> None:
        reading.hints.update(hints)
        if reading.os is not None and reading.os[0] == "Mac OS X":
            reading.os = ("iOS", None)
        reading.add_browser(name, version)

    return read


def _named(name: str, *hints: str) -> Callable[[_Reading, str | None], None]:
    def read(reading: _Reading, version: str | None) -> None:
        reading.hints.update(hints)
        reading.add(name, version)

    return read


def _network(reading: _Reading, _: str | None) -> None:
    reading.hints |= {"cfnetwork", "ios"}


def _oculus(reading: _Reading, _: str | None) -> None:
    reading.os = ("Android", None)


_BROWSERS = {
    "FxiOS": "Firefox iOS",
    "GSA": "Google",
    "YisouSpider": "YisouSpider",
    "SamsungBrowser": "Samsung Internet",
    "ChatGPT-User": "ChatGPT-User",
    "OAI-SearchBot": "OAI-SearchBot",
    "NX": "NetFront NX",
    "Electron": "Electron",
    "IEMobile": "IE Mobile",
}
_TAGS: dict[str, Callable[[_Reading, str | None], None]] = {
    "Kindle": _kindle,
    "EdgiOS": _ios_browser("Edge Mobile"),
    "CriOS": _ios_browser("Chrome Mobile iOS", "ios"),
    "Edg": _named("Edge"),
    "Edge": _named("Edge"),
    "OPR": _named("Opera"),
    "HuaweiBrowser": _named("HuaweiBrowser", "huawei"),
    "Mobile": _named("Mobile", "mobile"),
    "Safari": _named("Safari", "safari"),
    "CFNetwork": _network,
    "OculusBrowser": _oculus,
}

# Answers.

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


def _find_os(reading: _Reading) -> _Token:
    if reading.os is not None:
        return reading.os
    for name, version in reading.tokens:
        if name in _OS_BY_TOKEN:
            os_name, versioned = _OS_BY_TOKEN[name]
            return os_name, version if versioned else None
        if (name == "CPU OS" and "ios" in reading.hints) or (name == "Version" and {"ios", "mac"} <= reading.hints):
            return "iOS", version
        if name.startswith("Android"):
            return "Android", None
    return next((os_name for hint, os_name in _OS_BY_HINT if hint in reading.hints), "Other"), None


_MOBILE_NAMES = {"Firefox": "Firefox Mobile", "Edge": "Edge Mobile", "Opera": "Opera Mobile"}
_SAME_NAMES = {"Yahoo! Slurp", "NetFront NX", "axios", "HeadlessChrome"}


def _find_browser(reading: _Reading) -> _Token:
    chosen = reading.bot or reading.browser
    if chosen is not None:
        return chosen
    seen: dict[str, _Token] = {}
    for token in reading.tokens:
        named = _browser_by_token(token, reading.hints)
        if named is not None:
            return named
        seen[token[0]] = token
    return _browser_by_seen(reading, seen)


def _browser_by_token(token: _Token, hints: set[str]) -> _Token | None:
    name, version = token
    if name in _MOBILE_NAMES:
        return _MOBILE_NAMES[name] if "mobile" in hints else name, version
    if name in _SAME_NAMES:
        return token
    if name == "Silk":
        return ("NetFront NX", None) if "playstation" in hints else ("Amazon Silk", version)
    return ("Yandex Browser", version) if name == "YaBrowser" else None


def _browser_by_seen(reading: _Reading, seen: dict[str, _Token]) -> _Token:
    hints, android = reading.hints, seen.get("Android")
    if "Chrome" in seen:
        return _chrome(seen["Chrome"][1], hints, android, webview="Version" in seen)
    if android is not None:
        return android
    if "cfnetwork" in hints and reading.tokens:
        name, version = reading.tokens[0]
        if name == "NetworkingExtension":
            return "CFNetwork", reading.tokens[1][1] if len(reading.tokens) > 1 else None
        return name, version
    if "safari" in hints:
        name = "Mobile Safari" if "mobile" in hints and "mac" not in hints else "Safari"
        return name, seen.get("Version", ("", None))[1]
    if "ios" in hints:
        return "Mobile Safari UI/WKWebView", None
    return "crawler" if "crawler" in hints else "Other", None


def _chrome(version: str | None, hints: set[str], android: _Token | None, *, webview: bool) -> _Token:
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
