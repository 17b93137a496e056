"""Two short runs of the torture; `python tests/torture --kills 2000` is a long one."""

import pytest

from torture.oracle import Oracle

pytestmark = [pytest.mark.torture, pytest.mark.process]


@pytest.mark.timeout(300)
async def test_no_promised_event_is_missing_after_fifty_kills() -> None:
    results = await Oracle(kills=50, processes=1, seed=1).run()

    assert results.is_ok, str(results)


@pytest.mark.timeout(300)
async def test_eight_processes_may_share_a_folder_and_be_killed() -> None:
    results = await Oracle(kills=40, processes=8, seed=2).run()

    assert results.is_ok, str(results)
