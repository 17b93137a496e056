"""A proxy on loopback that stalls: between an engine and its server, as a bad network would be."""

import asyncio
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal, Self

Mode = Literal["pass", "delay", "freeze", "half-open", "reset", "vanish"]
MODES: Sequence[Mode] = ("delay", "freeze", "half-open", "reset", "vanish")


class StallingProxy:
    """Passes bytes on, or does not.

    | mode | connections | to the server | back |
    |---|---|---|---|
    | `pass` | accepted | at once | at once |
    | `delay` | accepted | after `delay` | after `delay` |
    | `freeze` | accepted | when the mode changes | when the mode changes |
    | `half-open` | accepted | at once: commands are done | when the mode changes |
    | `reset` | reset, the open ones too | | |
    | `vanish` | accepted | at once; never again for those that were open | the same |

    Attributes:
        port: Where it listens.
        delay: Time for each piece of data, in seconds.
    """

    def __init__(self, server_port: int, delay: float = 0.05) -> None:
        self.port = 0
        self.delay = delay
        self._server_port = server_port
        self._mode: Mode = "pass"
        self._changed = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._vanished: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.set("reset")
        while self._writers:
            await asyncio.sleep(0.01)

    def set(self, mode: Mode) -> None:
        """Change the mode, for open connections too."""
        self._mode = mode
        self._changed.set()
        self._changed = asyncio.Event()
        if mode == "vanish":
            self._vanished |= self._writers
        if mode == "reset":
            for writer in self._writers:
                _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode == "reset":
            _reset(writer)
            return
        try:
            onward, back = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            _reset(writer)
            return
        both = {writer, back}
        self._writers |= both
        pumps = [
            asyncio.create_task(self._pump(reader, back, "onward")),
            asyncio.create_task(self._pump(onward, writer, "back")),
        ]
        # A half that has ended ends the other: neither server nor engine closes only one side.
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        await asyncio.wait(pumps)
        for one in both:
            one.close()
        self._writers -= both
        self._vanished -= both

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                if writer in self._vanished:
                    continue
                if self._mode == "delay":
                    await asyncio.sleep(self.delay)
                while self._mode == "freeze" or (self._mode == "half-open" and way == "back"):
                    await self._changed.wait()
                writer.write(data)
                await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
