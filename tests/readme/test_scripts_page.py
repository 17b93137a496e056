"""The page for scripts, workers and functions: each block runs where it belongs."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest
from engines import conftest as fixtures
from engines.servers import RedisServer, free_port

from asyncsdk.dev import DevServer, Fault
from readme.pages import SCRIPTS, blocks

# Not as a plugin: tests of both folders run in one session.
redis_program, redis_server = fixtures.redis_program, fixtures.redis_server

RULES = {"feature_gates": {"new_checkout": {"enabled": True, "defaultValue": True}}}
BLOCKS = blocks(SCRIPTS)
FILES = {text.splitlines()[0].removeprefix("# "): text for text in BLOCKS if text.startswith("# ")}
SCRIPT, *CELLS = [text for text in BLOCKS if not text.startswith("# ")]
Start = Callable[..., "subprocess.Popen[str]"]

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


@pytest.fixture
async def dev() -> AsyncIterator[DevServer]:
    async with DevServer(ruleset=RULES) as dev:
        yield dev


@pytest.fixture
def start(dev: DevServer, tmp_path: Path) -> Iterator[Start]:
    """Start Python in a folder with the files of the page; its environment has keys, and the address of the server."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    started: list[subprocess.Popen[str]] = []
    root = str(SCRIPTS.parents[2])
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), root]),
        "STATSIG_SECRET_KEY": "secret-key",
        "STATSIG_SPECS_URL": f"{dev.url}/v2/download_config_specs",
        "STATSIG_LOG_EVENT_URL": dev.url,
        "RUDDERSTACK_WRITE_KEY": "write-key",
        "RUDDERSTACK_URL": dev.url.replace("127.0.0.1", "localhost"),  # a name to look up
    }
    environ.pop("ASYNCSDK_DEV_SERVER", None)

    def start(*arguments: str, **more: str) -> "subprocess.Popen[str]":
        command = [sys.executable, *arguments]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, cwd=tmp_path, env=environ | more, text=True, stdin=pipe, stdout=pipe))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.communicate()


async def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    output, _ = await asyncio.to_thread(process.communicate, timeout=60)
    return process.returncode, output


def sent(dev: DevServer) -> list[str]:
    return [event.name for event in dev.accepted("rudderstack")]


async def test_a_script_sends_everything_before_it_ends(dev: DevServer, start: Start) -> None:
    code, output = await ended(start("-c", SCRIPT))

    assert (code, dev.total("rudderstack")) == (0, 1000)
    assert output.startswith("Statsig: accepted 1,000, delivered 1,000; RudderStack: accepted 1,000, delivered 1,000")


NOTEBOOK = """
import sys
from jupyter_client.manager import start_new_kernel

manager, client = start_new_kernel(kernel_name="python3")
try:
    for cell in {cells!r}:
        reply = client.execute_interactive(cell, timeout=30)
        assert reply["content"]["status"] == "ok", reply
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
"""


async def test_a_notebook_awaits_in_its_cells(dev: DevServer, start: Start, tmp_path: Path) -> None:
    code, output = await ended(start("-c", NOTEBOOK.format(cells=CELLS), IPYTHONDIR=str(tmp_path / "ipython")))

    assert (code, "delivered\n" in output) == (0, True)  # a kernel also prints the last value of a cell
    assert sent(dev) == ["Notebook Opened"]


CELERY = """
import sys, threading
from celery.contrib.testing.worker import start_worker
from tasks import app, charge

app.conf.update(broker_url="filesystem://", result_backend="file://" + sys.argv[1], broker_transport_options={
    "data_folder_in": sys.argv[1], "data_folder_out": sys.argv[1], "control_folder": sys.argv[1],
    "polling_interval": 0.05})
if sys.argv[2] == "worker":
    app.worker_main(["worker", "--pool=prefork", "--concurrency=2", "--max-tasks-per-child=2", "--without-mingle",
                     "--without-gossip", "--without-heartbeat", "--loglevel=WARNING"])
else:
    print([result.get(timeout=30) for result in [charge.delay(f"user-{n}") for n in range(6)]])
"""


