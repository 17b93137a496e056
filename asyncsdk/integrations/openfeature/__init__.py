"""An OpenFeature provider, on a client that the application starts and closes.

    async with client:
        api.set_provider(AsyncSDKProvider(client))

`README.md` in this folder says what keys, contexts, reasons, errors and events stand for.

Source: OpenFeature specification v0.9.0 (sections 2, 3, 5 and 6), and openfeature-sdk 0.10.0, whose `initialize` runs
in a thread of its own, or blocks the event loop: so nothing here waits.
"""

from asyncsdk.integrations.openfeature.context import user_of
from asyncsdk.integrations.openfeature.provider import AsyncSDKProvider

__all__ = ["AsyncSDKProvider", "user_of"]
