"""An OpenFeature provider that uses a client which the application starts and closes.

    async with client:
        api.set_provider(AsyncSDKProvider(client))

`README.md` in this folder documents keys, contexts, reasons, errors and events.

The SDK calls `initialize` in a thread of its own (`set_provider`), or on the caller's event loop, which it blocks
(`set_provider_and_wait`); therefore no method of the provider waits.

Source: OpenFeature specification v0.9.0 (sections 2, 3, 5 and 6), and openfeature-sdk 0.10.0.
"""

from asyncsdk.integrations._extras import needs_extra

with needs_extra("openfeature"):
    from asyncsdk.integrations.openfeature.context import user_of
    from asyncsdk.integrations.openfeature.provider import AsyncSDKProvider

__all__ = ["AsyncSDKProvider", "user_of"]
