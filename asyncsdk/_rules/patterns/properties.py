"""Properties of characters: what a name in a pattern means, and which characters have it."""

import re
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from typing import Any

import attrs

from asyncsdk._rules.patterns.categories import CATEGORIES, Range, category_ranges
from asyncsdk._rules.patterns.errors import UnsupportedPatternError

LAST = 0x10FFFF
_SPACES = "\t-\r - \x85-\x85\xa0-\xa0\u1680-\u1680\u2000-\u200a\u2028-\u2029\u202f-\u202f\u205f-\u205f\u3000-\u3000"
# Letters outside the letter categories, and the two joiners that count as parts of words.
_MORE_WORD = "\u24b6-\u24e9\u200c-\u200d\U0001f130-\U0001f149\U0001f150-\U0001f169\U0001f170-\U0001f189"
_CATEGORY_NAMES = {
    "other": "C", "letter": "L", "mark": "M", "combiningmark": "M", "number": "N", "punctuation": "P", "punct": "P",
    "symbol": "S", "separator": "Z", "control": "Cc", "cntrl": "Cc", "format": "Cf", "privateuse": "Co",
    "lowercaseletter": "Ll", "uppercaseletter": "Lu", "titlecaseletter": "Lt", "modifierletter": "Lm",
    "otherletter": "Lo", "decimalnumber": "Nd", "digit": "Nd", "letternumber": "Nl", "othernumber": "No",
    "spacingmark": "Mc", "enclosingmark": "Me", "nonspacingmark": "Mn", "connectorpunctuation": "Pc",
    "dashpunctuation": "Pd", "closepunctuation": "Pe", "finalpunctuation": "Pf", "initialpunctuation": "Pi",
    "otherpunctuation": "Po", "openpunctuation": "Ps", "currencysymbol": "Sc", "modifiersymbol": "Sk",
    "mathsymbol": "Sm", "othersymbol": "So", "lineseparator": "Zl", "paragraphseparator": "Zp", "spaceseparator": "Zs",
}  # fmt: skip
_RANGE_PROPERTIES = {
    "perls": _SPACES, "whitespace": _SPACES, "wspace": _SPACES, "space": _SPACES, "ascii": "\0-\x7f",
    "any": f"\0-{chr(LAST)}", "asciihexdigit": "0-9A-Fa-f", "ahex": "0-9A-Fa-f",
    "hexdigit": "0-9A-Fa-f\uff10-\uff19\uff21-\uff26\uff41-\uff46",
}  # fmt: skip
_PREDICATES = {"lowercase": str.islower, "lower": str.islower, "uppercase": str.isupper, "upper": str.isupper}
_SCRIPT = re.compile(r"(sc|script)[=:]", re.IGNORECASE)
# Characters that have a case, outside the categories of letters that have one.
_MORE_CASED = "\xaa-\xaa\xba-\xba\u0345-\u0345\u2160-\u217f\u24b6-\u24e9\U0001f130-\U0001f189"
# Pairs that are equal if case is ignored, although Python's `casefold` makes several characters of them.
_SAME = {"\u1fd3": "\u0390", "\u1fe3": "\u03b0", "\ufb05": "\ufb06"}


def fold(char: str) -> str:
    """Return the character that stands for all that are equal to this one if case is ignored."""
    folded = char.casefold()
    if len(folded) != 1:
        folded = char.lower()
    return _SAME.get(char, folded if len(folded) == 1 else char)


@attrs.frozen
class Named:
    """What a property's name means: `text` of ranges, `categories`, a `predicate`, or none of these, a script.

    Attributes:
        text: Ranges, written one after the other, such as `a-z0-9`.
        categories: General categories.
        predicate: Tells whether a character has the property.
    """

    text: str = ""
    categories: frozenset[str] = frozenset()
    predicate: Callable[[str], bool] | None = None


