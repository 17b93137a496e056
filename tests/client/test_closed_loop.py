"""A client whose event loop was closed under it says so in one line."""

import asyncio
import gc

import pytest

from asyncsdk import Client, ClientClosedError, Track, WrongEventLoopError


def test_each_call_says_that_the_loop_is_closed() -> None:
    client, loop = Client(), asyncio.new_event_loop()
    loop.run_until_complete(client.start())
    loop.close()

    with pytest.raises(ClientClosedError, match=r"event loop is closed: create a client, .* within one asyncio\.run"):
        client.put_nowait(Track("ada-lovelace", "x"))
    for call in (client.track("ada-lovelace", "x"), client.start(), client.flush(), client.aclose()):
        with pytest.raises(WrongEventLoopError, match="event loop is closed: create a client"):
            asyncio.run(call)

    with pytest.warns(ResourceWarning, match="was not closed"):
        del client, call
        gc.collect()
