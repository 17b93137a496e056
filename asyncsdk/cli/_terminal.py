"""Text that a terminal, a pipe or another program can read safely, whatever the data contain."""

import sys


def escape(text: str) -> str:
    """Return text of a single line that cannot control a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def fail(command: str, problem: str) -> int:
    """Print what is wrong with the input of a command, in one line, and return the exit code for that."""
    print(escape(f"asyncsdk {command}: {problem}"), file=sys.stderr)
    return 2
