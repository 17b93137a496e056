"""A vendor that takes everything, in a process of its own, and counts the events that it was sent.

It speaks enough HTTP/1.1 for what posts to it here. Plain bodies are counted as they come, by the name that every
event or gate exposure has; compressed ones are kept, and counted when somebody asks: `GET /count`. Anything else is
answered 200 with an answer that each vendor's own package takes for success.

    python benchmarks/sink.py --latency 50 --status 500     # milliseconds; prints its port
"""

import argparse
import asyncio
import gzip
import json
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from subprocess import PIPE, Popen
from sys import executable, stdin

from _measure import EVENT

EXPOSURE = b'"statsig::gate_exposure"'
SUCCESS = json.dumps({"code": 200, "success": True, "status": "ok", "has_updates": False}).encode()


class Counter:
    """What was received."""

    def __init__(self, mark: str) -> None:
        """Begin at nothing; `mark` is what every event has once."""
        self._mark = json.dumps(mark).encode()
        self.events = 0
        self.exposures = 0
        self.requests = 0
        self.compressed: list[bytes] = []

    def take(self, head: bytes, body: bytes) -> None:
        """Count a body, now or later."""
        self.requests += 1
        if b"content-encoding:" in head:
            self.compressed.append(body)
        else:
            self._count(body)

    def total(self) -> dict[str, int]:
        """Count what was kept, and give all numbers."""
        for body in self.compressed:
            self._count(decompress(body))
        self.compressed.clear()
        return {"events": self.events, "exposures": self.exposures, "requests": self.requests}

    def _count(self, body: bytes) -> None:
        self.events += body.count(self._mark)
        self.exposures += body.count(EXPOSURE)


def decompress(body: bytes) -> bytes:
    """Undo gzip or zstd."""
    if body[:4] == b"\x28\xb5\x2f\xfd":
        import zstandard  # noqa: PLC0415 -- only statsig-python-core sends it

        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    with suppress(zlib.error):
        return zlib.decompress(body, 47)
    return gzip.decompress(body)


class Connection(asyncio.Protocol):
    """One connection: heads and bodies in turn."""

    def __init__(self, counter: Counter, latency: float, status: int) -> None:
        """Count into `counter`; answer with `status` after `latency` seconds."""
        self._counter = counter
        self._latency = latency
        self._start = b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: " % status
        self._parts: list[bytes] = []
        self._have = 0
        self._head = b""
        self._need = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Collect; a request is joined once, when all of it is there."""
        self._parts.append(data)
        self._have += len(data)
        while self._have and self._have >= self._need:
            data = b"".join(self._parts)
            if not self._head:
                cut = data.find(b"\r\n\r\n") + 4
                if cut < 4:
                    self._parts = [data]
                    return
                self._head, data = data[:cut].lower(), data[cut:]
                self._need = self._length()
            if len(data) >= self._need:
                self._answer(data[: self._need])
                data, self._head, self._need = data[self._need :], b"", 0
            self._parts, self._have = [data], len(data)

    def _length(self) -> int:
        if b"expect: 100-continue" in self._head:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        _, found, rest = self._head.partition(b"content-length:")
        return int(rest[: rest.index(b"\r")]) if found else 0

    def _answer(self, body: bytes) -> None:
        counter, answer = self._counter, SUCCESS
        if self._head.startswith(b"get /count"):
            answer = json.dumps(counter.total()).encode()
        elif not self._head.startswith(b"get"):
            counter.take(self._head, body)
        whole = b"%b%d\r\n\r\n%b" % (self._start, len(answer), answer)
        if self._latency:
            asyncio.get_running_loop().call_later(self._latency, self._transport.write, whole)
        else:
            self._transport.write(whole)


async def serve(latency: float, status: int, mark: str) -> None:
    """Listen on a free port, say which, and go on until stdin is closed."""
    loop, counter = asyncio.get_running_loop(), Counter(mark)
    server = await loop.create_server(lambda: Connection(counter, latency, status), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(stdin.read)


@contextmanager
def sink(latency_ms: int = 0, status: int = 200, mark: str = EVENT) -> Iterator[str]:
    """Run a sink in another process, which counts texts that are `mark`; yields its URL."""
    command = [executable, __file__, "--latency", str(latency_ms), "--status", str(status), "--mark", mark]
    with Popen(command, stdin=PIPE, stdout=PIPE) as process:  # noqa: S603 -- ourselves
        assert process.stdin
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()
            process.wait(10)


def received(url: str) -> int:
    """Ask a sink how many events it has."""
    return counts(url)["events"]


def counts(url: str) -> dict[str, int]:
    """Ask a sink how many events, gate exposures and requests it has."""
    with urllib.request.urlopen(f"{url}/count") as answer:  # noqa: S310 -- the sink's own address
        found: dict[str, int] = json.load(answer)
        return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=int, default=0, help="milliseconds before each answer")
    parser.add_argument("--status", type=int, default=200, help="of each answer")
    parser.add_argument("--mark", default=EVENT, help="a text that every event has once: its name")
    options = parser.parse_args()
    asyncio.run(serve(options.latency / 1000, options.status, options.mark))
