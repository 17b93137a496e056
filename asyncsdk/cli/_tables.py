"""Plain-text tables and paragraphs for a terminal of any width."""

import textwrap
from collections.abc import Sequence

INDENT = "  "
Row = Sequence[str | int]


def table(head: Sequence[str], rows: Sequence[Row]) -> str:
    """Format rows as columns below a head.

    Args:
        head: Titles of the columns.
        rows: Cells. A column of integers is aligned right, in which "-" means that there is no value; other columns are
            aligned left.
    """
    cells = [[f"{cell:,}" if isinstance(cell, int) else cell for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    right = [_is_numeric([row[position] for row in rows]) for position in range(len(head))]
    lines = [head, ["-" * width for width in widths], *cells]
    return "\n".join(
        INDENT
        + "  ".join(
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def _is_numeric(column: Row) -> bool:
    kinds = {type(cell) for cell in column if cell != "-"}
    return kinds == {int}


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
