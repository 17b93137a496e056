"""The OpenAPI document of the control API: complete, and true of a running server, as schemathesis finds."""

import copy
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings

from asyncsdk.dev import DevServer
from asyncsdk.dev.control.openapi import DOCUMENT
from asyncsdk.dev.control.router import PREFIX
from dev.control import call, small_ruleset

PAGE = Path(__file__).parents[2] / ".docs" / "pages" / "workbench" / "api.md"
CHECKED = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")
PATHS: dict[str, dict[str, Any]] = orjson.loads(DOCUMENT.read_bytes())["paths"]
OPERATIONS = [(method.upper(), path) for path, methods in PATHS.items() for method in methods]


async def test_every_call_is_documented_and_no_other(server: DevServer) -> None:
    calls = [(method, PREFIX + path) for method, path in server._site.router.calls]

    assert sorted(calls) == sorted(OPERATIONS)


async def test_the_document_is_served(server: DevServer) -> None:
    assert (await call(server, "openapi.json"))["paths"] == PATHS


def test_the_page_names_every_call() -> None:
    text = PAGE.read_text()

    assert [one for one in OPERATIONS if f"`{one[0]} {one[1].removeprefix(PREFIX)}`" not in text] == []


# --- a running server, by schemathesis --------------------------------------------------------------------------------


@pytest.fixture
def full_server(tmp_path: Path) -> Iterator[DevServer]:
    """A server that has something of everything."""
    file = tmp_path / "rules.json"
    file.write_bytes(orjson.dumps(small_ruleset()))
    with DevServer(ruleset=file) as server:
        server.override("sale", value=True)
        yield server


def impatient() -> dict[str, Any]:
    """The document, with short waits and small samples."""
    document = copy.deepcopy(orjson.loads(DOCUMENT.read_bytes()))
    for methods in document["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", []):
                if parameter.get("name") == "within":
                    parameter |= {"required": True, "schema": {"type": "number", "minimum": 0, "maximum": 0.05}}
            schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            for name, most in {"within": 0.05, "n": 20}.items():
                if name in schema.get("properties", {}):
                    schema["properties"][name]["maximum"] = most
    return document


@pytest.mark.process
@pytest.mark.timeout(120)
@pytest.mark.parametrize("operation", [f"{method} {path}" for method, path in OPERATIONS if "stream" not in path])
def test_answers_are_as_documented(operation: str, full_server: DevServer) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its dependencies
        schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis, an extra of [dev]")
        from schemathesis.checks import CHECKS, load_all_checks

        load_all_checks()
        method, path = operation.split()
        found = schemathesis.openapi.from_dict(impatient())[path][method]
        modes = schemathesis.GenerationMode
        cases = found.as_strategy(generation_mode=modes.POSITIVE) | found.as_strategy(generation_mode=modes.NEGATIVE)

        @settings(
            max_examples=5, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
        )
        @given(case=cases)
        def check(case: Any) -> None:
            response = case.call(base_url=full_server.url)
            case.validate_response(response, checks=[CHECKS.get_one(name) for name in CHECKED])

        check()
