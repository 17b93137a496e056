"""Tables drawn by `rich`, on terminals that can show them."""

import io
from collections.abc import Mapping, Sequence
from typing import TextIO

from asyncsdk.cli._tables import Row, Table, lay_out, table

_DUMB = ("dumb", "unknown")


def is_terminal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether a stream is a terminal that moves its cursor and knows colours."""
    return stream.isatty() and environ.get("TERM", "") not in _DUMB


def table_for(stream: TextIO, environ: Mapping[str, str]) -> Table:
    """Return the function that formats tables: by `rich`, if it is installed and the stream can show that."""
    if not is_terminal(stream, environ) or not str(stream.encoding).lower().startswith("utf"):
        return table
    try:
        import rich  # noqa: F401, PLC0415 -- an extra
    except ImportError:
        return table
    return draw_table


def draw_table(head: Sequence[str], rows: Sequence[Row], width: int) -> str:
    """Draw a table with `rich`; the arguments are those of `table`."""
    from rich import box  # noqa: PLC0415 -- an extra
    from rich.console import Console  # noqa: PLC0415 -- an extra
    from rich.table import Table as RichTable  # noqa: PLC0415 -- an extra

    # Each column has a border and white space on either side.
    lines, is_right = lay_out(head, rows, width - len(head) - 1)
    drawn = RichTable(box=box.ROUNDED, header_style="bold")
    for title, right in zip(lines[0], is_right, strict=True):
        drawn.add_column(title, justify="right" if right else "left", overflow="fold")
    for line in lines[1:]:
        drawn.add_row(*line)
    text = io.StringIO()
    Console(file=text, width=width, markup=False, emoji=False, highlight=False).print(drawn)
    return text.getvalue().rstrip("\n")
