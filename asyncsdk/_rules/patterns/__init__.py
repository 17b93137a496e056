"""Regular expressions of rules, matched in bounded time, as in Statsig's package; start reading at `matcher.py`.

Only a ruleset that has a pattern imports these modules: they take a tenth of the time of `import asyncsdk`.
"""

from collections.abc import Iterator
from importlib import import_module


def load_patterns() -> Iterator[None]:
    """Import the modules one by one, so that the loop can run between them; the order is that of their imports."""
    for module in (
        "categories",
        "properties",
        "universe",
        "charsets",
        "syntax",
        "spelling",
        "letters",
        "steps",
        "matcher",
    ):
        import_module(f"{__name__}.{module}")
        yield
