r"""Letters: a pattern rewritten for an alphabet as small as the number of characters that it can tell apart.

Python's `re` takes 10 ms and more to compile one class such as `\w` beyond ASCII, which has 770 ranges. So where texts
are not ASCII, the characters that no class of a pattern tells apart become one letter, in the pattern and in the text:
`^\w+@` knows three letters, word, at sign and the rest. The newline always is itself, since `^` and `$` look for it.
"""

from bisect import bisect_right

from asyncsdk._rules.patterns.spelling import Alphabet
from asyncsdk._rules.patterns.universe import Partition

_FIRST_LETTER = 0x100
_MAX_CACHED = 10_000


class Letters(dict[int, str]):
    """The letter of each character by its number, for `str.translate`; found when it is first needed."""

    def __init__(self, alphabet: Alphabet, universe: Partition) -> None:
        """Find the letters of a pattern.

        Args:
            alphabet: The pattern's classes, all of them evaluated.
            universe: What they were evaluated in.
        """
        super().__init__()
        newline = universe.between(10, 10)
        self._starts = universe.starts
        size = len(self._starts)
        rows = [f"{members:0{size}b}"[::-1] for members in (newline, *alphabet.all_members())]
        signatures = [*zip(*rows, strict=True)]
        # Of each signature, a range that has it.
        ranges = {signature: number for number, signature in enumerate(signatures)}
        letters = {
            signature: "\n" if signature[0] == "1" else chr(_FIRST_LETTER + index)
            for index, signature in enumerate(ranges)
        }
        self._by_range = [letters[signature] for signature in signatures]
        self._samples = {letters[signature]: number for signature, number in ranges.items()}

    def __missing__(self, number: int) -> str:
        letter = self._by_range[bisect_right(self._starts, number) - 1]
        if len(self) < _MAX_CACHED:
            self[number] = letter
        return letter

    def of(self, members: int) -> str:
        """Return the letters of a class."""
        return "".join(letter for letter, number in self._samples.items() if members >> number & 1)
