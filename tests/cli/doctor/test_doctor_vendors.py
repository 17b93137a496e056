"""`asyncsdk doctor` asks vendors: healthy, with a wrong key, unreachable, behind a proxy or another clock."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import trustme

from asyncsdk.cli.doctor.network import _judge_certificate
from asyncsdk.dev import AmplitudeServer, DevServer, Fault, RudderStackServer, StatsigRulesServer, StatsigServer
from asyncsdk.dev.threads import ServerThread
from cli.doctor.conftest import KEYS, SetVendors
from cli.doctor.run import doctor, states

Capture = pytest.CaptureFixture[str]
ServeTls = Callable[[trustme.LeafCert | None], str]
ALL = ("Statsig rules", "Statsig events", "RudderStack", "Amplitude")


def test_all_is_well_and_no_event_is_sent(healthy: DevServer, capsys: Capture) -> None:
    results = doctor(capsys)

    assert results[0] == 0
    assert {finding["state"] for finding in results[1].values()} == {"ok"}
    assert "1 gates, configs, experiments and layers, 0.2 kB" in results[1]["Statsig rules"]["text"]
    assert [healthy.total(vendor) for vendor in ("statsig", "rudderstack", "amplitude")] == [0, 0, 0]


def test_one_event_is_sent_if_asked_for(healthy: DevServer, capsys: Capture) -> None:
    results = doctor(capsys, "--send")

    assert results[0] == 0
    assert states(results, "Statsig test event", "RudderStack test event", "Amplitude test event") == ["ok"] * 3
    names = [(event.vendor, event.name) for event in healthy.accepted()]
    assert sorted(names) == [(vendor, "asyncsdk doctor") for vendor in ("amplitude", "rudderstack", "statsig")]


def test_a_wrong_key_is_said_and_never_shown(set_vendors: SetVendors, capsys: Capture) -> None:
    others = ["other"]
    vendors = [kind(keys=others) for kind in (AmplitudeServer, RudderStackServer, StatsigServer, StatsigRulesServer)]
    with DevServer(vendors=vendors) as dev:
        set_vendors(dev.url)
        results = doctor(capsys, "--send", "--timeout=0.5")

    assert results[0] == 1
    assert all("the key is refused" in results[1][check]["text"] for check in ALL)
    assert not any(key in str(results) for key in KEYS.values())
    assert results[1]["Amplitude test event"]["state"] == "failure"


def test_a_server_that_is_not_there_is_said(set_vendors: SetVendors, capsys: Capture) -> None:
    set_vendors("http://127.0.0.1:9")

    results = doctor(capsys, "--send", "--timeout=2")

    assert results[0] == 1
    assert all(results[1][check]["text"] == "not reached: connection refused" for check in ALL)
    assert results[1]["RudderStack test event"]["text"].startswith("abandoned: ")  # at any moment of a retry
    assert "clock" not in results[1]


def test_a_name_that_is_not_found_is_said_once(set_vendors: SetVendors, capsys: Capture) -> None:
    set_vendors("http://no-such-host.invalid")

    results = doctor(capsys)

    assert states(results, "name", *ALL) == ["failure", *["skipped"] * 4]
    assert "no-such-host.invalid is not found" in results[1]["name"]["text"]


def test_a_name_server_that_does_not_answer_in_time_is_said(
    healthy: DevServer, set_vendors: SetVendors, capsys: Capture
) -> None:
    set_vendors(healthy.url.replace("127.0.0.1", "localhost"))

    assert doctor(capsys, "--timeout=1e-9")[1]["name"]["text"] == "localhost: no answer in 1e-09 s"


def test_a_name_that_is_found_is_shown(healthy: DevServer, set_vendors: SetVendors, capsys: Capture) -> None:
    set_vendors(healthy.url.replace("127.0.0.1", "localhost"))

    assert doctor(capsys)[1]["name"]["text"].startswith("localhost has ")


@pytest.mark.parametrize(("behind", "state"), [(0, "ok"), (20, "warning"), (-7200, "failure")])
def test_a_clock_is_compared_with_the_vendor_s(healthy: DevServer, capsys: Capture, behind: int, state: str) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=behind), usegmt=True)
    for vendor in ("statsig-rules", "statsig", "rudderstack", "amplitude"):
        healthy.fault(vendor, Fault(headers={"Date": date}))

    assert states(doctor(capsys), "clock") == [state]


def test_a_captive_portal_is_not_taken_for_the_vendor(healthy: DevServer, capsys: Capture) -> None:
    page = Fault(200, body=b"<html><h1>Log in to WiFi</h1></html>", headers={"Content-Type": "text/html"})
    for vendor in ("statsig-rules", "statsig", "rudderstack", "amplitude"):
        healthy.fault(vendor, page)

    results = doctor(capsys)

    assert results[0] == 1
    assert all(results[1][check]["text"] == "an HTML page answered: Log in to WiFi" for check in ALL)


@pytest.mark.parametrize(
    ("body", "state", "text"),
    [
        (b"[]", "failure", "not a ruleset: "),
        (b'{"has_updates": false}', "failure", "the answer has no rules"),
        (
            b'{"has_updates": true, "time": 0, "feature_gates": {}, "dynamic_configs": {}, "layer_configs": {}}',
            "warning",
            "the key is accepted, and the rules are empty",
        ),
    ],
)
def test_rules_that_are_none_are_said(healthy: DevServer, capsys: Capture, body: bytes, state: str, text: str) -> None:
    healthy.fault("statsig-rules", Fault(200, body=body))

    finding = doctor(capsys)[1]["Statsig rules"]

    assert (finding["state"], text in finding["text"]) == (state, True)


# --- TLS and proxies ----------------------------------------------------------------------------------------------


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer any request with 401, if one comes."""
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    writer.close()


