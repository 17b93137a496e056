"""What happens to a fleet, and when: a schedule that depends on its seed alone."""

from collections.abc import Sequence
from random import Random
from typing import Literal

import attrs


@attrs.frozen
class Strike:
    """One blow.

    Attributes:
        what: A relay is killed with -9, a relay gets SIGTERM, or the server is killed with -9 and started again.
        pause: Time to wait before it, in seconds.
        which: Which of the relays, as a share of their number.
    """

    what: Literal["kill", "terminate", "restart"]
    pause: float
    which: float


def schedule(seed: int, kills: int, restarts: int, pause: float) -> Sequence[Strike]:
    """Return strikes in random order: `kills` of relays, of which half are SIGTERMs, and `restarts` of the server.

    Args:
        seed: Seed of all random choices.
        kills: Number of relays to kill.
        restarts: Number of times to kill the server.
        pause: Maximum pause between two strikes, in seconds.
    """
    chance = Random(seed)
    kinds: list[Literal["kill", "terminate", "restart"]] = ["kill"] * (kills - kills // 2)
    kinds += ["terminate"] * (kills // 2) + ["restart"] * restarts
    chance.shuffle(kinds)
    return [Strike(kind, chance.uniform(0.0, pause), chance.random()) for kind in kinds]
