"""What a person sees while something runs: one line that changes on a terminal, else a line per step."""

import logging
import shutil
from collections.abc import Iterator
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
