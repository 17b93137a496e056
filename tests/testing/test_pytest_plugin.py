"""The pytest plugin, in test runs of its own: beside each async plugin, and beside none."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]

PLUGIN = ("-p", "no:asyncsdk", "-p", "asyncsdk.testing.pytest_plugin")  # not the installed one, if there is one
ALONE = ("-p", "no:asyncio", "-p", "no:aiohttp", "-p", "no:anyio", "-p", "no:xdist")
LOOP_SCOPE = ("-o", "asyncio_default_fixture_loop_scope=function")
HEAD = """
import pytest
from asyncsdk import Amplitude, Client, RudderStack, Rules, Statsig, Track
from asyncsdk.testing import DevServer, FakeClient

def service():
    return Client(Statsig("secret-any"), RudderStack("any", "https://plane.example.com"))
"""
ASYNC_TESTS = """
@pytest.mark.asyncsdk(gates={"sale": True})
MARK
async def test_a_fake(asyncsdk_client):
    assert await asyncsdk_client.check_gate("u1", "sale")
    await asyncsdk_client.track("u1", "Order Completed", {"sku": "A"})
    asyncsdk_client.assert_tracked("Order Completed", user="u1", sku="A")

@pytest.mark.asyncsdk(gates={"sale": ["u1"]}, strict=True)
MARK
async def test_a_server(asyncsdk_dev):
    async with service() as client:
        assert [await client.check_gate(user, "sale") for user in ("u1", "u2")] == [True, False]
        await client.track("u1", "Order Completed")
        [event] = await asyncsdk_dev.received("rudderstack")
    assert event.name == "Order Completed"
"""


def run(pytester: pytest.Pytester, code: str, *args: str) -> pytest.RunResult:
    pytester.makepyfile(HEAD + code)
    return pytester.runpytest(*PLUGIN, *args, "-q", "-p", "no:cacheprovider")


ASYNC_PLUGINS = {
    "asyncio, auto": ("", ("-p", "no:aiohttp", "-o", "asyncio_mode=auto", *LOOP_SCOPE)),
    "asyncio, strict": ("@pytest.mark.asyncio", ("-p", "no:aiohttp", "-o", "asyncio_mode=strict", *LOOP_SCOPE)),
    "anyio": ("@pytest.mark.anyio", ("-p", "no:asyncio", "-p", "no:aiohttp")),
    "aiohttp": ("", ("-o", "asyncio_mode=auto", *LOOP_SCOPE)),
}


@pytest.mark.parametrize("plugin", ASYNC_PLUGINS)
def test_the_fixtures_work_with_every_async_plugin(pytester: pytest.Pytester, plugin: str) -> None:
    mark, args = ASYNC_PLUGINS[plugin]
    only_asyncio = "\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n"

    run(pytester, only_asyncio + ASYNC_TESTS.replace("MARK", mark), *args).assert_outcomes(passed=2)


SYNC_TESTS = """
@pytest.mark.asyncsdk(gates={"sale": True}, strict=True)
class TestShop:
    def test_a_fake(self, asyncsdk_client):
        flags = asyncsdk_client.bind("u1")
        assert flags.check_gate("sale")
        flags.track("Order Completed")
        asyncsdk_client.assert_tracked("Order Completed")

    @pytest.mark.asyncsdk(gates={"more": False}, configs={"prices": {"lamp": 39.0}})
    def test_markers_add_up(self, asyncsdk_client):
        assert asyncsdk_client.gates == {"sale": True, "more": False}
        assert asyncsdk_client.bind("u1").get_config("prices").get_number("lamp") == 39.0

    def test_a_server(self, asyncsdk_dev):
        import asyncio, os
        async def main():
            async with service() as client:
                await client.track("u1", "Order Completed")
        asyncio.run(main())
        assert [event.name for event in asyncsdk_dev.wait_received("rudderstack")] == ["Order Completed"]
        assert os.environ["ASYNCSDK_DEV_SERVER"] == asyncsdk_dev.url

    def test_both(self, asyncsdk_dev, asyncsdk_client):
        asyncsdk_client.put_nowait(Track("u1", "Order Completed"))
        assert asyncsdk_dev.requests == []
