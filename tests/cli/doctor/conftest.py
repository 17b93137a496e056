"""A dev server in a thread, and an environment whose keys are sent to it."""

import os
from collections.abc import Callable, Iterator

import pytest

from asyncsdk.dev import DevServer

RULES = {"feature_gates": {"new_checkout": {"enabled": True, "defaultValue": True}}}
KEYS = {
    "STATSIG_SECRET_KEY": "secret-" + "k" * 30,
    "RUDDERSTACK_WRITE_KEY": "w" * 27,
    "AMPLITUDE_API_KEY": "a" * 32,
}
SetVendors = Callable[[str], None]


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    prefixes = ("STATSIG_", "RUDDERSTACK_", "AMPLITUDE_", "ASYNCSDK_")
    for name in os.environ:
        if name.startswith(prefixes) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def dev() -> Iterator[DevServer]:
    with DevServer(ruleset=RULES) as dev:
        yield dev


@pytest.fixture
def set_vendors(monkeypatch: pytest.MonkeyPatch) -> SetVendors:
    """Set the keys of all vendors, and their addresses to those of a server."""

    def set_vendors(url: str) -> None:
        addresses = {
            "STATSIG_SPECS_URL": f"{url}/v2/download_config_specs",
            "STATSIG_LOG_EVENT_URL": f"{url}/v1/log_event",
            "RUDDERSTACK_URL": url,
            "AMPLITUDE_URL": f"{url}/2/httpapi",
        }
        for name, value in (KEYS | addresses).items():
            monkeypatch.setenv(name, value)

    return set_vendors


@pytest.fixture
def healthy(dev: DevServer, set_vendors: SetVendors) -> DevServer:
    """A server that takes the events of all vendors."""
    set_vendors(dev.url)
    return dev
