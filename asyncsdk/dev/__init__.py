"""A local server that imitates Statsig, RudderStack and Amplitude, for development and for tests.

    async with DevServer(ruleset="rules.json") as server:
        rules = Rules(specs_url=f"{server.url}/v2/download_config_specs")
        client = Client(Statsig("secret-any", rules=rules, log_event_url=f"{server.url}/v1/log_event"))
        ...
        await server.received("statsig", 3)

The server shares no code with asyncsdk's own encoders, so that what it accepts is evidence that they are correct. The
vendors' published SDKs deliver to it and take their rules from it as well. The one exception is `initialize.py`: the
client-initialize response needs an evaluation, and that is asyncsdk's own.

`DevServer` documents what is recorded, and `Fault` how the server can be made to misbehave.
"""

from asyncsdk.dev.amplitude import AmplitudeServer
from asyncsdk.dev.faults import Fault
from asyncsdk.dev.history import ReceivedRequest
from asyncsdk.dev.received_event import ReceivedEvent
from asyncsdk.dev.rudderstack import RudderStackServer
from asyncsdk.dev.server import DevServer
from asyncsdk.dev.statsig import StatsigServer
from asyncsdk.dev.statsig_rules import StatsigRulesServer

__all__ = [
    "AmplitudeServer",
    "DevServer",
    "Fault",
    "ReceivedEvent",
    "ReceivedRequest",
    "RudderStackServer",
    "StatsigRulesServer",
    "StatsigServer",
]
