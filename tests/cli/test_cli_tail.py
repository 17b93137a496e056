"""`asyncsdk tail`: events of a dev server as lines."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncsdk.cli import main
from asyncsdk.cli.tail import command
from asyncsdk.cli.tail.follow import FollowError, follow
from asyncsdk.cli.tail.formats import FORMATS, as_json, human, logfmt
from asyncsdk.cli.tail.sse import Message, Parser
from asyncsdk.dev import DevServer

ROW = {
    "seq": 7, "at": 1_760_000_000_000, "vendor": "amplitude", "type": "track", "name": "Order Completed", "user": "ada-1",
    "verdict": "accepted", "reason": "", "blamed": True, "attempt": 1, "size": 80, "id": "m1", "client": "", "run": None,
}  # fmt: skip


async def send(server: DevServer, *names: str) -> None:
    events = [{"user_id": "ada-1", "event_type": name, "insert_id": name} for name in names]
    body = {"api_key": "key-of-amplitude", "events": events}
    async with aiohttp.ClientSession() as http, http.post(f"{server.url}/2/httpapi", json=body) as response:
        assert response.status == 200


# --- the stream -----------------------------------------------------------------------------------------------


async def take(rows: AsyncIterator[Any], count: int) -> list[str]:
    async with asyncio.timeout(20):
        return [(await anext(rows))["name"] for _ in range(count)]


async def test_it_yields_events_as_they_arrive() -> None:
    async with DevServer() as server, aclosing(follow(server.url, "name:b", 0, print)) as rows:
        await send(server, "a", "b1", "b2")

        assert await take(rows, 2) == ["b1", "b2"]


async def test_it_goes_on_where_it_was_after_a_lost_connection_and_a_restart() -> None:
    notes: list[str] = []
    async with DevServer() as first:
        rows = follow(first.url, "", 0, notes.append, waits=(0.01,))
        await send(first, "a", "b")
        assert await take(rows, 2) == ["a", "b"]
        port = int(first.url.rpartition(":")[2])
    waiting = asyncio.ensure_future(take(rows, 3))
    await _refuse(port, 2)
    async with DevServer(port=port) as second, aclosing(rows):
        await send(second, "c", "d", "e")

        assert await waiting == ["c", "d", "e"]
    assert notes == ["the connection is lost; trying again", "connected again"]


async def _refuse(port: int, times: int) -> None:
    """Close so many connections at once."""
    seen = asyncio.Semaphore(0)

    def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        seen.release()

    async with await asyncio.start_server(refuse, "127.0.0.1", port):
        for _ in range(times):
            await seen.acquire()


async def test_the_same_server_is_not_read_twice_after_a_lost_connection() -> None:
    async with DevServer() as server, aclosing(follow(server.url, "", None, print, waits=(0.01,))) as rows:
        waiting = asyncio.ensure_future(take(rows, 1))
        while not waiting.done():
            await send(server, "a")
            await asyncio.sleep(0.01)
        await server.stop()
        await server.start()
        await send(server, "b")

        async with asyncio.timeout(20):
            found = [row["seq"] async for row in _until(rows, "b")]
    assert found == sorted(set(found))


async def _until(rows: AsyncIterator[Any], name: str) -> AsyncIterator[Any]:
    async for row in rows:
        yield row
        if row["name"] == name:
            return


@pytest.mark.parametrize("query", ["vendor:mixpanel", "zzz:1"])
async def test_a_query_that_cannot_be_read_is_refused(query: str) -> None:
    async with DevServer() as server:
        with pytest.raises(FollowError):
            await anext(follow(server.url, query, None, print))


# --- parsing --------------------------------------------------------------------------------------------------

_STREAM = (
    b"retry: 1000\n\nevent: hello\ndata: {}\n\nevent: events\r\nid: 4\r\ndata: [1,\r\ndata:2]\r\n\r\ndata: x\n\n: c\n\n"
)


@given(st.lists(st.integers(0, len(_STREAM)), max_size=8))
def test_a_stream_is_parsed_however_it_is_cut(cuts: list[int]) -> None:
    parser, places = Parser(), [0, *sorted(cuts), len(_STREAM)]

    found = [message for start, end in pairwise(places) for message in parser.feed(_STREAM[start:end])]

    assert found == [Message("hello", "{}", ""), Message("events", "[1,\n2]", "4"), Message("message", "x", "")]


# --- lines ----------------------------------------------------------------------------------------------------


def test_a_line_for_people_has_the_verdict() -> None:
    row = {**ROW, "verdict": "rejected", "reason": "bad time", "blamed": False, "attempt": 3}

    line = human(row)

    assert line.endswith("amplitude    track       Order Completed               ada-1                 rejected: bad time (not at fault), attempt 3")  # fmt: skip


def test_colors_are_for_terminals_only() -> None:
    assert "\x1b[32mamplitude" in human(ROW, color=True)
    assert "\x1b" not in human(ROW)


def test_logfmt_quotes_what_has_spaces() -> None:
    line = logfmt(ROW)

    assert line.partition(" ")[2] == 'seq=7 vendor=amplitude type=track name="Order Completed" user=ada-1 verdict=accepted attempt=1 size=80 id=m1'  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(FORMATS)), st.text(max_size=20))
def test_no_text_of_an_event_controls_the_terminal(name: str, text: str) -> None:
    line = FORMATS[name]({**ROW, "name": text, "user": text, "reason": text, "type": text})

    assert line.isprintable()


def test_json_lines_are_the_rows() -> None:
    assert json.loads(as_json(ROW)) == ROW


# --- the command ----------------------------------------------------------------------------------------------


def test_it_joins_the_server_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with DevServer() as server:
        asyncio.run(send(server, "a", "b"))
        monkeypatch.setenv("ASYNCSDK_DEV_SERVER", server.url)

        assert main(["tail", "name:b", "--since", "0", "--count", "1", "--json"]) == 0
        assert main(["tail", "--since", "0", "--count", "2"]) == 0

    first, _, second = capsys.readouterr().out.splitlines()
    assert json.loads(first)["name"] == "b"
    assert "amplitude" in second


async def test_it_starts_a_server_if_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    async with DevServer() as other:
        port = int(other.url.rpartition(":")[2])
        async with command.serve("", port) as joined:
            assert joined == other.url
    async with command.serve("", port) as started:
        assert started == f"http://127.0.0.1:{port}"

    assert "started a dev server" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--count", "0"], "--count is at least 1"),
        (["--since", "-1"], "--since is the number of an event"),
        (["--url", "http://127.0.0.1:9"], "there is no dev server at http://127.0.0.1:9"),
        (["--url", "nowhere"], "there is no dev server at nowhere"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tail", *arguments]) == 2

    assert problem in (err := capsys.readouterr().err)
    assert err.count("\n") == 1


def _start(server: DevServer) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-m", "asyncsdk", "tail", "--since", "0", "--url", server.url]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ})


@pytest.mark.process
def test_ctrl_c_ends_it_quietly() -> None:
    with DevServer() as server, _start(server) as process:
        asyncio.run(send(server, "a"))
        assert process.stdout is not None
        assert b"amplitude" in process.stdout.readline()

        process.send_signal(signal.SIGINT)

        _, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (130, b"")


@pytest.mark.process
def test_a_reader_that_ends_first_ends_it_quietly() -> None:
    with DevServer() as server, _start(server) as process:
        asyncio.run(send(server, "a"))
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()

        asyncio.run(send(server, "b"))

        assert process.wait(30) == 141
        assert process.stderr.read() == b""
