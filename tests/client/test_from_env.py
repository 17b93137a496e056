"""`Client.from_env()`: destinations from environment variables."""

import inspect
import logging
import re
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from helpers import ruleset

from asyncsdk import Amplitude, Client, ConfigurationError, RudderStack, Statsig
from asyncsdk._client.environment import _GROUPS
from asyncsdk._client.settings import ClientOptions

KEYS = {
    "STATSIG_SECRET_KEY": "secret-key",
    "RUDDERSTACK_WRITE_KEY": "write-key",
    "RUDDERSTACK_URL": "https://plane.example.com",
    "AMPLITUDE_API_KEY": "api-key",
}


def destination(environ: dict[str, str], **options: Any) -> Any:
    [lane] = Client.from_env(environ, **options)._lanes
    return lane.destination


def test_each_key_makes_a_destination() -> None:
    made = [lane.destination for lane in Client.from_env(KEYS)._lanes]

    assert made == [
        Statsig("secret-key", session_id=made[0].session_id),  # type: ignore[attr-defined]
        RudderStack("write-key", "https://plane.example.com"),
        Amplitude("api-key"),
    ]


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for group in _GROUPS.values() for name in group]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AMPLITUDE_API_KEY", "api-key\n")

    assert [lane.destination for lane in Client.from_env()._lanes] == [Amplitude("api-key")]


def test_other_variables_are_their_settings(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_bytes(ruleset())
    more = {
        "STATSIG_ENVIRONMENT": "staging",
        "STATSIG_SPECS_URL": "http://127.0.0.1:9/rules",
        "STATSIG_LOG_EVENT_URL": "http://127.0.0.1:9/log",
        "STATSIG_BOOTSTRAP": str(file),
    }

    made = destination({"STATSIG_SECRET_KEY": "secret-key", **more})

    assert (made.environment, made.log_event_url) == ("staging", "http://127.0.0.1:9/log")
    assert (made.rules.specs_url, made.rules.bootstrap) == ("http://127.0.0.1:9/rules", file)


@pytest.mark.parametrize(
    ("variable", "address"),
    [
        ({"AMPLITUDE_ZONE": "eu"}, "https://api.eu.amplitude.com/2/httpapi"),
        ({"AMPLITUDE_URL": "http://127.0.0.1:9"}, "http://127.0.0.1:9/2/httpapi"),
    ],
)
def test_amplitude_has_a_zone_or_an_address(variable: dict[str, str], address: str) -> None:
    assert destination({"AMPLITUDE_API_KEY": "api-key", **variable}).frame([b"{"], 0).url == address


def test_the_spool_may_come_from_the_environment(tmp_path: Path) -> None:
    environ = {"AMPLITUDE_API_KEY": "api-key", "ASYNCSDK_SPOOL": str(tmp_path)}

    assert Client.from_env(environ).health().spool is not None
    assert Client.from_env({"AMPLITUDE_API_KEY": "api-key", "ASYNCSDK_SPOOL": ""}).health().spool is None


@pytest.mark.parametrize("environ", [{}, {"AMPLITUDE_API_KEY": ""}, {"AMPLITUDE_API_KEY": " \n"}])
def test_without_a_key_the_error_names_all_keys(environ: dict[str, str]) -> None:
    message = "no destination: set STATSIG_SECRET_KEY, RUDDERSTACK_WRITE_KEY or AMPLITUDE_API_KEY in the environment"

    with pytest.raises(ConfigurationError, match=message):
        Client.from_env(environ)


def test_a_client_that_is_off_needs_no_key() -> None:
    assert not Client.from_env({"ASYNCSDK_ENABLED": "0"}).health().enabled
    assert not Client.from_env({}, enabled=False).health().enabled


def test_the_call_has_the_last_word() -> None:
    assert Client.from_env({**KEYS, "ASYNCSDK_ENABLED": "0"}, enabled=True).health().enabled


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"RUDDERSTACK_WRITE_KEY": "key"}, "set RUDDERSTACK_URL (from RUDDERSTACK_WRITE_KEY)"),
        ({"STATSIG_SECRET_KEY": "client-key"}, "starts with 'secret-'; others have no access to rules (from STATSIG_"),
        ({"AMPLITUDE_API_KEY": "api-key", "AMPLITUDE_ZONE": "moon"}, "(from AMPLITUDE_API_KEY, AMPLITUDE_ZONE)"),
    ],
)
def test_a_wrong_value_names_its_variables(environ: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)) as caught:
        Client.from_env(environ)

    assert "client-key" not in str(caught.value)


def test_a_setting_without_its_key_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    Client.from_env({"AMPLITUDE_API_KEY": "api-key", "RUDDERSTACK_URL": "https://plane.example.com"})

    assert [(record.levelno, record.message) for record in caplog.records] == [
        (logging.WARNING, "RUDDERSTACK_URL is set, but RUDDERSTACK_WRITE_KEY is not: there is no RudderStack")
    ]


def test_it_takes_each_option_of_the_client() -> None:
    keywords = [p for p in inspect.signature(Client).parameters.values() if p.kind is p.KEYWORD_ONLY]

    assert [keyword.name for keyword in keywords] == list(get_type_hints(ClientOptions))


def test_its_docstring_has_each_variable() -> None:
    documented = re.findall(r"`([A-Z]+_[A-Z_]+)`", str(Client.from_env.__doc__))

    assert {name for group in _GROUPS.values() for name in group} <= set(documented)