@pytest.fixture
def serve_tls() -> Iterator[ServeTls]:
    """Serve TLS with a certificate, or without TLS, and return the address."""
    thread, servers = ServerThread(), []

    def serve(certificate: trustme.LeafCert | None) -> str:
        context = None
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
        servers.append(thread.run(asyncio.start_server(_refuse, "localhost", 0, family=socket.AF_INET, ssl=context)))
        return f"https://localhost:{servers[-1].sockets[0].getsockname()[1]}"

    yield serve
    for server in servers:
        thread.call(server.close)
    thread.close()


def test_a_certificate_that_is_not_trusted_is_said(
    serve_tls: ServeTls, set_vendors: SetVendors, capsys: Capture
) -> None:
    set_vendors(serve_tls(trustme.CA().issue_cert("localhost")))

    results = doctor(capsys)

    assert states(results, "TLS", "RudderStack") == ["failure", "skipped"]
    assert "unable to get local issuer certificate" in results[1]["TLS"]["text"]


@pytest.mark.parametrize("days", [90, 3])
def test_the_end_of_a_certificate_is_shown(
    serve_tls: ServeTls, set_vendors: SetVendors, capsys: Capture, tmp_path: Path, days: int
) -> None:
    state = "ok" if days > 14 else "warning"
    authority, until = trustme.CA(), datetime.now(UTC) + timedelta(days=days)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    set_vendors(serve_tls(authority.issue_cert("localhost", not_after=until)))

    results = doctor(capsys, "--ca-file", str(tmp_path / "ca.pem"))

    assert states(results, "TLS", "RudderStack") == [state, "failure"]
    assert f"valid until {until:%Y-%m-%d}" in results[1]["TLS"]["text"]
    assert "the key is refused" in results[1]["RudderStack"]["text"]


def test_a_certificate_that_is_not_verified_is_a_warning() -> None:
    assert _judge_certificate("TLS", "x.test", {}).state == "warning"


def test_a_server_that_does_not_speak_tls_is_said(
    serve_tls: ServeTls, set_vendors: SetVendors, capsys: Capture
) -> None:
    set_vendors(serve_tls(None))

    assert states(doctor(capsys, "--timeout", "0.5"), "TLS", "Amplitude") == ["failure", "skipped"]


def test_the_environment_s_proxy_is_used_if_asked_for(
    healthy: DevServer, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://ada:secret@127.0.0.1:9")

    ignored, used = doctor(capsys), doctor(capsys, "--trust-env")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    excepted = doctor(capsys, "--trust-env")

    assert [results[0] for results in (ignored, used, excepted)] == [0, 1, 0]
    assert ignored[1]["proxy"]["text"] == "HTTP_PROXY is set, but the client does not use it"
    assert used[1]["RudderStack"]["text"] == "not reached: proxy 127.0.0.1:9: connection refused"
    assert "secret" not in str(used[1]["RudderStack"])


@pytest.mark.usefixtures("healthy")
def test_a_proxy_of_the_environment_that_is_not_used_is_not_checked(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:9")

    assert doctor(capsys)[0] == 0
