"""Plain-text tables and paragraphs for a terminal of any width."""

import textwrap
from collections.abc import Callable, Iterator, Sequence

INDENT = "  "
Row = Sequence[str | int]
Table = Callable[[Sequence[str], Sequence[Row], int], str]
"""Formats a head and rows for a number of characters in a line."""

_GAP = "  "
# Narrower columns are hard to read, so a table rather exceeds the width.
_MIN_WIDTH = 5


def table(head: Sequence[str], rows: Sequence[Row], width: int = 10_000) -> str:
    """Format rows as columns below a head.

    Args:
        head: Titles of the columns.
        rows: Cells. A column of integers is aligned right, in which "-" means that there is no value; other columns are
            aligned left.
        width: Maximum number of characters in a line. In a table that is wider, 1. cells are wrapped between words; if
            that is not enough, 2. rows and columns change places, and at last 3. words are broken.
    """
    lines, is_right = lay_out(head, rows, width)
    widths = _fitting_widths(lines, width)
    shown = [lines[0], ["-" * size for size in widths], *lines[1:]]
    return "\n".join(text for line in shown for text in _format(line, widths, is_right))


def lay_out(head: Sequence[str], rows: Sequence[Row], width: int) -> tuple[list[list[str]], list[bool]]:
    """Return the cells of a table, head first, with rows and columns exchanged if it is too wide otherwise.

    Returns:
        The lines, and whether each column is aligned right.
    """
    is_right = [_is_numeric([row[position] for row in rows]) for position in range(len(head))]
    lines = [list(head), *([_text(cell) for cell in row] for row in rows)]
    turned = _turn(lines)
    if _least_width(lines) > width and _least_width(turned) < _least_width(lines):
        return turned, [False] + [any(is_right)] * (len(turned[0]) - 1)
    return lines, is_right


def _text(cell: str | int) -> str:
    return f"{cell:,}" if isinstance(cell, int) else cell


def _is_numeric(column: Row) -> bool:
    kinds = {type(cell) for cell in column if cell != "-"}
    return kinds == {int}


def _turn(lines: Sequence[Sequence[str]]) -> list[list[str]]:
    """Make rows of the columns."""
    return [[cell.strip() for cell in column] for column in zip(*lines, strict=True)]


def _least_width(lines: Sequence[Sequence[str]]) -> int:
    """Return the width of a table whose cells are wrapped at every word."""
    words = [max(max(map(len, cell.split()), default=0) for cell in column) for column in zip(*lines, strict=True)]
    return sum(words) + len(_GAP) * (len(words) - 1) + len(INDENT)


def _fitting_widths(lines: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return widths of the columns: the widest is narrowed until the table fits."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    words = [max(max(map(len, cell.split()), default=0) for cell in column) for column in zip(*lines, strict=True)]
    available = width - len(INDENT) - len(_GAP) * (len(widths) - 1)
    for least in (words, [_MIN_WIDTH] * len(widths)):
        while sum(widths) > available and any(map(int.__gt__, widths, least)):
            spare = [size if size > limit else 0 for size, limit in zip(widths, least, strict=True)]
            widths[spare.index(max(spare))] -= 1
    return widths


def _format(line: Sequence[str], widths: Sequence[int], is_right: Sequence[bool]) -> Iterator[str]:
    """Yield the lines of a row, as many as its highest cell has."""
    wrapped = [_wrap_cell(cell, size) for cell, size in zip(line, widths, strict=True)]
    for number in range(max(map(len, wrapped))):
        cells = [parts[number] if number < len(parts) else "" for parts in wrapped]
        aligned = [
            cell.rjust(size) if right else cell.ljust(size)
            for cell, size, right in zip(cells, widths, is_right, strict=True)
        ]
        yield (INDENT + _GAP.join(aligned)).rstrip()


def _wrap_cell(cell: str, width: int) -> list[str]:
    return [cell] if len(cell) <= width else textwrap.wrap(cell, width)


def paragraph(text: str, width: int, indent: str = INDENT, hang: str = INDENT) -> str:
    """Wrap a text between words.

    Args:
        text: The text.
        width: Maximum number of characters in a line; a longer word keeps a line of its own.
        indent: Precedes each line.
        hang: Precedes each line but the first, after `indent`.
    """
    return textwrap.fill(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent + hang,
        break_long_words=False,
        break_on_hyphens=False,
    )
