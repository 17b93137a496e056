"""`asyncsdk relay` in a process of its own.

`--ack-first` is a mutant, which acknowledges before it delivers. `--forks` imports everything once, and then forks a
relay for each byte of the standard input; it prints `started PID` and `ended PID CODE`.
"""

import ctypes
import importlib
import os
import selectors
import signal
import sys

from asyncsdk._model.blocks import Block
from asyncsdk._model.engines import Taken
from asyncsdk.cli import main
from asyncsdk.relay import relay

_PR_SET_PDEATHSIG = 1
_IMPORTED = ("aiohttp", "asyncpg", "redis.asyncio", "asyncsdk.cli.relay", "asyncsdk.dev", "engines.shop")


class AckFirst(relay.LeaseReader):
    """Acknowledges entries when they are taken."""

    def _admit(self, taken: Taken, block: Block) -> None:
        super()._admit(taken, block)
        self._finish(self._held[taken.lease])


def serve_forks() -> None:
    """Fork until the standard input ends; return in the children."""
    for name in _IMPORTED:
        importlib.import_module(name)
    ready = selectors.DefaultSelector()
    ready.register(0, selectors.EVENT_READ)
    while True:
        for key, _ in ready.select():
            if key.data is not None:
                ready.unregister(key.fd)
                os.close(key.fd)
                code = os.waitstatus_to_exitcode(os.waitpid(key.data, 0)[1])
                print("ended", key.data, code, flush=True)  # noqa: T201 -- what the fleet reads
            elif not os.read(0, 1):
                os._exit(0)
            elif pid := os.fork():
                ready.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)
                print("started", pid, flush=True)  # noqa: T201
            else:
                ready.close()
                os.dup2(2, 1)
                # As `ends_with_us`, which is not inherited.
                ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
                return


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if argument not in ("--ack-first", "--forks")]
    if "--ack-first" in sys.argv:
        relay.LeaseReader = AckFirst  # type: ignore[misc]
    if "--forks" in sys.argv:
        serve_forks()
    sys.exit(main(arguments))
