"""Requests to vendors as spans."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from helpers import ADA, rudderstack, ruleset
from helpers import statsig_with_rules as statsig
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.semconv.attributes import http_attributes, server_attributes, url_attributes
from opentelemetry.trace import SpanKind, StatusCode, get_tracer

from asyncsdk import Client, RequestInfo, Rules
from asyncsdk.dev import DevServer, Fault
from integrations.opentelemetry.telemetry import Telemetry


@pytest.fixture
async def vendor() -> AsyncIterator[DevServer]:
    async with DevServer(ruleset=ruleset()) as server:
        yield server


async def test_a_post_is_a_client_span_of_the_http_convention(telemetry: Telemetry, server: DevServer) -> None:
    async with telemetry.of(Client(rudderstack(server)), name="shop") as client:
        await client.track(ADA, "a")
        await client.track("bob", "b")

    [span] = telemetry.spans
    [request] = server.requests
    assert (span.name, span.kind, span.status.status_code) == ("POST /v1/batch", SpanKind.CLIENT, StatusCode.UNSET)
    assert dict(span.attributes or {}) == {
        http_attributes.HTTP_REQUEST_METHOD: "POST",
        http_attributes.HTTP_RESPONSE_STATUS_CODE: 200,
        "http.request.body.size": request.wire_size,
        url_attributes.URL_FULL: f"{server.url}/v1/batch",
        "url.template": "/v1/batch",
        server_attributes.SERVER_ADDRESS: "127.0.0.1",
        server_attributes.SERVER_PORT: int(server.url.rpartition(":")[2]),
        "asyncsdk.client": "shop",
        "asyncsdk.destination": "RudderStack",
        "asyncsdk.purpose": "events",
        "asyncsdk.events": 2,
    }


async def test_a_poll_is_a_span_without_the_key(telemetry: Telemetry, vendor: DevServer) -> None:
    rules = Rules(specs_url=f"{vendor.url}/v2/download_config_specs")
    async with telemetry.of(Client(statsig(vendor, rules=rules))):
        pass

    [span] = telemetry.spans
    assert span.name == "GET /v2/download_config_specs/REDACTED.json"
    assert span.attributes is not None
    assert span.attributes["asyncsdk.purpose"] == "rules"
    assert "asyncsdk.events" not in span.attributes


async def test_the_many_files_of_id_lists_share_one_name(telemetry: Telemetry, vendor: DevServer) -> None:
    vendor.set_id_list("employees", ["ada-lovelace"])
    rules = Rules(
        specs_url=f"{vendor.url}/v2/download_config_specs", id_lists=True, id_lists_url=f"{vendor.url}/v1/get_id_lists"
    )
    async with telemetry.of(Client(statsig(vendor, rules=rules))):
        pass

    lists = [span for span in telemetry.spans if (span.attributes or {})["asyncsdk.purpose"] == "id_lists"]
    assert {span.name for span in lists} == {"POST", "GET"}
    assert all("url.template" not in (span.attributes or {}) for span in lists)


async def test_an_error_status_is_an_error(telemetry: Telemetry, server: DevServer) -> None:
    server.script("rudderstack", 503)
    async with telemetry.of(Client(rudderstack(server))) as client:
        await client.track(ADA, "a")

    first, second = telemetry.spans
    assert (first.status.status_code, (first.attributes or {})["error.type"]) == (StatusCode.ERROR, "503")
    assert (first.attributes or {})["http.response.status_code"] == 503
    assert second.status.status_code is StatusCode.UNSET


async def test_a_lost_connection_is_an_error_with_its_name(telemetry: Telemetry, server: DevServer) -> None:
    server.script("rudderstack", Fault(end="reset"))
    async with telemetry.of(Client(rudderstack(server))) as client:
        await client.track(ADA, "a")

    attributes = telemetry.spans[0].attributes or {}
    assert attributes["error.type"] == "connection_lost"
    assert "http.response.status_code" not in attributes


async def test_a_cancelled_request_ends_its_span(telemetry: Telemetry, server: DevServer) -> None:
    server.fault("rudderstack", Fault(delay=30))
    client = telemetry.of(Client(rudderstack(server)))
    await client.start()
    await client.track(ADA, "a")
    await server.requested("rudderstack")
    await client.aclose(timeout=0)

    [span] = telemetry.spans
    assert (span.attributes or {})["error.type"] == "cancelled"


async def test_a_post_belongs_to_no_request_of_the_application(telemetry: Telemetry, server: DevServer) -> None:
    tracer = get_tracer("app", tracer_provider=telemetry.tracers)
    with tracer.start_as_current_span("start-up"):
        async with telemetry.of(Client(rudderstack(server))) as client:
            await client.track(ADA, "a")

    assert [span.parent for span in telemetry.spans] == [None, None]


async def test_requests_that_follow_each_other_are_not_each_others_children(
    telemetry: Telemetry, server: DevServer
) -> None:
    server.script("rudderstack", 413)
    async with telemetry.of(Client(rudderstack(server))) as client:
        await client.track(ADA, "a")
        await client.track(ADA, "b")

    assert [span.parent for span in telemetry.spans] == [None, None, None]


async def test_the_default_port_is_that_of_the_scheme(telemetry: Telemetry) -> None:
    async with DevServer() as gone:
        client = Client(rudderstack(gone))
    telemetry.of(client)
    [watch] = client._hooks.on_request
    for url in ("http://plane.example.com/v1/batch", "https://plane.example.com/v1/batch"):
        end = watch(RequestInfo("RudderStack", "events", "POST", url))
        assert end is not None
        end()

    assert [(span.attributes or {})["server.port"] for span in telemetry.spans] == [80, 443]


@pytest.fixture
def all_sessions_are_traced(telemetry: Telemetry) -> Iterator[None]:
    """Enable OpenTelemetry's own instrumentation of aiohttp, as `opentelemetry-instrument` does."""
    AioHttpClientInstrumentor().instrument(tracer_provider=telemetry.tracers)
    yield
    AioHttpClientInstrumentor().uninstrument()


@pytest.mark.usefixtures("all_sessions_are_traced")
async def test_the_general_instrumentation_of_aiohttp_adds_no_second_span_and_no_key(
    telemetry: Telemetry, vendor: DevServer
) -> None:
    rules = Rules(specs_url=f"{vendor.url}/v2/download_config_specs")
    async with telemetry.of(Client(statsig(vendor, rules=rules))) as client:
        await client.track(ADA, "a")

    assert sorted(span.name for span in telemetry.spans) == [
        "GET /v2/download_config_specs/REDACTED.json",
        "POST /v1/log_event",
    ]
    assert all(request.header("traceparent") is None for request in vendor.requests)


@pytest.mark.usefixtures("all_sessions_are_traced")
async def test_the_applications_own_requests_are_traced_as_before(telemetry: Telemetry, vendor: DevServer) -> None:
    async with telemetry.of(Client(rudderstack(vendor))) as client, aiohttp.ClientSession() as session:
        await client.track(ADA, "a")
        async with asyncio.TaskGroup() as group:
            group.create_task(client.flush())
            async with session.get(f"{vendor.url}/health"):
                pass

    assert sorted(span.name for span in telemetry.spans) == ["GET", "POST /v1/batch"]
