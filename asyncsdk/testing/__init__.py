"""Tools to test an application that uses asyncsdk: a client in memory, rules in a few lines, a server in a thread.

    async def test_a_purchase_is_tracked() -> None:
        client = FakeClient(gates={"new_checkout": True})
        await checkout(client, "u1")
        client.assert_tracked("Order Completed", user="u1", sku="A")

The pytest plugin has fixtures for both, `asyncsdk_client` and `asyncsdk_dev`; see `README.md` in this folder.
"""

from asyncsdk.dev import DevServer, Fault
from asyncsdk.testing.exposures import RecordedExposure
from asyncsdk.testing.fake_client import FakeClient
from asyncsdk.testing.retries import no_backoff
from asyncsdk.testing.rule_conditions import Conditions
from asyncsdk.testing.rules_builder import RulesBuilder

__all__ = ["Conditions", "DevServer", "FakeClient", "Fault", "RecordedExposure", "RulesBuilder", "no_backoff"]
