"""Text that a terminal, a pipe or another program can read safely, whatever the data contain."""

import json
import sys
from typing import Any

import orjson


def escape(text: str) -> str:
    """Return text of a single line that cannot control a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def ascii_json(value: Any, indent: int | None = 2) -> str:
    """Return a value as JSON in ASCII, which cannot control a terminal; `indent` None keeps it on one line."""
    # orjson first: it writes the attrs classes' fields and numbers as the rest of the package does.
    return json.dumps(json.loads(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)), indent=indent)


def fail(command: str, problem: str) -> int:
    """Print what is wrong with the input of a command, in one line, and return the exit code for that."""
    print(escape(f"asyncsdk {command}: {problem}"), file=sys.stderr)
    return 2
