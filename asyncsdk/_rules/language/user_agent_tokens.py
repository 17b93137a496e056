"""A user agent's words to tokens: what each word, or a few in a row, says about system and browser.

Follows the tokenizer of statsig-python-core 0.24.0.
"""

import re
from collections.abc import Callable

import attrs

SEPARATORS = re.compile("[ ;]")
TRIMMED = '();,+_"'
_TAG_END = re.compile("[/;:]")

Token = tuple[str, str | None]


@attrs.define(eq=False, repr=False)
class TokenReading:
    """The state of reading one user agent, word by word."""

    words: list[str]
    at: int = 0
    tokens: list[Token] = attrs.Factory(list)
    os: Token | None = None
    browser: Token | None = None
    has_bot: bool = False
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
        if self.os is None and version is not None:
            self.os = (name, version)

    def add_browser(self, name: str, version: str | None) -> None:
        """Note a browser; the last one with a version wins."""
        self.tokens.append((name, version))
        if version is not None:
            self.browser = (name, version)

    def add_bot(self, name: str, version: str | None = None) -> None:
        """Note a bot; the first one wins over the browsers before it, and only over those."""
        if not self.has_bot:
            self.has_bot, self.browser = True, (name, version)


def tokenize(agent: str) -> TokenReading:
    """Read all words of a user agent."""
    reading = TokenReading([word.strip(TRIMMED) for word in SEPARATORS.split(agent)])
    while reading.at < len(reading.words):
        word = reading.word(0)
        if word and not _read_phrase(reading, word):
            _read_tag(reading, word)
        reading.at += 1
    return reading


# Phrases: words that mean something by themselves, or with the words after them.


def _read_phrase(reading: TokenReading, word: str) -> bool:
    for matches, read in _PHRASES:
        if matches(reading, word):
            read(reading)
            return True
    return False


def _says(*wanted: str) -> Callable[[TokenReading, str], bool]:
    first, rest = wanted[0], wanted[1:]

    def matches(reading: TokenReading, word: str) -> bool:
        return word == first and all(reading.word(place) == other for place, other in enumerate(rest, 1))

    return matches


def _starts(prefix: str) -> Callable[[TokenReading, str], bool]:
    return lambda _, word: word.startswith(prefix)


def _system(name: str, ahead: int, steps: int, *hints: str) -> Callable[[TokenReading], None]:
    """Read a system whose version, if it has one, stands `ahead` words on, and step over `steps` words more."""

    def read(reading: TokenReading) -> None:
        reading.hints.update(hints)
        reading.add_os(name, reading.take(ahead))
        reading.at += steps

    return read


def _token(name: str, steps: int = 0, *hints: str) -> Callable[[TokenReading], None]:
    def read(reading: TokenReading) -> None:
        reading.hints.update(hints)
        reading.add(name)
        reading.at += steps

    return read


def _bot(name: str, steps: int = 0) -> Callable[[TokenReading], None]:
    def read(reading: TokenReading) -> None:
        reading.add_bot(name)
        reading.at += steps

    return read


def _skip(steps: int) -> Callable[[TokenReading], None]:
    def read(reading: TokenReading) -> None:
        reading.at += steps

    return read


def _device(name: str) -> Callable[[TokenReading], None]:
    def read(reading: TokenReading) -> None:
        reading.hints.add("ios")
        parts = reading.word(0).split(name)
        reading.add(name, parts[1].strip(TRIMMED + " ") or None if len(parts) > 1 else None)

    return read


def _cpu_os(reading: TokenReading) -> None:
    reading.add("CPU OS", reading.take(2))
    reading.at += 1


def _chrome_os(reading: TokenReading) -> None:
    version = reading.take(1)
    if version is None:
        version = reading.take(2)
        reading.at += 1
    reading.add_os("Chrome OS", version)


def _windows(reading: TokenReading) -> None:
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


def _linux(reading: TokenReading) -> None:
    reading.hints.add("linux")
    reading.add("Linux")


_PHRASES: tuple[tuple[Callable[[TokenReading, str], bool], Callable[[TokenReading], None]], ...] = (
    (_starts("AppleTV"), _token("ATV OS X", 1)),
    (_says("like", "Mac", "OS"), _skip(3)),
    (_says("Mac", "OS", "X"), _system("Mac OS X", 3, 2, "mac")),
    (_says("Mac", "OS"), _system("Mac OS X", 2, 2, "mac")),
    (_says("iOS"), _system("iOS", 1, 1, "ios")),
    (_says("iPhone", "OS"), _system("iOS", 2, 1)),
    (_says("iPadOS"), _system("iOS", 1, 1, "ios")),
    (_starts("iPad"), _device("iPad")),
    (_starts("iPhone"), _device("iPhone")),
    (_starts("Apple-iPhone7C2"), _token("iPhone", 0, "ios")),
    (_says("CPU", "OS"), _cpu_os),
    (_says("CrOS"), _chrome_os),
    (_says("CrKey"), lambda reading: reading.add_os("Chromecast")),
    (_says("PlayStation"), _token("PlayStation", 0, "playstation")),
    (_says("Android"), _system("Android", 1, 0)),
    (_says("Windows", "Phone"), _system("Windows Phone", 2, 1)),
    (_starts("Windows"), _windows),
    (_says("MSIE"), lambda reading: reading.add_browser("IE", reading.take(1))),
    (_says("Yahoo!", "Slurp"), _token("Yahoo! Slurp", 1)),
    (_says("Red", "Hat"), _system("Red Hat", 1, 1)),
    (_says("Ubuntu"), _system("Ubuntu", 1, 0)),
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


def _read_tag(reading: TokenReading, word: str) -> None:
    parts = _TAG_END.split(word, maxsplit=1)
    tag = parts[0].strip(TRIMMED) or word
    version = (parts[1].strip(TRIMMED) or None) if len(parts) > 1 else None
    if tag in _BROWSERS:
        reading.add_browser(_BROWSERS[tag], version)
    elif tag in _TAGS:
        _TAGS[tag](reading, version)
    elif any(part in tag for part in ("Bot", "bot", "crawler", "Crawler")):
        reading.add_bot(tag, version)
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
        if reading.os is not None and reading.os[0] == "Mac OS X":
            reading.os = ("iOS", None)
        reading.add_browser(name, version)

    return read


def _named(name: str, *hints: str) -> Callable[[TokenReading, str | None], None]:
    def read(reading: TokenReading, version: str | None) -> None:
        reading.hints.update(hints)
        reading.add(name, version)

    return read


def _network(reading: TokenReading, _: str | None) -> None:
    reading.hints |= {"cfnetwork", "ios"}


def _oculus(reading: TokenReading, _: str | None) -> None:
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
    "Edg": _named("Edge"),
    "Edge": _named("Edge"),
    "OPR": _named("Opera"),
    "HuaweiBrowser": _named("HuaweiBrowser", "huawei"),
    "Mobile": _named("Mobile", "mobile"),
    "Safari": _named("Safari", "safari"),
    "CFNetwork": _network,
    "OculusBrowser": _oculus,
}
