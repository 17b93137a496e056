"""`asyncsdk doctor`: what it examines, and how it shows what it finds."""

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from asyncsdk import Amplitude
from asyncsdk.cli import main
from asyncsdk.cli.doctor.findings import Finding, as_text
from asyncsdk.cli.doctor.keys import check_key
from asyncsdk.dev import DevServer
from cli.doctor.run import doctor, states

Capture = pytest.CaptureFixture[str]


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_without_a_key_it_says_what_to_set(capsys: Capture) -> None:
    assert main(["doctor"]) == 2

    assert "no destination: set STATSIG_SECRET_KEY" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["0", "-1", "inf", "nan"])
def test_a_timeout_is_a_number_of_seconds(seconds: str, healthy: DevServer, capsys: Capture) -> None:
    assert main(["doctor", f"--timeout={seconds}"]) == 2

    assert capsys.readouterr().err == "asyncsdk doctor: --timeout takes a number of seconds above 0\n"


@pytest.mark.parametrize(
    ("name", "value"), [("ASYNCSDK_DEV_SERVER", "https://x.test"), ("ASYNCSDK_ENABLED", "perhaps")]
)
def test_a_variable_of_the_client_with_a_wrong_value_is_one_line(
    healthy: DevServer, capsys: Capture, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    assert main(["doctor"]) == 2

    assert capsys.readouterr().err.startswith(f"asyncsdk doctor: {name} must be ")


def test_a_file_of_authorities_that_is_not_there_is_one_line(healthy: DevServer, capsys: Capture) -> None:
    assert main(["doctor", "--ca-file", "/nowhere.pem"]) == 2

    assert capsys.readouterr().err.startswith("asyncsdk doctor: `ca_file` of HttpSettings cannot be loaded")


def test_a_mistake_in_the_variables_of_one_vendor_does_not_hide_the_others(
    healthy: DevServer, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATSIG_SECRET_KEY", "client-abc")

    results = doctor(capsys)

    assert results[0] == 1
    assert "starts with 'secret-'" in results[1]["STATSIG_SECRET_KEY"]["text"]
    assert states(results, "RudderStack", "Amplitude") == ["ok", "ok"]


@pytest.mark.parametrize(
    ("key", "state", "text"),
    [
        ("abc", "warning", "has an unusual form, with a length of 3"),
        ("'" + "a" * 32 + "'", "failure", "it has quotes around it"),
    ],
)
def test_an_unusual_key_is_said(key: str, state: str, text: str) -> None:
    finding = check_key(Amplitude(key))

    assert (finding.state, finding.text) == (state, text)


def test_the_off_switch_is_said(healthy: DevServer, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCSDK_ENABLED", "0")

    results = doctor(capsys, "--send")

    assert results[1]["off switch"]["text"] == "ASYNCSDK_ENABLED is set: nothing is sent"
    assert results[1]["RudderStack test event"]["text"] == "skipped: disabled"


def test_a_destination_of_your_own_has_a_key_of_its_own_form() -> None:
    own: Any = SimpleNamespace(name="Own")

    assert check_key(own).state == "skipped"


@pytest.mark.parametrize(("stage", "state"), [("staging", "warning"), ("production", "failure")])
def test_a_dev_server_in_production_is_a_mistake(
    healthy: DevServer, capsys: Capture, monkeypatch: pytest.MonkeyPatch, stage: str, state: str
) -> None:
    monkeypatch.setenv("ASYNCSDK_DEV_SERVER", healthy.url)
    monkeypatch.setenv("STATSIG_ENVIRONMENT", stage)
    monkeypatch.setenv("AMPLITUDE_URL", "http://127.0.0.1:9/2/httpapi")

    results = doctor(capsys)

    assert states(results, "dev server", "Amplitude") == [state, "ok"]


# --- a client of the service --------------------------------------------------------------------------------------

SHOP = """
import ssl
from asyncsdk import Amplitude, Client, HttpSettings, RudderStack, Statsig
from asyncsdk.engines import EngineError, Memory

class Own(RudderStack):
    pass

class Broken(Memory):
    async def open(self): raise EngineError("wrong password", refused=True)

class Hanging(Memory):
    async def open(self): await __import__("asyncio").sleep(60)

class Odd(Memory):
    async def open(self): return ["it forgets"]

url = "{url}"
client = Client(Own("key", url), Statsig("secret-x", rules=None, log_event_url=url), engine=Memory())
offline = Client(Statsig("secret-x", offline=True))
def create(): return Client(RudderStack("key", url), http=HttpSettings(proxy="http://127.0.0.1:9"))
broken, hanging, odd = (Client(Amplitude("k", url=url), engine=kind()) for kind in (Broken, Hanging, Odd))
nothing = 1
"""


@pytest.fixture
def shop(dev: DevServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DevServer:
    (tmp_path / "doctor_shop.py").write_text(SHOP.format(url=dev.url))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "doctor_shop", raising=False)
    return dev


def test_the_client_of_a_service_is_examined(shop: DevServer, capsys: Capture) -> None:
    results = doctor(capsys, "doctor_shop:client")

    assert states(results, "RudderStack key", "RudderStack", "Statsig") == ["warning", "skipped", "ok"]
    assert [finding["text"] for check, finding in results[1].items() if check.startswith("engine")] == ["reached"]


def test_a_client_s_proxy_is_used(shop: DevServer, capsys: Capture) -> None:
    results = doctor(capsys, "doctor_shop:create")

    assert results[1]["RudderStack"]["text"] == "not reached: proxy 127.0.0.1:9: connection refused"


def test_an_offline_destination_is_not_asked(shop: DevServer, capsys: Capture) -> None:
    assert states(doctor(capsys, "doctor_shop:offline"), "Statsig") == ["skipped"]


@pytest.mark.parametrize(
    ("name", "state", "text"),
    [
        ("broken", "failure", "wrong password"),
        ("hanging", "failure", "no answer in 0.3 s"),
        ("odd", "warning", "it forgets"),
    ],
)
def test_an_engine_that_fails_is_said(shop: DevServer, capsys: Capture, name: str, state: str, text: str) -> None:
    _, found = doctor(capsys, f"doctor_shop:{name}", "--timeout=0.3")

    [finding] = [finding for check, finding in found.items() if check.startswith("engine ")]
    assert (finding["state"], finding["text"]) == (state, text)


@pytest.mark.parametrize(
    "arguments", [["doctor_shop:nothing"], ["no_shop:client"], ["doctor_shop:client", "--trust-env"]]
)
def test_a_wrong_call_is_refused(shop: DevServer, capsys: Capture, arguments: list[str]) -> None:
    assert main(["doctor", *arguments]) == 2

    assert capsys.readouterr().err.startswith("asyncsdk doctor: ")


# --- how it is shown ----------------------------------------------------------------------------------------------


def test_a_finding_is_a_line_with_the_advice_below() -> None:
    findings = [Finding("ok", "clock", "agrees"), Finding("failure", "key", "is\n\x1b[31mrefused", "Copy it again.")]

    assert as_text(findings, 80).splitlines() == [
        "ok       clock: agrees",
        r"failure  key: is\n\x1b[31mrefused",
        "         Copy it again.",
        "2 checks: 1 failure",
    ]


def test_lines_are_printed_where_there_is_no_terminal(healthy: DevServer, capsys: Capture) -> None:
    assert main(["doctor"]) == 0

    assert capsys.readouterr().out.endswith("\n9 checks: all is well\n")


def test_a_table_is_drawn_on_a_terminal(healthy: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    monkeypatch.setenv("TERM", "xterm-256color")

    assert main(["doctor"]) == 0

    assert "│ clock" in terminal.getvalue()
