"""The tables and pictures of the pages agree with the code."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import attrs
import orjson
import pytest

import asyncsdk
from asyncsdk import (
    Alias,
    Amplitude,
    Event,
    Group,
    IdentifyEvent,
    Limits,
    LogEvent,
    Page,
    RawEvent,
    Revenue,
    RudderStack,
    Rules,
    Screen,
    Statsig,
    Track,
    User,
)
from asyncsdk._model.exposures import ExposedVariant
from asyncsdk._model.receipts import Status
from asyncsdk._model.results import Details
from asyncsdk._refresh.refresher import BOOTSTRAP, CACHE, NETWORK, NO_VALUES, UNINITIALIZED
from asyncsdk._rules.compiler.evaluate import PERSISTED
from asyncsdk.vendors._answers import judge_by_status
from asyncsdk.vendors._base import Destination, Refusal, Response
from readme.pages import (
    CLIENT,
    HOME,
    MAP,
    PAGES,
    README,
    ROOT,
    RULES,
    VENDORS,
    links,
    section,
    spans,
    table,
)
from readme.pages import EVENTS as EVENTS_PAGE

DESTINATIONS: dict[str, Destination] = {
    "RudderStack": RudderStack("key", "https://plane.example.com"),
    "Amplitude": Amplitude("api-key"),
    "Statsig": Statsig("secret-key"),
}
NAME_FIELD = {"RudderStack": "type", "Amplitude": "event_type", "Statsig": "eventName"}

ADA = User("ada-lovelace")
MONEY = {"revenue": 19.95, "sku": "A"}
RAW = {"event_type": "Item Viewed", "user_id": "ada-lovelace", "event_properties": {"sku": "A"}}
EVENTS: dict[str, Event] = {
    "`identify`": IdentifyEvent(ADA, {"plan": "pro"}),
    "`track`": Track(ADA, "Item Viewed", MONEY),
    "`track` with `Revenue`": Track(ADA, Revenue(4.99, 3)),
    "`page`": Page(ADA, "Pizza", {"url": "https://dominos.com"}, category="Food"),
    "`screen`": Screen(ADA, "Pizza", category="Food"),
    "`group` with traits": Group(ADA, "1", {"name": "Company"}),
    "`group` without": Group(ADA, "1"),
    "`group` with a list of ids": Group(ADA, ["1", "2"]),
    "`alias`": Alias("old_id", ADA),
    "`log_event` with a name": LogEvent(ADA, "Item Viewed", 19.95, {"sku": "A"}),
    "`log_event` with an object": RawEvent(RAW, ADA),
}
WORDS = {"<event>": "Item Viewed", "<category>": "Food", "<name>": "Pizza"}
MAPPING = {row[0]: dict(zip(DESTINATIONS, row[1:], strict=True)) for row in table(VENDORS, "One event, three vendors")}


def encoded(vendor: str, event: Event) -> dict[str, Any] | Refusal:
    chunk = DESTINATIONS[vendor].encode(event, "id-1", 0)
    return chunk if isinstance(chunk, Refusal) else orjson.loads(chunk + b"}")


def keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from keys(item)


def filled(text: str) -> str:
    for word, value in WORDS.items():
        text = text.replace(word, value)
    return text


def test_the_mapping_table_has_every_verb() -> None:
    assert list(MAPPING) == list(EVENTS)


@pytest.mark.parametrize("vendor", DESTINATIONS)
@pytest.mark.parametrize("verb", EVENTS)
def test_the_mapping_table_says_what_is_sent(verb: str, vendor: str) -> None:
    cell, message = MAPPING[verb][vendor], encoded(vendor, EVENTS[verb])

    if cell == "-":
        assert message == Refusal("skipped", "no such call")
    elif cell == "as given":
        assert isinstance(message, dict)
        assert message.items() >= RAW.items()
    else:
        assert isinstance(message, dict)
        name, *fields = spans(cell)
        assert message[NAME_FIELD[vendor]] == filled(name)
        assert set(fields) <= set(keys(message))


@pytest.mark.parametrize("vendor", ["RudderStack", "Amplitude"])
def test_the_table_of_exposures_names_what_is_sent(vendor: str) -> None:
    event = DESTINATIONS[vendor].exposure_event(ADA, ExposedVariant("button", "Test", "rule-1"))  # type: ignore[attr-defined] # both do
    message = encoded(vendor, event)
    assert isinstance(message, dict)
    rows = [row[1:][("RudderStack", "Amplitude").index(vendor)] for row in table(VENDORS, "Exposures")]
    (name,), *fields = [spans(cell) for cell in rows]

    assert name in (message.get("event"), message.get("event_type"))
    properties = message["properties" if vendor == "RudderStack" else "event_properties"]
    assert {field for cell in fields for field in cell} == set(properties)


def statuses(cell: str) -> set[int]:
    """Read `5xx except 501, 505` and the like."""
    wanted, _, unwanted = cell.partition(" except ")
    return _named(wanted) - _named(unwanted)


def _named(text: str) -> set[int]:
    found: set[int] = set()
    for name in re.findall(r"\d\w\w", text):
        first = int(name[0]) * 100
        found |= set(range(first, first + 100)) if name.endswith("xx") else {int(name)}
    return found


def outcome(status: int) -> str:
    verdict = judge_by_status(Response(status), 1)
    words = {
        "halted": verdict.halt,
        "halved, after": verdict.halve and verdict.halve_after,
        "halved, and": verdict.halve and verdict.too_large,
        "halved": verdict.halve,
        "retried": verdict.retry,
        "rejected": verdict.reject,
    }
    return next((word for word, is_so in words.items() if is_so), "delivered")


def test_the_status_table_says_what_every_status_means() -> None:
    rows = table(VENDORS, "Responses")
    told = {status: text for cell, text in rows for status in statuses(cell)}
    other = next(text for cell, text in rows if cell == "other")

    wrong = {status for status in range(100, 600) if not told.get(status, other).startswith(outcome(status))}

    assert not wrong


@pytest.mark.parametrize(
    "word",
    [
        *(NETWORK, BOOTSTRAP, CACHE, UNINITIALIZED, NO_VALUES, PERSISTED),
        *("Unrecognized", "Unsupported", "LocalOverride:Recognized", "Error:Statsig Evaluation Depth Exceeded"),
    ],
)
def test_the_docstring_of_details_lists_every_reason(word: str) -> None:
    assert word in str(Details.__doc__)


USER: dict[str, Any] = {
    "user_id": "ada-lovelace",
    "anonymous_id": "visitor-1",
    "device_id": "device-1",
    "ip": "192.0.2.1",
    "user_agent": "curl/8",
    "locale": "en-GB",
    "country": "GB",
    "app_version": "1.2.3",
    "email": "ada@example.com",
    "custom": {"plan": "pro"},
    "custom_ids": {"companyID": "c7"},
    "statsig_environment": {"tier": "staging"},
    "private_attributes": {"age": 36},
}
USERS = {spans(row[0])[0]: dict(zip(DESTINATIONS, row[1:], strict=True)) for row in table(VENDORS, "Users")}


def test_the_table_of_users_has_every_field() -> None:
    assert list(USERS) == list(USER)
    assert USER.keys() == {field.name for field in attrs.fields(User) if field.init}


@pytest.mark.parametrize("vendor", DESTINATIONS)
@pytest.mark.parametrize("field", USER)
def test_the_table_of_users_says_what_is_sent(field: str, vendor: str) -> None:
    cell = USERS[field][vendor]
    is_id = field in ("user_id", "anonymous_id", "device_id")
    user = User(**{field: USER[field]} | ({} if is_id else {"user_id": "ada-lovelace"}))
    message = encoded(vendor, Track(user, "Item Viewed"))

    assert isinstance(message, dict)
    found: Any = message["user"] if vendor == "Statsig" else message
    if cell == "-":
        assert orjson.dumps(USER[field]) not in orjson.dumps(message)
    else:
        for name in spans(cell)[0].split("."):
            found = found[name]
        assert found == USER[field]


def test_the_table_of_limits_has_every_field_and_its_default() -> None:
    rows = {spans(row[0])[0]: row[1].split(";")[0] for row in table(VENDORS, "Limits")}

    assert list(rows) == [field.alias for field in attrs.fields(Limits)]
    assert {name: float(text.replace(",", "")) for name, text in rows.items()} == {
        name: getattr(Limits(), name) for name in rows
    }
    assert "Statsig 2,000" in section(VENDORS, "Limits")
    assert DESTINATIONS["Statsig"].limits.max_events == 2000


def test_every_promise_names_a_test_that_exists() -> None:
    promises = table(README, "What it promises")

    assert len(promises) >= 9
    for promise, shown_by in promises:
        assert spans(shown_by), promise
        assert [name for name in spans(shown_by) if not (ROOT / "tests" / name).is_file()] == []


def test_the_layout_names_what_exists() -> None:
    picture = section(MAP, "Layout").split("```")[1]
    folders = [ROOT]
    for line in picture.strip().splitlines():
        stem = line.lstrip("│├└─ ")
        del folders[(len(line) - len(stem)) // 4 + 1 :]
        names = re.findall(r"\b[\w/]+\.py\b|(?<!\S)\w+/", stem)
        inner = folders[-1] / stem.split()[0]

        assert [name for name in names if not any((at / name).exists() for at in (*folders, inner))] == [], line
        folders.append(inner)


def test_the_paths_name_what_exists() -> None:
    named = re.findall(r"`(?:(\w+)\.)?(\w+)`\s\(`(\w[\w/]*\.py)`\)", section(MAP, "The five paths"))

    assert len(named) >= 15
    for owner, name, file in named:
        tree = ast.parse((ROOT / "asyncsdk" / file).read_text())
        if owner:
            tree = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == owner)
        assert name in {getattr(node, "name", None) for node in tree.body}, (owner, name, file)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for linked, anchor in links(page):
        assert linked.exists(), linked
        titles = re.findall(r"^#+ (.+)$", linked.read_text(), re.MULTILINE) if anchor else []
        assert not anchor or anchor in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_each_link_of_the_readme_works_on_pypi() -> None:
    assert not [link for link in re.findall(r"\]\(([^)]+)\)", README.read_text()) if not link.startswith("https:")]


def test_links_from_the_readme_lead_to_every_page() -> None:
    reached, ahead = set[Path](), [README]
    while ahead:
        page = ahead.pop().resolve()
        if page in PAGES and page not in reached:
            reached.add(page)
            ahead += [linked for linked, _ in links(page)]

    assert reached == set(PAGES)


def test_the_readme_links_to_the_home_that_the_package_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["urls"]["Homepage"] + "/blob/main/" == HOME


def test_the_table_of_rules_has_every_setting_and_its_default() -> None:
    rows = table(RULES, "Rules")
    defaults = {name: default for first, default, _ in rows for name in spans(first)}
    also_named = {name for *_, text in rows for name in re.findall(r"`(id_lists_\w+)`", text)}
    settings = {field.alias: field.default for field in attrs.fields(Rules)}

    assert defaults.keys() | also_named == settings.keys()
    for name, default in defaults.items():
        if name not in ("specs_url", "global_custom"):
            assert default == f"{settings[name]:g}" if name == "poll_interval" else str(settings[name])


def test_the_table_of_errors_has_every_public_error() -> None:
    public = {name for name in asyncsdk.__all__ if isinstance(getattr(asyncsdk, name), type)}
    errors = {name for name in public if issubclass(getattr(asyncsdk, name), asyncsdk.AsyncSDKError)}

    assert {spans(row[0])[0] for row in table(CLIENT, "Errors")} == errors - {"AsyncSDKError"}


def test_the_table_of_statuses_has_every_status() -> None:
    assert [spans(row[0])[0] for row in table(EVENTS_PAGE, "Receipts")] == list(get_args(Status))


def test_the_readme_is_short_and_narrow() -> None:
    lines = README.read_text().splitlines()

    assert len(lines) <= 150
    assert [line for line in lines if len(line) > 160] == []
