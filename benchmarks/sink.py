"""A vendor that accepts everything, in a process of its own, and counts the events that it receives.

It implements enough HTTP/1.1 for the SDKs of these benchmarks. Plain bodies are counted on arrival, by the name that
each event or gate exposure contains; compressed ones are kept and counted on `GET /count`. All other requests get a
response that each vendor's own package accepts as success.

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
    """Counts of received requests, events and exposures."""

    def __init__(self, mark: str) -> None:
        """Start at zero; `mark` is a text that each event contains once."""
        self._mark = json.dumps(mark).encode()
        self.events = 0
        self.exposures = 0
        self.requests = 0
        self.compressed: list[bytes] = []

    def take(self, head: bytes, body: bytes) -> None:
        """Count a body; keep a compressed one for later."""
        self.requests += 1
        if b"content-encoding:" in head:
            self.compressed.append(body)
        else:
            self._count(body)

    def total(self) -> dict[str, int]:
        """Count the bodies that were kept; return all numbers."""
        for body in self.compressed:
            self._count(decompress(body))
        self.compressed.clear()
        return {"events": self.events, "exposures": self.exposures, "requests": self.requests}

    def _count(self, body: bytes) -> None:
        self.events += body.count(self._mark)
        self.exposures += body.count(EXPOSURE)


def decompress(body: bytes) -> bytes:
    """Decompress gzip, zlib or zstd."""
    if body[:4] == b"\x28\xb5\x2f\xfd":
        import zstandard  # noqa: PLC0415 -- only statsig-python-core sends it

        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    with suppress(zlib.error):
        return zlib.decompress(body, 47)
    return gzip.decompress(body)


class Connection(asyncio.Protocol):
    """One connection, which receives heads and bodies in turn."""

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
        """Collect data; the parts of a request are joined once, when it is complete."""
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
    """Listen on a free port, print it, and run until stdin is closed."""
    loop, counter = asyncio.get_running_loop(), Counter(mark)
    server = await loop.create_server(lambda: Connection(counter, latency, status), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(stdin.read)


@contextmanager
def sink(latency_ms: int = 0, status: int = 200, mark: str = EVENT) -> Iterator[str]:
    """Run a sink in another process, which counts the text `mark`; yield its URL."""
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
    """Return the number of events that a sink has received."""
    return counts(url)["events"]


def counts(url: str) -> dict[str, int]:
    """Return the numbers of events, gate exposures and requests that a sink has received."""
    with urllib.request.urlopen(f"{url}/count") as answer:  # noqa: S310 -- the sink's own address
        found: dict[str, int] = json.load(answer)
        return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=int, default=0, help="milliseconds before each response")
    parser.add_argument("--status", type=int, default=200, help="HTTP status of each response")
    parser.add_argument("--mark", default=EVENT, help="a text that each event contains once: its name")
    options = parser.parse_args()
    asyncio.run(serve(options.latency / 1000, options.status, options.mark))