"""


def test_the_fixtures_work_without_any_async_plugin(pytester: pytest.Pytester) -> None:
    run(pytester, SYNC_TESTS, *ALONE).assert_outcomes(passed=4)


@pytest.mark.process
def test_the_fixtures_work_with_xdist(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(HEAD + SYNC_TESTS)

    pytester.runpytest_subprocess(*PLUGIN, "-n", "2", "-q", *LOOP_SCOPE).assert_outcomes(passed=4)


# Each fails its strict test: the body, and what the report says.
PROBLEMS = {
    "a gate that was not awaited": (
        "    if asyncsdk_client.check_gate('u1', 'sale', exposure=False): pass",
        "*test_a_strict_test_fails_on.py:*: check_gate('u1', 'sale', exposure=False) was never awaited*",
    ),
    "an event that was not awaited": (
        "    asyncsdk_client.track('u1', 'Order Completed')",
        "*track('u1', 'Order Completed') was never awaited*",
    ),
    "a gate of a client of its own": (
        "    client = Client()\n    client.get_gate('u1', 'sale')",
        "*get_gate('u1', 'sale') was never awaited*",
    ),
    "an unknown gate": (
        "    asyncsdk_client.bind('u1').check_gate('sael')",
        "*a lookup asked for the gate 'sael', which the rules do not have*",
    ),
    "an event that a vendor rejects": (
        "    FakeClient(Amplitude('any')).put_nowait(Track('u1', 'Order Completed'))",
        "*Amplitude: events are rejected: id too short (min_id_length); use a user of 5 characters or more*",
    ),
    "an event that is not valid": (
        "    asyncsdk_client.put_nowait(Track('u1', ''))",
        "*RudderStack rejected the event '': invalid*",
    ),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_strict_test_fails_on(pytester: pytest.Pytester, problem: str) -> None:
    body, text = PROBLEMS[problem]
    fixture = "@pytest.fixture\ndef asyncsdk_client(_asyncsdk_strict):\n    client = FakeClient(on_invalid='report')\n    _asyncsdk_strict.append(client)\n    return client\n"
    given = fixture if "not valid" in problem else ""
    code = f"{given}@pytest.mark.asyncsdk(gates={{'sale': True}}, MODE)\ndef test_it(asyncsdk_client):\n{body}\n"

    strict = run(pytester, code.replace("MODE", "strict=True"), *ALONE)

    strict.assert_outcomes(passed=1, errors=1)
    strict.stdout.fnmatch_lines([text])


def test_what_a_vendor_rejected_fails_a_strict_test(pytester: pytest.Pytester) -> None:
    code = """
import json, urllib.request
@pytest.mark.asyncsdk(strict=True)
def test_it(asyncsdk_dev):
    body = {"batch": [{"type": "track", "messageId": "m", "event": "Order Completed"}]}
    request = urllib.request.Request(f"{asyncsdk_dev.url}/v1/batch", json.dumps(body).encode(), {"Content-Type": "application/json", "Authorization": "Basic a2V5Og=="})
    urllib.request.urlopen(request).close()
"""
    result = run(pytester, code, *ALONE)

    result.stdout.fnmatch_lines(["*rudderstack rejected the event 'Order Completed': *"])


def test_an_outage_that_a_client_survives_is_no_problem(pytester: pytest.Pytester) -> None:
    code = """
import asyncio
from asyncsdk.testing import no_backoff
@no_backoff()
@pytest.mark.asyncsdk(strict=True)
def test_it(asyncsdk_dev, caplog):
    async def main():
        asyncsdk_dev.script("rudderstack", 503, 401, 503)
        async with service() as client:
            await (await client.track("u1", "Order Completed"))
    asyncio.run(main())
    assert any(record.name == "asyncsdk.delivery" for record in caplog.records)
