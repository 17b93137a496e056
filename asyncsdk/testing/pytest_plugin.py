"""The pytest plugin: fixtures `asyncsdk_client` and `asyncsdk_dev`, and the marker `asyncsdk`.

pytest imports this file at the start of every test run of an environment that has asyncsdk. So it is installed as a
module of its own, `asyncsdk_pytest`, and imports nothing but pytest until a test uses it: `import asyncsdk` takes a
hundred times as long.

The fixtures are plain functions. They belong to no event loop, so they work with every async plugin, and without one.
"""

from collections.abc import Iterator
from typing import Any

import pytest

_MARKER = "asyncsdk"
_STRICT = "_asyncsdk_strict"
_SETTINGS = ("gates", "configs", "experiments", "layers", "rules", "strict")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting that makes all tests strict which use a fixture of this plugin."""
    parser.addini(
        "asyncsdk_strict", "fail tests that use asyncsdk on unknown names and the like", "bool", default=False
    )


def pytest_configure(config: pytest.Config) -> None:
    """Document the marker."""
    what = f"{_MARKER}(gates={{}}, configs={{}}, experiments={{}}, layers={{}}, rules=None, strict=False)"
    config.addinivalue_line("markers", f"{what}: what the fixtures asyncsdk_client and asyncsdk_dev begin with")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let the marker work for a test that uses none of the fixtures, but clients of its own."""
    names = getattr(item, "fixturenames", None)
    if names is not None and _STRICT not in names and item.get_closest_marker(_MARKER) is not None:
        names.insert(0, _STRICT)


def _settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the arguments of a test's markers; those of the function win over those of its class and module."""
    merged: dict[str, Any] = {"strict": request.config.getini("asyncsdk_strict")}
    for marker in reversed(list(request.node.iter_markers(_MARKER))):
        unknown = [*marker.args, *(marker.kwargs.keys() - {*_SETTINGS})]
        if unknown:
            msg = f"the marker {_MARKER} takes {', '.join(f'{name}=' for name in _SETTINGS)} and not {unknown[0]!r}"
            raise pytest.UsageError(msg)
        for name, value in marker.kwargs.items():
            earlier = merged.get(name)
            merged[name] = {**earlier, **value} if isinstance(earlier, dict) and isinstance(value, dict) else value
    return merged


@pytest.fixture(name=_STRICT)
def _strict(request: pytest.FixtureRequest) -> Iterator[list[Any]]:
    """Yield the list of what a strict test checks at its end: fake clients, and dev servers."""
    checked: list[Any] = []
    if not _settings(request)["strict"]:
        yield checked
        return
    from asyncsdk.testing.strict import StrictWatch, describe_rejected_events

    with StrictWatch() as watch:
        yield checked
    problems = [*watch.problems(), *(line for one in checked for line in describe_rejected_events(one))]
    if problems:
        pytest.fail("asyncsdk, strict:\n" + "\n".join(f"  {line}" for line in problems), pytrace=False)


@pytest.fixture
def asyncsdk_client(request: pytest.FixtureRequest, _asyncsdk_strict: list[Any]) -> Any:
    """A `FakeClient` with what the marker gives it: no network, no delay."""
    from asyncsdk.testing import FakeClient

    values = _settings(request)
    del values["strict"]
    client = FakeClient(**values)
    _asyncsdk_strict.append(client)
    return client


@pytest.fixture
def asyncsdk_dev(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, _asyncsdk_strict: list[Any]
) -> Iterator[Any]:
    """A `DevServer` in a thread, where all clients send to while the test runs, without linger."""
    from asyncsdk.testing import DevServer
    from asyncsdk.testing.fake_rules import as_ruleset, as_values, build_ruleset

    values = _settings(request)
    ruleset = build_ruleset(as_values(values), as_ruleset(values.get("rules")))
    with DevServer(ruleset=ruleset) as dev:
        monkeypatch.setenv("ASYNCSDK_DEV_SERVER", dev.url)
        monkeypatch.setenv("ASYNCSDK_DEV_LINGER", "0")
        monkeypatch.setenv("ASYNCSDK_ENABLED", "1")
        _asyncsdk_strict.append(dev)
        yield dev
