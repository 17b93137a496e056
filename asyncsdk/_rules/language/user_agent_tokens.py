"""Split a user agent into tokens, and collect what they reveal about operating system and browser.

Follows the tokenizer of statsig-python-core 0.24.0. Words are separated by spaces and semicolons. At each word it
tries, in this order:

1. **phrases** (`_PHRASES`): one word or several in a row with a meaning of their own, such as `Mac OS X 10_15_7`; the
   first phrase that matches consumes its words;
2. **tags**: `Name/version`, such as `Chrome/137.0`; known names are in `_BROWSERS` and `_TAGS`.
"""

import re
from collections.abc import Callable

from asyncsdk._rules.language.token_reading import TokenReading

_SEPARATORS = re.compile("[ ;]")
_TRIMMED = '();,+_"'
_TAG_END = re.compile("[/;:]")


def tokenize(agent: str) -> TokenReading:
    """Tokenize a user agent."""
    reading = TokenReading([word.strip(_TRIMMED) for word in _SEPARATORS.split(agent)])
    while reading.position < len(reading.words):
        word = reading.word(0)
        if word and not _read_phrase(reading, word):
            _read_tag(reading, word)
        reading.position += 1
    return reading


# Phrases


def _read_phrase(reading: TokenReading, word: str) -> bool:
    """Read the first phrase that matches, and return whether there is one."""
    for matches, read in _PHRASES:
        if matches(reading, word):
            read(reading)
            return True
    return False


def _words(*wanted: str) -> Callable[[TokenReading, str], bool]:
    """Return the test whether the current word and those after it are the ones wanted."""
    first, rest = wanted[0], wanted[1:]

    def matches(reading: TokenReading, word: str) -> bool:
        return word == first and all(reading.word(index) == other for index, other in enumerate(rest, 1))

    return matches


def _starts(prefix: str) -> Callable[[TokenReading, str], bool]:
    return lambda _, word: word.startswith(prefix)


def _os(name: str, ahead: int, skipped: int, *hints: str) -> Callable[[TokenReading], None]:
    """Return the reader of an operating system.

    Args:
        name: Its name.
        ahead: The version, if there is one, is that many words after the current one.
        skipped: The number of words to consume besides the version.
        hints: Hints to add.
    """

    def read(reading: TokenReading) -> None:
        reading.hints.update(hints)
        reading.add_os(name, reading.take_version(ahead))
        reading.position += skipped

    return read


def _token(name: str, skipped: int = 0, *hints: str) -> Callable[[TokenReading], None]:
    def read(reading: TokenReading) -> None:
        reading.hints.update(hints)
        reading.add(name)
        reading.position += skipped

    return read


def _bot(name: str, skipped: int = 0) -> Callable[[TokenReading], None]:
    def read(reading: TokenReading) -> None:
        reading.add_bot(name)
        reading.position += skipped

    return read


def _skip(skipped: int) -> Callable[[TokenReading], None]:
    def read(reading: TokenReading) -> None:
        reading.position += skipped

    return read


def _device(name: str) -> Callable[[TokenReading], None]:
    def read(reading: TokenReading) -> None:
        reading.hints.add("ios")
        parts = reading.word(0).split(name)
        reading.add(name, parts[1].strip(_TRIMMED + " ") or None if len(parts) > 1 else None)

    return read


def _cpu_os(reading: TokenReading) -> None:
    reading.add("CPU OS", reading.take_version(2))
    reading.position += 1


def _chrome_os(reading: TokenReading) -> None:
    version = reading.take_version(1)
    if version is None:
        version = reading.take_version(2)
        reading.position += 1
    reading.add_os("Chrome OS", version)


def _windows(reading: TokenReading) -> None:
    reading.hints.add("win")
    if reading.word(1) == "NT":
        version = reading.take_version(2)
        reading.position += version is not None
    elif reading.word(1).startswith("XP"):
        version = "XP"
        reading.position += 1
    else:
        version = reading.take_version(1)
    reading.add_os("Windows", version)


def _linux(reading: TokenReading) -> None:
    reading.hints.add("linux")
    reading.add("Linux")


