"""What the tables of a file hold."""

import attrs


@attrs.frozen
class Row:
    """A block in a file.

    Attributes:
        id: Its number, which grows; no other block of the file ever has it.
        body: The packed block.
        done: Which of its records are settled, a bit each.
    """

    id: int
    body: bytes
    done: int


@attrs.frozen
class DeadRow:
    """Records that were given up, for one reason.

    Attributes:
        destination: Whose they are.
        events: How many.
        status: Their fate.
        reason: Why.
        body: The packed block of them.
    """

    destination: str
    events: int
    status: str
    reason: str
    body: bytes


@attrs.frozen
class NewRow:
    """A block to keep.

    Attributes:
        destination: Whose it is.
        events: How many records.
        body: The packed block.
    """

    destination: str
    events: int
    body: bytes | bytearray