async def test_celery_s_processes_have_a_client_each(dev: DevServer, start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    folder.mkdir()
    worker = start("-c", CELERY, str(folder), "worker")

    code, output = await ended(start("-c", CELERY, str(folder), "client"))
    worker.send_signal(signal.SIGTERM)

    assert (code, output.strip()) == (0, str([True] * 6))
    assert (await ended(worker))[0] == 0
    assert sent(dev) == ["Order Completed"] * 6


STARTED_BEFORE_THE_FORK = """
import os, events
from asyncsdk import ForkedProcessError, Track
events.start()
if os.fork():
    print(os.waitpid(-1, 0)[1]), events.stop()
else:
    try:
        is_open = events.client.bind("ada-lovelace").check_gate("new_checkout")
        events.client.put_nowait(Track("ada-lovelace", "Lost"))
    except ForkedProcessError:
        os._exit(0 if is_open else 1)
"""


async def test_a_client_that_was_started_before_a_fork_says_so(dev: DevServer, start: Start) -> None:
    assert await ended(start("-W", "ignore", "-c", STARTED_BEFORE_THE_FORK)) == (0, "0\n")


DRAMATIQ = """
import dramatiq
from dramatiq.brokers.stub import StubBroker

broker = StubBroker()
dramatiq.set_broker(broker)
from actors import charge

worker = dramatiq.Worker(broker, worker_threads=2)
worker.start()
for n in range(6):
    charge.send(f"user-{n}")
broker.join("default")
worker.stop()
"""


async def test_dramatiq_s_actors_share_a_client(dev: DevServer, start: Start) -> None:
    assert (await ended(start("-c", DRAMATIQ)))[0] == 0

    assert sent(dev) == ["Order Completed"] * 6


RQ = """
import sys
from redis import Redis
from rq import Queue, Worker
from jobs import charge

queue = Queue(connection=Redis.from_url(sys.argv[1]))
jobs = [queue.enqueue(charge, f"user-{n}") for n in range(3)]
Worker([queue], connection=queue.connection).work(burst=True)
"""


async def test_rq_s_jobs_send_before_they_end(dev: DevServer, start: Start, redis_server: RedisServer) -> None:
    assert (await ended(start("-c", RQ, redis_server.url)))[0] == 0

    assert sent(dev) == ["Order Completed"] * 3


# --- functions ----------------------------------------------------------------------------------------------------


@attrs.define
class Function:
    """A function whose process is frozen between calls, as a platform does."""

    process: "subprocess.Popen[str]"

    async def line(self) -> str:
        assert self.process.stdout is not None
        return await asyncio.to_thread(self.process.stdout.readline)

    async def call(self, user: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(json.dumps({"user": user}) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(await self.line())
        self.process.send_signal(signal.SIGSTOP)
        return answer


@pytest.fixture
async def function(start: Start) -> Function:
    function = Function(start(str(Path(__file__).parent / "function_host.py")))
    assert await function.line() == "ready\n"
    function.process.send_signal(signal.SIGSTOP)
    return function


async def test_a_function_sends_before_it_is_frozen(dev: DevServer, function: Function) -> None:
    for number in (1, 2):
        assert await function.call("ada-lovelace") == {"statusCode": 200, "sent": True}
        assert sent(dev) == ["Order Completed"] * number


async def test_connections_that_were_closed_in_a_freeze_are_replaced(dev: DevServer, function: Function) -> None:
    await function.call("ada-lovelace")
    await dev.stop()  # closes all connections
    await dev.start()

    assert (await function.call("ada-lovelace"))["sent"]
    assert dev.total("rudderstack") == 2


async def assert_the_next_call_sends_all(dev: DevServer, function: Function) -> None:
    assert (await function.call("grace-hopper"))["sent"]
    assert sorted(str(event.body["userId"]) for event in dev.accepted("rudderstack")) == [
        "ada-lovelace",
        "grace-hopper",
    ]


async def test_what_a_call_could_not_send_is_sent_by_the_next(dev: DevServer, function: Function) -> None:
    dev.script("rudderstack", Fault(end="hang"))
    assert not (await function.call("ada-lovelace"))["sent"]
    await dev.stop()  # closes the connection of the request in flight
    await dev.start()

    await assert_the_next_call_sends_all(dev, function)


@pytest.mark.torture
async def test_a_request_that_is_frozen_beyond_its_timeout_is_sent_again(dev: DevServer, function: Function) -> None:
    dev.script("rudderstack", Fault(end="hang"))
    assert not (await function.call("ada-lovelace"))["sent"]
    await asyncio.sleep(11)

    await assert_the_next_call_sends_all(dev, function)


# --- Django -------------------------------------------------------------------------------------------------------

SETTINGS = 'ROOT_URLCONF = "shop.urls"\nALLOWED_HOSTS = ["*"]\nSECRET_KEY = "of-a-test"\n'
PRELOADED = textwrap.dedent("""
    import events
    preload_app = True
    def post_fork(server, worker): events.start()
    def worker_exit(server, worker): events.stop()
""")


async def ask(url: str) -> str:
    """Return the answer of a server that may still be starting."""
    async with aiohttp.ClientSession(headers={"X-User": "ada-lovelace"}) as browser:
        while True:
            with contextlib.suppress(aiohttp.ClientConnectorError):
                async with browser.get(url) as answer:
                    return await answer.text()
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("is_preloaded", [False, True])
async def test_django_has_a_client_in_each_process(
    dev: DevServer, start: Start, tmp_path: Path, is_preloaded: bool
) -> None:
    (tmp_path / "shop/settings.py").write_text(SETTINGS)
    (tmp_path / "gunicorn.conf.py").write_text(PRELOADED if is_preloaded else "")
    if is_preloaded:
        text = FILES["shop/wsgi.py"].replace("events.start()\natexit.register(events.stop)\n", "")
        (tmp_path / "shop/wsgi.py").write_text(text)
    address = f"127.0.0.1:{free_port()}"
    options = ("--workers=2", f"--bind={address}", "--no-control-socket")
    server = start("-m", "gunicorn", *options, "shop.wsgi", DJANGO_SETTINGS_MODULE="shop.settings")

    answers = [await ask(f"http://{address}/price") for _ in range(6)]
    server.send_signal(signal.SIGTERM)

    assert answers == ["new"] * 6
    assert (await ended(server))[0] == 0
    assert sent(dev) == ["Price Asked"] * 6
