"""The rows of a file's tables. A body is a packed block: `asyncsdk._model.blocks.unpack_block` reads it."""

import attrs

from asyncsdk._model.values import Value


@attrs.frozen(eq=False, repr=False)
class Row(Value):
    """A stored block.

    Attributes:
        id: Its number. Ids grow, and are not reused while the file is open.
        body: The packed block.
        done: Settled positions of its records, one bit each.
    """

    id: int
    body: bytes
    done: int


@attrs.frozen(eq=False, repr=False)
class DeadRow(Value):
    """Dead letters: records that were given up together, for one reason.

    Attributes:
        destination: Label of the destination that did not get them.
        events: Number of records.
        status: Their outcome, such as `rejected` or `dropped`.
        reason: Why, in a few words.
        body: The packed block of these records.
    """

    destination: str
    events: int
    status: str
    reason: str
    body: bytes


@attrs.frozen(eq=False, repr=False)
class NewRow(Value):
    """A block to be stored.

    Attributes:
        destination: Label of its destination.
        events: Number of records.
        body: The packed block.
    """

    destination: str
    events: int
    body: bytes | bytearray
