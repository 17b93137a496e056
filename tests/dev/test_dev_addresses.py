"""A port in use and a bad port are one line each; a status is short for a fault."""

import re
import socket
from typing import Any

import aiohttp
import pytest

from asyncsdk import ConfigurationError
from asyncsdk.dev import DevServer, Fault
from asyncsdk.examples.__main__ import main


@pytest.fixture
def taken() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


async def test_a_port_in_use_is_named(taken: int) -> None:
    text = f"cannot listen on 127.0.0.1:{taken}: Address already in use; port 0 picks a free one"

    with pytest.raises(OSError, match=re.escape(text)) as caught:
        await DevServer(port=taken).start()

    assert "\n" not in str(caught.value)


async def test_an_unknown_host_is_named() -> None:
    with pytest.raises(OSError, match=r"cannot listen on no\.such\.host\.invalid:0: "):
        await DevServer("no.such.host.invalid").start()


@pytest.mark.parametrize("port", [-1, 65_536, "4010", 1.5, None, True])
def test_a_bad_port_is_refused_at_once(port: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"a port is a whole number from 0 \(any that is free\) to 65535, not"):
        DevServer(port=port)


@pytest.mark.parametrize("port", ["-1", "70000", "http"])
def test_the_examples_refuse_a_bad_port_in_one_line(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["aiohttp_shop", f"--port={port}"])

    assert capsys.readouterr().err.splitlines()[-1].endswith(f"argument --port: {port} is not a port: 0 to 65535")


@pytest.mark.parametrize("shop", ["aiohttp_shop", "fastapi_shop"])
def test_the_examples_name_a_port_in_use_in_one_line(taken: int, capsys: pytest.CaptureFixture[str], shop: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main([shop, f"--port={taken}"])

    text = f"cannot listen on 127.0.0.1:{taken}: Address already in use; port 0 picks a free one\n"
    assert (caught.value.code, capsys.readouterr().err) == (1, text)


@pytest.mark.parametrize("fault", [503, Fault(503)])
async def test_a_status_is_short_for_a_standing_fault(fault: Any) -> None:
    async with DevServer() as server, aiohttp.ClientSession(server.url) as http:
        server.fault("rudderstack", fault, times=2)
        answers = [(await http.post("/v1/batch", data=b"{}")).status for _ in range(3)]

    assert answers[:2] == [503, 503]
    assert answers[2] != 503


@pytest.mark.parametrize("fault", ["503", 99, 600, None, True, 503.0])
def test_another_fault_is_refused(fault: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"a fault is Fault\(\.\.\.\) or an HTTP status from 100 to 599, not"):
        DevServer().fault("rudderstack", fault)


@pytest.mark.parametrize("step", ["503", 99, True])
def test_another_step_of_a_script_is_refused(step: Any) -> None:
    with pytest.raises(ConfigurationError, match="a fault is"):
        DevServer().script("rudderstack", None, step)
