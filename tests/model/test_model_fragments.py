"""JSON that a caller has written: an `orjson.Fragment` that is not JSON is refused at the call, wherever it is."""

import gc
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import attrs
import orjson
import pytest
from helpers import rudderstack, statsig
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk import Client, ConfigurationError, Identify, InvalidEventError, Revenue, Rules, User
from asyncsdk._model import fragments
from asyncsdk._model.encoding import to_json
from asyncsdk.dev import DevServer

GOOD, BAD = b'{"a":[1,"\\u00e9"]}', b'1},{"b":2'


@pytest.fixture(autouse=True)
def _settle() -> None:
    fragments.may_exist()  # under coverage, modules are imported twice


@dataclass
class Item:
    part: Any


@attrs.define
class Order:
    part: Any


WRAPPERS: list[tuple[Callable[[Any], Any], str]] = [
    (lambda inner: {"k": inner}, "['k']"),
    (lambda inner: {"x": 1, 2: inner}, "[2]"),
    (lambda inner: [inner], "[0]"),
    (lambda inner: (0, inner), "[1]"),
    (Item, "['part']"),
    (Order, "['part']"),
]


@given(st.lists(st.sampled_from(WRAPPERS), max_size=20))
def test_a_bad_fragment_is_found_at_any_depth_and_a_good_one_is_taken(wrappers: list[Any]) -> None:
    path = "".join(["p", *(step for _, step in wrappers)])
    good, bad = (
        reduce(lambda inner, wrapper: wrapper[0](inner), reversed(wrappers), orjson.Fragment(text))
        for text in (GOOD, BAD)
    )

    fragments.check(good, "p")
    assert fragments.copy_as_json(good, "p") == orjson.loads(to_json(good))
    with pytest.raises(InvalidEventError) as caught:
        fragments.check(bad, "p")
    assert str(caught.value) == f"`{path}` is an orjson.Fragment that is not JSON"


@pytest.mark.parametrize("text", [b"", b"{", b"{bad", BAD, b"NaN", b"\xff", b"1 2", "{'a': 1}", '"\n"'])
def test_what_is_not_json_is_refused(text: bytes | str) -> None:
    with pytest.raises(InvalidEventError):
        fragments.copy_as_json(orjson.Fragment(text), "p")


def test_nothing_is_looked_for_while_no_fragment_exists() -> None:
    script = """
import orjson, asyncsdk
from asyncsdk._model.fragments import may_exist
assert not may_exist()
kept = orjson.Fragment(b"1")
assert may_exist()
del kept
assert not may_exist()
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_fragment_of_ours_that_is_gone_does_not_hide_one_of_the_callers() -> None:
    gc.collect()
    fragments.own_fragment(b"1")

    assert fragments.copy_as_json({"a": 1}, "p") == {"a": 1}
    kept = orjson.Fragment(GOOD)
    assert fragments.may_exist()
    del kept


def test_a_fragment_from_before_the_import_hides_none_once_it_is_gone() -> None:
    script = """
import orjson
old = [orjson.Fragment(b"1")]
import asyncsdk
from asyncsdk._model.fragments import may_exist
old.clear()
assert not may_exist()
kept = orjson.Fragment(b"1")
assert may_exist()
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_value_that_is_nested_in_itself_does_not_end_in_a_loop() -> None:
    cycle: list[Any] = [orjson.Fragment(GOOD)]
    cycle.append(cycle)

    fragments.check(cycle, "p")


CALLS: dict[str, Callable[[Client, Any], Awaitable[object]]] = {
    "`properties['p']`": lambda client, bad: client.track("ada", "a", {"p": bad}),
    "`traits['t'][0]`": lambda client, bad: client.identify("ada", {"t": [bad]}),
    "`context['c']`": lambda client, bad: client.page("ada", context={"c": bad}),
    "`integrations['Amplitude']['x']`": lambda client, bad: client.track(
        "ada", "a", integrations={"Amplitude": {"x": bad}}
    ),
    "`metadata['m']`": lambda client, bad: client.log_event("ada", "a", 1, {"m": bad}),
    "`user.custom['c']`": lambda client, bad: client.track(User("ada", custom={"c": bad}), "a"),
    "`user.private_attributes['c']['d']`": lambda client, bad: client.track(
        User("ada", private_attributes={"c": {"d": bad}}), "a"
    ),
}


@pytest.mark.parametrize("path", CALLS)
async def test_an_event_with_a_bad_fragment_is_refused_with_its_path(server: DevServer, path: str) -> None:
    async with Client(rudderstack(server), statsig(server)) as client:
        with pytest.raises(InvalidEventError) as caught:
            await CALLS[path](client, orjson.Fragment(BAD))
        await CALLS[path](client, orjson.Fragment(GOOD))
        report = await client.flush()

    assert str(caught.value) == f"{path} is an orjson.Fragment that is not JSON"
    assert report.destinations["RudderStack"].delivered == 1


@pytest.mark.parametrize(
    "use",
    [
        lambda bad: Identify().set("x", bad),
        lambda bad: Revenue(price=1, properties={"x": bad}),
        lambda bad: Rules(global_custom={"x": bad}),
    ],
)
def test_settings_and_operations_with_a_bad_fragment_are_refused(use: Callable[[Any], object]) -> None:
    with pytest.raises((InvalidEventError, ConfigurationError), match="is not JSON"):
        use(orjson.Fragment(BAD))