"""
    run(pytester, code, *ALONE).assert_outcomes(passed=1)


UNKNOWN_GATE_OF_A_SERVER = """
import asyncio
MARK
def test_it(asyncsdk_dev):
    async def main():
        async with service() as client:
            await client.check_gate("u1", "sael", exposure=False)
    asyncio.run(main())
"""


@pytest.mark.parametrize(("mark", "args", "errors"), [
    ("@pytest.mark.asyncsdk(strict=True)", (), 1),
    ("", ("-o", "asyncsdk_strict=true"), 1),
    ("@pytest.mark.asyncsdk(strict=False)", ("-o", "asyncsdk_strict=true"), 0),
    ("", (), 0),
])  # fmt: skip
def test_strict_is_a_choice(pytester: pytest.Pytester, mark: str, args: tuple[str, ...], errors: int) -> None:
    result = run(pytester, UNKNOWN_GATE_OF_A_SERVER.replace("MARK", mark), *ALONE, *args)

    result.assert_outcomes(passed=1, errors=errors)


def test_the_marker_works_without_a_fixture(pytester: pytest.Pytester) -> None:
    code = "@pytest.mark.asyncsdk(strict=True)\ndef test_it():\n    client = Client()\n    client.track('u1', 'Order Completed')\n"

    run(pytester, code, *ALONE).assert_outcomes(passed=1, errors=1)


def test_a_strict_test_without_problems_passes_and_leaves_nothing_behind(pytester: pytest.Pytester) -> None:
    code = """
import asyncio, inspect, logging
@pytest.mark.asyncsdk(gates={"sale": True}, strict=True)
def test_it(asyncsdk_client, caplog):
    async def main():
        for _ in range(1_100):
            assert await asyncsdk_client.check_gate("u1", "sale")
    asyncio.run(main())
    logging.getLogger("asyncsdk.rules").debug("not shown")
    logging.getLogger("asyncsdk.rules").warning("shown")
    assert caplog.messages == ["shown"]
    assert hasattr(Client.check_gate, "__wrapped__")

def test_after_it():
    assert not hasattr(Client.check_gate, "__wrapped__")
    for logger in map(logging.getLogger, ["asyncsdk.rules", "asyncsdk.delivery"]):
        assert (logger.level, logger.filters) == (logging.NOTSET, [])
"""
    run(pytester, code, *ALONE).assert_outcomes(passed=2)


def test_a_mistake_in_the_marker_says_what_it_takes(pytester: pytest.Pytester) -> None:
    for given in ("gate={}", "{}"):
        result = run(pytester, f"@pytest.mark.asyncsdk({given})\ndef test_it(asyncsdk_client): ...\n", *ALONE)

        result.stdout.fnmatch_lines(["*the marker asyncsdk takes gates=, configs=, * and not *"])


def test_its_marker_and_fixtures_are_documented(pytester: pytest.Pytester) -> None:
    run(pytester, "", *ALONE, "--markers").stdout.fnmatch_lines(["@pytest.mark.asyncsdk(gates={}, *"])
    run(pytester, "", *ALONE, "--fixtures").stdout.fnmatch_lines(["asyncsdk_dev*", "*`DevServer` in a thread*"])


def test_an_unrelated_test_run_imports_the_plugin_alone() -> None:
    """Imported as it is installed, without its package, the plugin loads nothing that pytest has not loaded."""
    code = (
        "import sys, pytest\n"
        f"sys.path.insert(0, {str(ROOT / 'asyncsdk/testing')!r})\n"
        "before = set(sys.modules)\n"
        "import pytest_plugin\n"
        "print(*set(sys.modules) - before)"
    )

    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "pytest_plugin\n"


def test_it_is_installed_as_a_module_of_its_own() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    files = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]

    [module] = project["project"]["entry-points"]["pytest11"].values()
    assert files == {"asyncsdk/testing/pytest_plugin.py": f"{module}.py"}
    assert (ROOT / "asyncsdk/testing/pytest_plugin.py").is_file()
