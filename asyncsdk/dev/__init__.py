"""A local server that answers as Statsig, RudderStack and Amplitude do, for trying things and for tests.

    async with DevServer(ruleset="rules.json") as server:
        rules = Rules(specs_url=f"{server.url}/v2/download_config_specs")
        client = Client(Statsig("secret-any", rules=rules, log_event_url=f"{server.url}/v1/log_event"))
        ...
        await server.received("statsig", 3)

It shares no code with asyncsdk's own encoders, so that what it accepts proves something; the vendors'
published SDKs deliver to it as well, and take their rules from it. (What a browser SDK starts from needs an
evaluation, which is asyncsdk's own: `initialize.py`.) See `DevServer` for what it keeps and `Fault` for how it can
be made to misbehave.
"""

from asyncsdk.dev.amplitude import AmplitudeServer
from asyncsdk.dev.faults import Fault
from asyncsdk.dev.history import ReceivedRequest
from asyncsdk.dev.messages import ReceivedEvent
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
