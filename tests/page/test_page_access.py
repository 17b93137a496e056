"""What screen readers and keyboards need: axe-core finds nothing serious in any view, theme or width."""

from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from asyncsdk.dev import DevServer
from page.events import exposure, to_amplitude, to_rudderstack, to_statsig

Open = Callable[..., Any]
STATES = [
    "/live", "/live?q=vendr:x is:lost", "/live?by=arrival&show=highlight&q=is:rejected", "/live?event=one", "/who",
    "/who?user=ada&vs=bob&open=new_checkout,button", "/rules", "/rules?name=new_checkout", "/rules?name=new_checkout&tab=diff",
    "/overrides", "/faults", "/clients", "/try", "/try?verb=check_gate",
]  # fmt: skip

# Nothing is on its way any more: rows are there, an opened panel or editor is filled.
READY = """(() => {
    const open = document.querySelector('aside:not([hidden])')
    const live = document.querySelector('.live')
    return (!open || open.childNodes.length > 1) && (!live || document.querySelectorAll('.space .r:not([hidden])').length > 0
        || !document.querySelector('.empty').hidden)
})()"""


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 400)])
@pytest.mark.timeout(120)
async def test_axe_finds_nothing(
    theme: str, width: int, server: DevServer, http: aiohttp.ClientSession, open_tab: Open
) -> None:
    axe = pytest.importorskip("axe_playwright_python.async_playwright").Axe()
    await to_statsig(http, server, exposure("new_checkout", True))
    await to_rudderstack(http, server, {"messageId": "one"})
    await to_amplitude(http, server, {"event_type": "Wrong", "time": "never"}, {"event_type": "Innocent"})
    tab = await open_tab("/live", width=width, theme=theme)
    found = []
    for state in STATES:
        await tab.page.goto(server.url + state)
        await tab.wait_view()
        await tab.wait(READY)
        violations = (await axe.run(tab.page)).response["violations"]
        found += [(state, v["id"], [node["html"] for node in v["nodes"]][:3]) for v in violations]
        found += [(state, "sideways", [])] * await tab.is_sideways()
    assert not found