_PHRASES: tuple[tuple[Callable[[TokenReading, str], bool], Callable[[TokenReading], None]], ...] = (
    (_starts("AppleTV"), _token("ATV OS X", 1)),
    (_words("like", "Mac", "OS"), _skip(3)),
    (_words("Mac", "OS", "X"), _os("Mac OS X", 3, 2, "mac")),
    (_words("Mac", "OS"), _os("Mac OS X", 2, 2, "mac")),
    (_words("iOS"), _os("iOS", 1, 1, "ios")),
    (_words("iPhone", "OS"), _os("iOS", 2, 1)),
    (_words("iPadOS"), _os("iOS", 1, 1, "ios")),
    (_starts("iPad"), _device("iPad")),
    (_starts("iPhone"), _device("iPhone")),
    (_starts("Apple-iPhone7C2"), _token("iPhone", 0, "ios")),
    (_words("CPU", "OS"), _cpu_os),
    (_words("CrOS"), _chrome_os),
    (_words("CrKey"), lambda reading: reading.add_os("Chromecast")),
    (_words("PlayStation"), _token("PlayStation", 0, "playstation")),
    (_words("Android"), _os("Android", 1, 0)),
    (_words("Windows", "Phone"), _os("Windows Phone", 2, 1)),
    (_starts("Windows"), _windows),
    (_words("MSIE"), lambda reading: reading.add_browser("IE", reading.take_version(1))),
    (_words("Yahoo!", "Slurp"), _token("Yahoo! Slurp", 1)),
    (_words("Red", "Hat"), _os("Red Hat", 1, 1)),
    (_words("Ubuntu"), _os("Ubuntu", 1, 0)),
    (_words("Mobile"), _token("Mobile", 0, "mobile")),
    (_words("Linux"), _linux),
    (_words("linux"), _linux),
    (_words("Nintendo", "3DS"), _token("NetFront NX", 1)),
    (_words("like"), _skip(0)),
    # Words of up to two bytes mean nothing.
    (lambda _, word: len(word.encode("utf-8", "replace")) <= 2, _skip(0)),
    (_words("Better", "Uptime", "Bot"), _bot("Better Uptime Bot")),
    (_words("Radius", "Compilance", "Bot"), _bot("Radius Compilance Bot")),
    (_words("AdsBot-Google-Mobile"), _bot("AdsBot-Google")),
    (_words("Uptime", "Monitoring", "Bot"), _bot("Uptime Monitoring Bot")),
)

# Tags


def _read_tag(reading: TokenReading, word: str) -> None:
    parts = _TAG_END.split(word, maxsplit=1)
    tag = parts[0].strip(_TRIMMED) or word
    version = (parts[1].strip(_TRIMMED) or None) if len(parts) > 1 else None
    # 1. Browsers.
    if tag in _BROWSERS:
        reading.add_browser(_BROWSERS[tag], version)
    # 2. Names with a meaning of their own.
    elif tag in _TAGS:
        _TAGS[tag](reading, version)
    # 3. Bots, by their name.
    elif any(part in tag for part in ("Bot", "bot", "crawler", "Crawler")):
        reading.add_bot(tag, version)
    # 4. Anything else.
    elif version is not None and "crawler" in version:
        reading.hints.add("crawler")
    else:
        reading.add(tag, version)


def _kindle(reading: TokenReading, version: str | None) -> None:
    reading.add_os("Kindle", version)
    reading.add_browser("Kindle", version)


def _ios_browser(name: str, *hints: str) -> Callable[[TokenReading, str | None], None]:
    def read(reading: TokenReading, version: str | None) -> None:
        reading.hints.update(hints)
        # Browsers for iOS that ask for desktop pages name a Mac.
        if reading.os is not None and reading.os[0] == "Mac OS X":
            reading.os = ("iOS", None)
        reading.add_browser(name, version)

    return read


def _renamed(name: str, *hints: str) -> Callable[[TokenReading, str | None], None]:
    def read(reading: TokenReading, version: str | None) -> None:
        reading.hints.update(hints)
        reading.add(name, version)

    return read


def _cfnetwork(reading: TokenReading, _: str | None) -> None:
    reading.hints |= {"cfnetwork", "ios"}


def _oculus(reading: TokenReading, _: str | None) -> None:
    # The headsets run Android, but name Linux.
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
_TAGS: dict[str, Callable[[TokenReading, str | None], None]] = {
    "Kindle": _kindle,
    "EdgiOS": _ios_browser("Edge Mobile"),
    "CriOS": _ios_browser("Chrome Mobile iOS", "ios"),
    "Edg": _renamed("Edge"),
    "Edge": _renamed("Edge"),
    "OPR": _renamed("Opera"),
    "HuaweiBrowser": _renamed("HuaweiBrowser", "huawei"),
    "Mobile": _renamed("Mobile", "mobile"),
    "Safari": _renamed("Safari", "safari"),
    "CFNetwork": _cfnetwork,
    "OculusBrowser": _oculus,
}
