"""What does it cost to encode an event for a vendor? Floor: orjson, given the finished dict."""

import orjson
from _measure import EVENT, SIZES, Clock, Sample, Timing, arguments, interleave, show

from asyncsdk import Amplitude, Destination, RudderStack, Statsig, Track, User

DESTINATIONS: tuple[Destination, ...] = (
    RudderStack("key", "http://127.0.0.1:9"),
    Amplitude("key"),
    Statsig("secret-key"),
)
USER = User("user-123456")
NOW_MS = 1_790_000_000_123
ID = "6ba7b810-9dad-41d1-a0b4-00c04fd430c8"


def measure(destination: Destination, size: str, rounds: int) -> tuple[int, Timing, Timing]:
    """Time `encode` of one destination and orjson alone; also return the size of the encoded event."""
    event = Track(USER, EVENT, SIZES[size])
    chunk = destination.encode(event, ID, NOW_MS)
    assert isinstance(chunk, bytes)
    message = orjson.loads(chunk + b"}")
    assert EVENT in message.values()
    assert SIZES[size] in message.values()
    encode, dumps, many = destination.encode, orjson.dumps, range(2000)

    def ours() -> Sample:
        clock = Clock()
        for _ in many:
            encode(event, ID, NOW_MS)
        return clock.stop(len(many))

    def floor() -> Sample:
        clock = Clock()
        for _ in many:
            dumps(message)
        return clock.stop(len(many))

    times = interleave({"ours": ours, "floor": floor}, rounds)
    return len(chunk), times["ours"], times["floor"]


def main() -> None:
    """Measure, and print the table."""
    options = arguments(__doc__)
    rows = []
    for destination in DESTINATIONS:
        for size in SIZES:
            length, ours, floor = measure(destination, size, 3 if options.quick else 51)
            ratio = ours.best / floor.best
            rows.append((destination.name, size, length, ours.best, ours.median, ours.cpu, floor.best, ratio))
    columns = ("encode", "event", "bytes", "ns", "median", "CPU ns", "orjson alone, ns", "ratio to it")
    show("Encoding an event", columns, rows, as_json=options.json)


if __name__ == "__main__":
    main()
