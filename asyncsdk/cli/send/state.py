"""How far a file was sent, so that an interrupted run continues: a small JSON file, replaced atomically."""

import hashlib
import os
from pathlib import Path

import attrs
import orjson

_HEAD = 1 << 16


class StateError(Exception):
    """A state that cannot be read or does not belong to the file; the text says what to do."""


@attrs.define
class State:
    """How far a file was sent.

    Attributes:
        source: Identifies the file's content, and the destinations.
        line: The last line of which, and of all before it, the outcome is final.
        delivered: Number of events that were delivered.
        rejected: Number of events that were not.
        rejects_bytes: Size of the file of rejects that goes with `line`.
        is_done: Whether the end was reached.
    """

    source: str
    line: int = 0
    delivered: int = 0
    rejected: int = 0
    rejects_bytes: int = 0
    is_done: bool = False

    def write(self, path: Path) -> None:
        """Write the state in two steps, so that an interruption leaves the old one."""
        draft = path.with_name(f".{path.name}.{os.getpid()}.new")
        draft.write_bytes(orjson.dumps(attrs.asdict(self)))
        draft.replace(path)


def fingerprint(path: Path, to: str) -> str:
    """Return what identifies a file and its destinations: its beginning, and their names.

    Lines may be appended to the file between two runs.
    """
    with path.open("rb") as file:
        head = file.readline(_HEAD)
    return f"{hashlib.sha256(head).hexdigest()[:16]} {to}"


def read_state(path: Path, source: str) -> State:
    """Return the state of an earlier run; a fresh one if there is none.

    Raises:
        StateError: It is that of another file or of other destinations, or broken.
    """
    if not path.exists():
        return State(source)
    try:
        state = State(**orjson.loads(path.read_bytes()))
    except (OSError, TypeError, ValueError) as error:
        msg = f"{path} is not the state of a run: delete it to start again"
        raise StateError(msg) from error
    if state.source != source:
        msg = f"{path} is the state of another file or of other destinations: delete it to start again"
        raise StateError(msg)
    return state