def plain_name(name: str) -> str:
    """Return the name of a property as it is looked up."""
    plain = re.sub(r"[ _-]", "", name.lower())
    return re.sub(r"^(gc|generalcategory|category)[=:]", "", plain)


def look_up(name: str) -> Named:
    """Return what a property's name means."""
    plain = plain_name(name)
    if plain == "perlw":
        return Named(
            _MORE_WORD, frozenset(kind for kind in CATEGORIES if kind[0] in "LM" or kind in ("Nd", "Nl", "Pc"))
        )
    if plain == "perld":
        return Named(categories=frozenset({"Nd"}))
    if plain in _RANGE_PROPERTIES:
        return Named(_RANGE_PROPERTIES[plain])
    if plain in _PREDICATES:
        return Named(predicate=_PREDICATES[plain])
    if plain in ("casedletter", "lc"):
        return Named(categories=frozenset({"Ll", "Lt", "Lu"}))
    short = "" if _SCRIPT.match(name) else _CATEGORY_NAMES.get(plain, plain.title())
    return Named(categories=frozenset(kind for kind in CATEGORIES if short and kind.startswith(short)))


def written_ranges(text: str) -> list[Range]:
    """Return ranges that are written one after the other, such as `a-z0-9`."""
    return [(ord(text[at]), ord(text[at + 2])) for at in range(0, len(text), 3)]


@lru_cache(64)
def property_ranges(name: str, re2: Any) -> list[Range]:
    """Return the ranges of the characters that have a property.

    Raises:
        UnsupportedPatternError: The property is unknown here.
    """
    named = look_up(name)
    if named.predicate is not None:
        return [(number, number) for number in _cased() if named.predicate(chr(number))]
    if named.text or named.categories:
        ranges = [one for category in named.categories for one in category_ranges()[category]]
        return _joined(ranges + written_ranges(named.text))
    find = find_script(name, re2)
    # Without surrogates, which have no UTF-8; they would be 2,048 places.
    text = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x32400))))
    spans = ([place if place < 0xD800 else place + 0x800 for place in match.span()] for match in find(text))
    return [(start, end - 1) for start, end in spans]


def _joined(ranges: list[Range]) -> list[Range]:
    """Return ranges in order, joined where they touch."""
    found: list[Range] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(high, found[-1][1])
        else:
            found.append((low, high))
    return found


def find_script(name: str, re2: Any) -> Callable[[str], Iterator[Any]]:
    """Return the function that finds the characters of a script in a text.

    Raises:
        UnsupportedPatternError: It is not known.
    """
    # `scx` has more characters than `sc`, the scripts that RE2 knows.
    script = "_".join(word.title() for word in re.split(r"[ _-]", _SCRIPT.sub("", name)))
    is_other = script == "Any" or any(kind.startswith(script) for kind in CATEGORIES)
    if re2 is None or is_other or not re.fullmatch(r"\w+", script, re.ASCII):
        raise UnsupportedPatternError(f"it names a property of characters, {name}")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(f"\\p{{{script}}}+", options).finditer  # type: ignore[no-any-return]
    except re2.error:
        raise UnsupportedPatternError(f"it names a property of characters, {name}") from None


@cache
def _cased() -> list[int]:
    """Return the characters that may have a case."""
    ranges = [one for category in ("Ll", "Lm", "Lt", "Lu") for one in category_ranges()[category]]
    return [number for low, high in ranges + written_ranges(_MORE_CASED) for number in range(low, high + 1)]


@cache
def find_orbits() -> list[list[int]]:
    """Return the groups of characters that are equal if case is ignored."""
    groups: dict[str, list[int]] = {}
    for char in map(chr, _cased()):
        folded = char.casefold()
        if len(folded) != 1 or char in _SAME:  # `fold`, written out for the others: twice as fast
            folded = fold(char)
        groups.setdefault(folded, []).append(ord(char))
    return [group for group in groups.values() if len(group) > 1]
