"""`asyncsdk send`: the events of a file, or an example, delivered by the client."""

import asyncio
import io
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from asyncsdk import Amplitude, Client, Limits
from asyncsdk.cli import main
from asyncsdk.cli.send.delivery import Sender
from asyncsdk.cli.send.records import RecordError, build, csv_lines, json_lines
from asyncsdk.cli.send.state import State
from asyncsdk.dev import DevServer

NOW = datetime(2026, 11, 30, tzinfo=UTC)
KEYS = ("STATSIG_SECRET_KEY", "RUDDERSTACK_WRITE_KEY", "AMPLITUDE_API_KEY", "ASYNCSDK_DEV_SERVER")


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[DevServer]:
    with DevServer() as server:
        monkeypatch.setenv("ASYNCSDK_DEV_SERVER", server.url)
        yield server


def write(folder: Path, *lines: Any, name: str = "events.ndjson") -> str:
    path = folder / name
    path.write_bytes(b"".join(line if isinstance(line, bytes) else orjson.dumps(line) + b"\n" for line in lines))
    return str(path)


def event(number: int, **more: Any) -> dict[str, Any]:
    return {"event": "Order", "userId": f"user-{number}", "messageId": f"m{number}", **more}


def received(server: DevServer, vendor: str) -> list[Any]:
    return [one.body for one in server.events if one.vendor == vendor]


# --- files ----------------------------------------------------------------------------------------------------


def test_times_ids_and_properties_are_kept(server: DevServer, tmp_path: Path) -> None:
    old = event(1, timestamp="2020-02-03T04:05:06.789Z", properties={"price": 5})

    assert main(["send", write(tmp_path, old), "--to", "rudderstack"]) == 0

    (body,) = received(server, "rudderstack")
    assert (body["messageId"], body["timestamp"][:19], body["properties"]) == (
        "m1",
        "2020-02-03T04:05:06",
        {"price": 5},
    )


def test_every_vendor_gets_it_by_default(server: DevServer, tmp_path: Path) -> None:
    assert main(["send", write(tmp_path, event(1))]) == 0

    assert [len(received(server, vendor)) for vendor in ("statsig", "rudderstack", "amplitude")] == [1, 1, 1]


def test_csv_has_columns_of_properties(server: DevServer, tmp_path: Path) -> None:
    body = (
        b"\xef\xbb\xbfevent,userId,messageId,properties.price,properties.zip\nOrder,user-1,m1,5,01234\nOrder,user-2\n"
    )

    assert main(["send", write(tmp_path, body, name="events.csv"), "--to", "amplitude"]) == 1

    assert received(server, "amplitude")[0]["event_properties"] == {"price": 5, "zip": "01234"}
    assert "number of columns" in (tmp_path / "events.csv.rejects.ndjson").read_text()


