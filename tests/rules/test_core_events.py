"""Compares events to Statsig with those of its own package, field by field. Intended differences: `core_events.py`."""

from pathlib import Path

import orjson
import pytest

from asyncsdk import Rules, Statsig
from asyncsdk.vendors._base import ListFile
from rules.core_events import (
    CALLS,
    EVERYONE,
    GOLDEN,
    NOT_SENT_HEADERS,
    PROBE_CALLS,
    RULESET,
    USER,
    WIRE_CALLS,
    as_ours,
    ask,
    ask_core,
    without_times,
)
from rules.rulesets import Json


def expected(theirs: list[Json]) -> list[Json]:
    return [without_times(event) for one in theirs if (event := as_ours(one)) is not None]


async def test_events_are_those_of_the_vendors_package_field_by_field() -> None:
    found = [without_times(event) for event in await ask(RULESET, CALLS, EVERYONE)]

    assert found == expected(orjson.loads(GOLDEN.read_bytes()))
    assert "secret" not in str(found)


@pytest.mark.oracle
@pytest.mark.process
@pytest.mark.timeout(60)
async def test_the_package_still_sends_what_was_recorded() -> None:
    pytest.importorskip("statsig_python_core")

    assert [without_times(event) for event in await ask_core()] == orjson.loads(GOLDEN.read_bytes())


async def test_times_are_whole_milliseconds_and_exposures_have_the_time_of_the_rules() -> None:
    first, *_ = await ask(RULESET, [("gate", "g_true")], {})

    assert first["metadata"]["receivedAt"].isdigit()
    assert first["time"] >= int(first["metadata"]["receivedAt"])


async def test_the_recorded_requests_carry_the_same_fields(vectors: Path) -> None:
    folder = vectors / "statsig"
    requests = orjson.loads((folder / "wire_core.json").read_bytes())
    [body] = [request["body"] for request in requests if request["body"] is not None]
    ruleset = (folder / "core" / "eval_proj_dcs.json").read_bytes()
    found = [without_times(event) for event in await ask(ruleset, WIRE_CALLS, {"gf": "gv"})]

    assert found == expected(body["events"])


def test_the_recorded_requests_for_rules_are_the_same(vectors: Path) -> None:
    recorded = orjson.loads((vectors / "statsig" / "wire_core.json").read_bytes())
    file = ListFile("company_id_list", "http://127.0.0.1/list/company_id_list", "g", 1, 270)
    lists = Rules(id_lists_url="http://127.0.0.1/v1/get_id_lists/secret-wire.json")
    statsig = Statsig("secret-wire", rules=lists)
    first, again = (
        statsig.build_rules_request(0, "", 1),
        statsig.build_rules_request(1767981029384, "8506699639233708000", 1),
    )
    ours = [
        first,
        statsig.build_manifest_request(1),
        statsig.build_list_request(file, 1),
        again,
        statsig.build_manifest_request(1),
        again,
    ]

    for mine, theirs in zip([*ours, statsig.frame([b"{"], 1)], recorded[:7], strict=True):
        assert (mine.method, _question(mine.canonical_path)) == (theirs["method"], _question(theirs["path"]))
        said = {name.lower(): value for name, value in mine.headers.items()}
        assert theirs["headers"].keys() - said.keys() <= NOT_SENT_HEADERS.keys()
        for name in ("statsig-api-key", "range", "statsig-id-list-file-size", "content-type"):
            assert said.get(name) == theirs["headers"].get(name)


def _question(path: str) -> tuple[str, set[str]]:
    file, _, query = path.partition("?")
    return file, set(query.split("&")) - {"supports_proto=true", ""}


async def test_the_probed_events_have_the_same_fields(vectors: Path) -> None:
    lines = (vectors / "statsig" / "event_probe_core_0.24.0.txt").read_text().splitlines()
    probed = [_parse_line(line) for line in lines]
    found = [_line_fields(event) for event in await ask(RULESET, PROBE_CALLS, {})]

    assert found == [_line_fields(event) for one in probed if (event := as_ours(one)) is not None]


def _parse_line(line: str) -> Json:
    """Parse a line: name, value, metadata, secondary exposures, `statsigMetadata`."""
    start = line.index("{")
    head, rest = line[:start], line[start:]
    name, value = head[:-1].rsplit(" ", 1)
    metadata, secondary, sampling = map(orjson.loads, _split_values(rest))
    return {
        "eventName": name,
        "value": None if value == "None" else float(value),
        "metadata": metadata,
        "secondaryExposures": secondary,
        "statsigMetadata": sampling,
        "user": USER,
    }


def _split_values(text: str) -> list[str]:
    """Split JSON values that are separated by spaces."""
    found, depth, at = [], 0, 0
    for position, mark in enumerate(f"{text} "):
        depth += (mark in "{[") - (mark in "}]")
        if mark == " " and depth == 0 and text[at:position].count('"') % 2 == 0:
            found.append(text[at:position])
            at = position + 1
    return found


def _line_fields(event: Json) -> Json:
    """Return the fields of an event that a line has."""
    without = {"lcut", "receivedAt"}
    metadata = {key: value for key, value in (event.get("metadata") or {}).items() if key not in without}
    return {
        **{key: event.get(key) or None for key in ("eventName", "value", "secondaryExposures")},
        "metadata": metadata,
    }
