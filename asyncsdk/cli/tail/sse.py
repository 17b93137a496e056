"""Parse server-sent events. Pure.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream.
"""

from collections.abc import Iterator

import attrs


@attrs.frozen
class Message:
    """One message of a stream.

    Attributes:
        event: Its type.
        data: Its data.
        id: The id to continue from after a reconnection; "" if it has none.
    """

    event: str
    data: str
    id: str


@attrs.define
class Parser:
    """Parses a stream that arrives in pieces of any size."""

    _buffer: bytes = b""

    def feed(self, piece: bytes) -> Iterator[Message]:
        """Yield the messages that a piece completes; one that is cut off at the end of a stream is dropped."""
        *blocks, self._buffer = (self._buffer + piece).replace(b"\r\n", b"\n").split(b"\n\n")
        for block in blocks:
            fields: dict[str, list[str]] = {}
            for line in block.decode("utf-8", "replace").split("\n"):
                name, _, value = line.partition(":")
                fields.setdefault(name, []).append(value.removeprefix(" "))
            if "data" in fields:
                event, number = fields.get("event", ["message"])[-1], fields.get("id", [""])[-1]
                yield Message(event, "\n".join(fields["data"]), number)
