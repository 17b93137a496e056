"""An OpenFeature provider, on a client that the application starts and closes.

    async with client:
        api.set_provider(AsyncSDKProvider(client))
        flags = api.get_client()
        if flags.get_boolean_value("new_checkout", False, EvaluationContext("ada", {"email": "ada@example.com"})):
            ...

What a flag key stands for:

| key | its value |
|---|---|
| `name` | the gate; else the config's or experiment's parameter `value`, or the whole of it where it has none |
| `name.parameter` | that parameter of the config or experiment |
| `layer:name.parameter`, `layer:name` | the same of a layer |
| `gate:`, `config:` or `experiment:` before a name | the same of this kind |

Names may have dots: the longest one that the rules know counts. Where a gate and a config share a name, a boolean is
asked of the gate, and anything else of the config.

Source: OpenFeature specification v0.9.0 (sections 2, 3, 5 and 6), and openfeature-sdk 0.10.0, whose `initialize` runs
in a thread of its own, or blocks the event loop: so nothing here waits.
"""

from asyncsdk.integrations.openfeature.context import user_of
from asyncsdk.integrations.openfeature.provider import AsyncSDKProvider

__all__ = ["AsyncSDKProvider", "user_of"]
