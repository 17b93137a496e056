"""A progress bar, where rich is installed (the extra `cli`) and somebody watches."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


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
