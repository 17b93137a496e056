"""Private data is not exported, and OpenTelemetry is not imported unless it is used."""

import subprocess
import sys

from helpers import ruleset

from asyncsdk import Amplitude, Client, Limits, RudderStack, Rules, Statsig, User
from asyncsdk.dev import DevServer, Fault
from integrations.opentelemetry.telemetry import Telemetry

KEY = "secret-canary-of-a-key"
EMAIL = "ada@canary.example.com"
CANARY = "canary-of-something-private"
LIMITS = Limits(linger=0.01, retry_initial=0.01, retry_max=0.02, probe_interval=0.02)


async def test_no_key_address_or_private_attribute_is_exported(telemetry: Telemetry) -> None:
    user = User(
        "ada-lovelace",
        email=EMAIL,
        ip="192.0.2.77",
        country="NL",
        user_agent=CANARY,
        custom={"plan": CANARY},
        custom_ids={"companyID": CANARY},
        private_attributes={"ssn": CANARY},
        anonymous_id=CANARY,
        device_id=CANARY,
    )
    async with DevServer(ruleset=ruleset()) as server:
        for fault in (Fault(401), Fault(503), Fault(400), Fault(end="reset")):
            server.fault(None, fault, times=2)
        rules = Rules(
            specs_url=f"{server.url}/v2/download_config_specs",
            id_lists=True,
            id_lists_url=f"{server.url}/v1/get_id_lists?token={CANARY}",
        )
        client = Client(
            Statsig(KEY, rules=rules, log_event_url=f"{server.url}/v1/log_event?token={CANARY}", limits=LIMITS),
            RudderStack(KEY, server.url, limits=LIMITS),
            Amplitude(KEY, url=f"{server.url}/2/httpapi", limits=LIMITS),
        )
        async with telemetry.of(client, stall_interval=0.001):
            await client.check_gate(user, "dutch")
            await client.check_gate(user, "unknown gate")
            (await client.get_layer(user, "page")).get("color")
            await client.get_config(user, "prices")
            await client.track(user, "a", {"card": CANARY}, context={"app": CANARY})
            await client.identify(user, {"name": CANARY})
            await client.flush()
        bodies = repr([request.json for request in server.requests])

    exported = telemetry.all()
    assert telemetry.events
    assert telemetry.spans
    assert "asyncsdk.events.settled" in exported
    for private in (KEY, EMAIL, CANARY, "192.0.2.77"):
        assert private not in exported
    assert CANARY in bodies


def test_importing_the_package_does_not_import_opentelemetry() -> None:
    code = (
        "import sys, asyncsdk, asyncsdk.integrations; "
        "asyncsdk.Client(asyncsdk.RudderStack('key', 'http://127.0.0.1:9')); "
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
