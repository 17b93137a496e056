"""Regular expressions of rules (temporary form)."""

import re
from collections.abc import Callable

Search = Callable[[str], bool]


def search(target: object) -> Search | None:
    """Compile."""
    if not isinstance(target, str):
        return None
    try:
        find = re.compile(target).search
    except re.error:
        return None
    return lambda subject: find(subject) is not None