def test_standard_input_is_a_file(
    server: DevServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(orjson.dumps(event(1)) + b"\n\n")))
    monkeypatch.chdir(tmp_path)

    assert main(["send", "-", "--to", "amplitude", "--json"]) == 0

    assert json.loads(capsys.readouterr().out) == {"delivered": 1, "rejected": 0, "line": 1}
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_delivered_is_in_the_rejects_with_its_reason(
    server: DevServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [event(1), b"{nope\n", {"event": "x", "plan": 1}, event(4, event=None), event(5, userId="ab")]

    assert main(["send", write(tmp_path, *lines), "--to", "amplitude"]) == 1

    assert capsys.readouterr().out.startswith("1 delivered, 4 not: see ")
    found = [json.loads(line) for line in (tmp_path / "events.ndjson.rejects.ndjson").read_text().splitlines()]
    assert [one["line"] for one in found] == [2, 3, 4, 5]
    assert found[0]["event"] == "{nope"
    assert "an event has no field 'plan'" in found[1]["reason"]


# --- resuming -------------------------------------------------------------------------------------------------


def test_a_second_run_sends_only_what_was_appended(server: DevServer, tmp_path: Path) -> None:
    path = write(tmp_path, event(1))
    main(["send", path, "--to", "amplitude"])
    write(tmp_path, event(1), event(2))

    assert main(["send", path, "--to", "amplitude"]) == 0

    assert [one["insert_id"] for one in received(server, "amplitude")] == ["m1", "m2"]


def test_a_run_goes_on_after_the_state_and_drops_half_written_rejects(server: DevServer, tmp_path: Path) -> None:
    path = write(tmp_path, event(1), b"{a\n", b"{b\n")
    main(["send", path, "--to", "amplitude"])
    state, rejects = tmp_path / "events.ndjson.state", tmp_path / "events.ndjson.rejects.ndjson"
    first = rejects.read_bytes().index(b"\n") + 1
    kept = {**json.loads(state.read_bytes()), "line": 2, "rejected": 1, "rejects_bytes": first, "is_done": False}
    state.write_bytes(orjson.dumps(kept))

    assert main(["send", path, "--to", "amplitude"]) == 1

    assert [json.loads(line)["line"] for line in rejects.read_text().splitlines()] == [2, 3]


def test_an_event_without_an_id_has_the_same_one_in_each_run(server: DevServer, tmp_path: Path) -> None:
    path = write(tmp_path, {"event": "Order", "userId": "user-1"})
    main(["send", path, "--to", "amplitude"])

    assert main(["send", path, "--to", "amplitude", "--restart"]) == 0

    first, second = received(server, "amplitude")
    assert first["insert_id"] == second["insert_id"]


def test_an_interrupted_run_has_the_state_of_what_was_final(server: DevServer, tmp_path: Path) -> None:
    async def interrupted() -> State:
        state = State("s")
        async with Client(Amplitude("key"), close_timeout=1) as client:
            with (tmp_path / "r").open("wb") as rejects:
                lines = json_lines(iter([orjson.dumps(event(1)), b"{x"]))
                sender = Sender(client, state, rejects, tmp_path / "state", 0.001, lambda _: None)
                task = asyncio.ensure_future(sender.send(lines))
                await asyncio.sleep(0.05)
                task.cancel()
                await asyncio.wait([task])
        return state

    assert asyncio.run(interrupted()).is_done is False
    assert json.loads((tmp_path / "state").read_bytes())["is_done"] is False


def test_a_full_queue_makes_it_wait(tmp_path: Path) -> None:
    async def send(limits: Limits) -> State:
        state, lines = State("s"), json_lines(iter([orjson.dumps(event(n)) for n in range(6)]))
        async with DevServer() as server:
            amplitude = Amplitude("key", url=f"{server.url}/2/httpapi", limits=limits, overflow="wait")
            with (tmp_path / "r").open("wb") as rejects:
                async with Client(amplitude) as client:
                    await Sender(client, state, rejects, None, 0, lambda _: None).send(lines)
        return state

    assert asyncio.run(send(Limits(max_queued_events=2, linger=0))).delivered == 6


@pytest.mark.parametrize("body", [b"{", b'{"source": "other"}', b'{"x": 1}'])
def test_a_foreign_state_is_not_overwritten(
    server: DevServer, tmp_path: Path, body: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, event(1))
    (tmp_path / "events.ndjson.state").write_bytes(body)

    assert main(["send", path]) == 2

    assert "delete it to start again" in capsys.readouterr().err
    assert (tmp_path / "events.ndjson.state").read_bytes() == body


def test_rate_limits_the_events_per_second(server: DevServer, tmp_path: Path) -> None:
    before = datetime.now(UTC)

    main(["send", write(tmp_path, *(event(n) for n in range(5))), "--to", "amplitude", "--rate", "20"])

    assert (datetime.now(UTC) - before).total_seconds() >= 0.2


# --- examples -------------------------------------------------------------------------------------------------


def test_an_example_is_sent_with_overrides(server: DevServer, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--override", "properties.price=5", "--override", "user_id=ada-1", "--to", "amplitude"]

    assert main(["send", "--example", "order_completed", *arguments]) == 0

    (body,) = received(server, "amplitude")
    assert (body["user_id"], body["event_properties"]["price"]) == ("ada-1", 5)
    assert capsys.readouterr().out == "1 delivered, 0 not\n"


def test_an_example_that_is_refused_says_why(server: DevServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["send", "--example", "signed_up", "--override", "type=nope"]) == 1

    assert "0 delivered, 1 not: type is one of track" in capsys.readouterr().out


# --- events ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"type": "identify", "userId": "u", "traits": {"a": 1}}, "identify"),
        ({"type": "page", "userId": "u", "name": "Home", "category": "c"}, "page"),
        ({"type": "screen", "anonymousId": "a", "name": "Home"}, "screen"),
        ({"type": "group", "user": {"userID": "u"}, "groupId": "g"}, "group"),
        ({"type": "alias", "user": "u", "previousId": "p"}, "alias"),
        ({"type": "log_event", "userID": "u", "eventName": "e", "value": 3, "context": {"ip": "1.2.3.4"}}, "log_event"),
        ({"event_type": "e", "user_id": "u", "time": 1_500_000_000_000}, "track"),
    ],
)
def test_each_vendors_words_are_understood(fields: dict[str, Any], kind: str) -> None:
    assert build(fields, "s", 1, NOW).verb == kind


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1_500_000_000, datetime(2017, 7, 14, 2, 40, tzinfo=UTC)),
        ("1500000000000", datetime(2017, 7, 14, 2, 40, tzinfo=UTC)),
        (None, NOW),
    ],
)
def test_times_are_read_in_each_form(value: Any, expected: datetime) -> None:
    assert build({"event": "e", "userId": "u", "timestamp": value}, "s", 1, NOW).options["timestamp"] == expected


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"event": "e", "userId": "u", "timestamp": "soon"}, "timestamp is not a time"),
        ({"event": "e", "userId": "u", "timestamp": "2020-01-01"}, "timestamp has no time zone"),
        ({"event": "e", "user": {"plan": 1}}, "a user has no field 'plan'"),
        ({"userId": "u"}, "the event has no name"),
    ],
)
def test_what_is_not_an_event_is_refused(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(RecordError, match=problem):
        build(fields, "s", 1, NOW)


def test_lines_that_are_not_objects_have_a_problem() -> None:
    (line,) = json_lines(iter([b"[1]\n"]))
    (row,) = csv_lines(iter(["event,properties.ok\n", "e,true\n"]))

    assert (line.problem, row.fields) == ("not a JSON object", {"event": "e", "properties": {"ok": True}})


# --- bad input ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "name a file"),
        (["x", "--example", "signed_up"], "name a file"),
        (["x", "--rate", "-1"], "--rate is a number"),
        (["x", "--override", "a=1"], "--override changes an --example"),
        (["--example", "signed_up", "--override", "price"], "--override is PATH=VALUE"),
        (["x", "--to", "mixpanel"], "--to takes statsig"),
        (["gone.ndjson"], "gone.ndjson: No such file"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_code_2(
    server: DevServer, arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["send", *arguments]) == 2

    assert problem in (err := capsys.readouterr().err)
    assert err.count("\n") == 1


@pytest.mark.parametrize(("to", "problem"), [(["--to", "amplitude"], "the key of amplitude"), ([], "no key is set")])
def test_without_keys_nothing_is_sent(to: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["send", "--example", "signed_up", *to]) == 2

    assert problem in capsys.readouterr().err
