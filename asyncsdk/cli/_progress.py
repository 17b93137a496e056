"""What a person sees while something runs: one line that changes on a terminal, else a line per step."""

import logging
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from asyncsdk.cli._tables import paragraph

_ERASE = "\r\x1b[K"


class Progress:
    """A live line at the bottom of a stream, and lasting lines above it.

    Args:
        stream: Where to; a live line only appears if it is a terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.is_live = stream.isatty()

    def show(self, text: str) -> None:
        """Replace the live line, if there is one."""
        if self.is_live:
            width = shutil.get_terminal_size().columns
            self._stream.write(_ERASE + text[: width - 1])
            self._stream.flush()

    def say(self, text: str) -> None:
        """Write a line that stays."""
        self._stream.write(f"{_ERASE if self.is_live else ''}{text}\n")
        self._stream.flush()


class _Lines(logging.Handler):
    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.WARNING)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        width = shutil.get_terminal_size().columns - 1
        self._progress.say(paragraph(f"log: {record.getMessage()}", width, " " * 7, " " * 5))


@contextmanager
def log_lines(name: str, progress: Progress) -> Iterator[None]:
    """Show the warnings of a logger between the other lines."""
    logger, handler = logging.getLogger(name), _Lines(progress)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@contextmanager
def bar(title: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show how far something is; call what is given with how many more are done.

    Args:
        title: What is being done.
        total: How many there are; None when that is not known.
    """
    try:
        from rich.console import Console  # noqa: PLC0415 -- an extra
        from rich.progress import Progress  # noqa: PLC0415 -- an extra
    except ImportError:
        yield lambda _: None
        return
    with Progress(console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.advance(task, done)
