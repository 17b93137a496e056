"""`asyncsdk relay` in a process of its own; `--ack-first` is a mutant, which acknowledges before it delivers."""

import sys

from asyncsdk._model.blocks import Block
from asyncsdk._model.engines import Taken
from asyncsdk.cli import main
from asyncsdk.relay import relay


class AckFirst(relay.LeaseReader):
    """Acknowledges entries when they are taken."""

    def _admit(self, taken: Taken, block: Block) -> None:
        super()._admit(taken, block)
        self._finish(self._held[taken.lease])


if __name__ == "__main__":
    if "--ack-first" in sys.argv:
        sys.argv.remove("--ack-first")
        relay.LeaseReader = AckFirst  # type: ignore[misc]
    sys.exit(main(sys.argv[1:]))
