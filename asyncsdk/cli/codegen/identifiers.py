"""Names of a project as Python: as identifiers, and as literals."""

import re
from collections.abc import Iterable
from keyword import iskeyword, issoftkeyword
from unicodedata import normalize

import attrs

_MAX_LENGTH = 40
"""Maximum length of an identifier that is made of a name, so that lines stay short."""


@attrs.define
class Identifiers:
    """The identifiers of a module, each used once.

    Attributes:
        taken: Those in use.
    """

    taken: set[str]

    def create(self, *parts: str) -> str:
        """Return a new identifier for a class, made of the words of `parts`; a number tells equal ones apart."""
        return self._unused("".join(map(class_name, parts)))

    def create_private(self, *parts: str) -> str:
        """Return a new identifier for an alias that only the module itself uses."""
        return self._unused("_" + "".join(map(class_name, parts)))

    def _unused(self, base: str) -> str:
        name, number = base, 2
        while name in self.taken:
            name, number = f"{base}{number}", number + 1
        self.taken.add(name)
        return name


def class_name(text: str) -> str:
    """Return any text as the name of a class: `order completed` is `OrderCompleted`."""
    # Python compares identifiers in this form.
    words = re.findall(r"\w+", normalize("NFKC", text).replace("_", " "))
    joined = "".join(word[0].upper() + word[1:] for word in words)
    name = "".join(letter for letter in joined if f"a{letter}".isidentifier())[:_MAX_LENGTH]
    return name if name.isidentifier() else f"Name{name}"


def is_plain(names: Iterable[str]) -> bool:
    """Return whether all names can be fields of a class body as they are."""
    return all(
        name.isidentifier()
        and not iskeyword(name)
        and not issoftkeyword(name)
        and not name.startswith("__")  # would be mangled
        and normalize("NFKC", name) == name
        for name in names
    )


def literal(value: str | int | None) -> str:
    """Return a value as Python, in one line of printable text, with the quotes that ruff would choose."""
    if not isinstance(value, str):
        return repr(value)
    quote = "'" if value.count('"') > value.count("'") else '"'
    return quote + "".join(_escape(letter, quote) for letter in value) + quote


def _escape(letter: str, quote: str) -> str:
    if letter in ("\\", quote):
        return f"\\{letter}"
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
