"""Tables and paragraphs of plain text, for a terminal of any width."""

import textwrap
from collections.abc import Sequence

INDENT = "  "
Row = Sequence[str | int]


def table(head: Sequence[str], rows: Sequence[Row]) -> str:
    """Set rows in columns: numbers and dashes to the right, text to the left, their heads likewise."""
    cells = [[f"{cell:,}" if isinstance(cell, int) else cell for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    right = [_is_of_numbers([row[position] for row in rows]) for position in range(len(head))]
    lines = [head, ["-" * width for width in widths], *cells]
    return "\n".join(
        INDENT
        + "  ".join(
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def _is_of_numbers(column: Row) -> bool:
    kinds = {type(cell) for cell in column if cell != "-"}
    return kinds == {int}


def paragraph(text: str, width: int, indent: str = INDENT, hang: str = INDENT) -> str:
    """Wrap a text between words; what follows its first line stands in by `hang` more."""
    return textwrap.fill(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent + hang,
        break_long_words=False,
        break_on_hyphens=False,
    )
