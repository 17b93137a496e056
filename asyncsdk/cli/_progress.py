"""Progress on a terminal: a live line with lasting lines above it, and a progress bar."""

import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from asyncsdk.cli._rich_tables import is_terminal
from asyncsdk.cli._tables import paragraph

# Back to the first column, and erase the line.
_ERASE = "\r\x1b[K"


class Progress:
    """A live line at the bottom of a stream, and lasting lines above it.

    Args:
        stream: Where to write; the live line appears only on a terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.is_live = is_terminal(stream, os.environ)

    def show(self, text: str) -> None:
        """Replace the live line, if the stream is a terminal."""
        if self.is_live:
            width = shutil.get_terminal_size().columns
            self._stream.write(_ERASE + text[: width - 1])
            self._stream.flush()

    def print_line(self, text: str) -> None:
        """Write a lasting line, wrapped if it is wider than the terminal."""
        width = shutil.get_terminal_size().columns - 1
        lines = [
            line if len(line) <= width else paragraph(line.strip(), width, " " * (len(line) - len(line.lstrip())))
            for line in text.split("\n")
        ]
        self._stream.write("{}{}\n".format(_ERASE if self.is_live else "", "\n".join(lines)))
        self._stream.flush()


class _LineHandler(logging.Handler):
    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.WARNING)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        width = shutil.get_terminal_size().columns - 1
        self._progress.print_line(paragraph(f"log: {record.getMessage()}", width, " " * 7, " " * 5))


@contextmanager
def log_lines(name: str, progress: Progress) -> Iterator[None]:
    """Print the warnings and errors of a logger as lasting lines.

    Args:
        name: Name of the logger.
        progress: Where to print.
    """
    logger, handler = logging.getLogger(name), _LineHandler(progress)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@contextmanager
def progress_bar(title: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on standard error; without a terminal or the package `rich`, show nothing.

    Args:
        title: Precedes the bar.
        total: Number of steps; None if it is not known.

    Yields:
        A function to call with the number of further steps that are done.
    """
    try:
        from rich.console import Console  # noqa: PLC0415 -- an extra
        from rich.progress import Progress  # noqa: PLC0415 -- an extra
    except ImportError:
        yield lambda _: None
        return
    console = Console(file=sys.stderr)
    # Off a terminal, `rich` would leave an empty line.
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.advance(task, done)
