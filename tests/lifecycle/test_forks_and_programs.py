"""Handlers that fork or start programs do not disturb their own process, and a forked child sends nothing."""

import pytest

from asyncsdk.dev import DevServer
from lifecycle.accounts import assert_all_arrived, assert_claims_hold, claimed
from lifecycle.rulesets import rules
from lifecycle.servers import SERVERS, Run

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


@pytest.mark.parametrize("name", ["uvicorn", "uvicorn with uvloop", "aiohttp"])
@pytest.mark.parametrize(("page", "exits"), [("fork", [42]), ("spawn", [0, 0])])
async def test_forks_and_programs_do_not_disturb_the_client(
    name: str, page: str, exits: list[int], vendors: DevServer, run: Run
) -> None:
    async with run(SERVERS[name]) as shop:
        sold = await shop.sell_everywhere()
        async with await shop.ask(page) as response:
            assert await response.json() == exits
        vendors.set_ruleset(rules(is_open=False))
        sold += await shop.sell_until(lambda sales: any(not sale.open for sale in sales))
        shop.send_signal()
        await shop.ended()

    assert sold[0].open
    assert_all_arrived(vendors, sold)
    assert_claims_hold(claimed(shop.log), vendors)
