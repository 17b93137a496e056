"""Relays and servers are killed at random while events flow: nothing accepted is missing, copies are identical.

`python tests/engines/chaos` does the same for longer.
"""

import os

import pytest

from engines.chaos import scenarios
from engines.chaos.stage import AnyServer, running
from engines.chaos.strikes import schedule

pytestmark = [
    pytest.mark.torture,
    pytest.mark.timeout(180),
    pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux"),
]


async def test_nothing_accepted_is_missing(own_server: AnyServer) -> None:
    async with running(own_server) as stage:
        await scenarios.kill(stage, schedule(1, kills=8, restarts=2, pause=0.4))

    assert stage.audit.is_ok, stage.audit


async def test_a_relay_that_acknowledges_before_it_delivers_loses_events(own_server: AnyServer) -> None:
    async with running(own_server, "--ack-first") as stage:
        await scenarios.kill(stage, schedule(1, kills=8, restarts=0, pause=0.4))

    assert stage.audit.missing
    assert not stage.audit.is_ok


@pytest.mark.parametrize("seed", [1, 2])
def test_a_schedule_depends_on_its_seed_alone(seed: int) -> None:
    strikes = schedule(seed, kills=101, restarts=20, pause=0.5)

    assert strikes == schedule(seed, kills=101, restarts=20, pause=0.5)
    assert [sum(s.what == what for s in strikes) for what in ("kill", "terminate", "restart")] == [51, 50, 20]
