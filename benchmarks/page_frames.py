"""How smooth is the page of the dev server with 50,000 events, while 500 arrive each second?

Needs Chromium and the package playwright (`pip install -e '.[dev]'`). A frame is the time between two calls of
`requestAnimationFrame`; at 60 Hz one takes 16.7 ms. The server and the source of the events are other processes.
"""

import asyncio
import itertools
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import orjson
from _measure import arguments, show

KEPT, PER_SECOND, BATCH = 50_000, 500, 25
LIMIT_MS = 50
RECORD = """() => {
    window.frames_ = []
    let last = performance.now()
    const next = (now) => { frames_.push(now - last); last = now; window.recording_ && requestAnimationFrame(next) }
    window.recording_ = true
    requestAnimationFrame((now) => { last = now; requestAnimationFrame(next) })
}"""
COUNT = "Number(document.querySelectorAll('.facets .chip b')[1].textContent.replaceAll(',', ''))"
STOP = "() => { window.recording_ = false; return frames_ }"


async def serve() -> None:
    """Run a dev server; print its URL. It ends with its standard input."""
    from asyncsdk.dev import DevServer  # noqa: PLC0415 -- only in the process that serves

    async with DevServer(keep=KEPT, keep_bytes=1 << 30) as server:
        print(server.url, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def feed(url: str, rate: int) -> None:
    """Fill the server, print a line, then send `rate` events a second until the process is killed."""
    numbers = itertools.count()
    async with aiohttp.ClientSession(headers={"Authorization": "Basic d3JpdGUta2V5Og=="}) as http:

        async def send(count: int) -> None:
            batch = [
                {"type": "track", "messageId": f"m-{n}", "userId": f"user-{n % 997}", "event": f"Event {n % 40}"}
                for n in itertools.islice(numbers, count)
            ]
            await http.post(f"{url}/v1/batch", data=orjson.dumps({"batch": batch}))

        for _ in range(KEPT // 2000):
            await send(2000)
        print("filled", flush=True)
        due = time.monotonic()
        while rate:
            due += BATCH / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await send(BATCH)
        await asyncio.Event().wait()


@contextmanager
def another(*command: str) -> Iterator[str]:
    """Run this script as another process; yield its first line."""
    process = subprocess.Popen([sys.executable, __file__, *command], stdin=-1, stdout=-1, text=True)  # noqa: S603 -- ourselves
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


async def follow(page: Any, seconds: float) -> None:
    """Let the list follow the newest events."""
    await page.keyboard.press("Home")
    await asyncio.sleep(seconds)


async def wheel(page: Any, seconds: float) -> None:
    """Scroll with the wheel."""
    await page.mouse.move(500, 500)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await page.mouse.wheel(0, 400)
        await asyncio.sleep(0.03)


async def jump(page: Any, seconds: float) -> None:
    """Jump to the oldest row and back."""
    for _ in range(int(seconds)):
        await page.keyboard.press("End")
        await asyncio.sleep(0.5)
        await page.keyboard.press("Home")
        await asyncio.sleep(0.5)


async def search(page: Any, seconds: float) -> None:
    """Type a query, letter by letter, and clear it."""
    await page.keyboard.press("/")
    text = "name:Event user:user-12"
    await page.keyboard.type(text, delay=seconds * 1000 / len(text) / 2)
    await asyncio.sleep(seconds / 2)
    for _ in range(3):
        await page.keyboard.press("Escape")


async def read(page: Any, seconds: float) -> None:
    """Walk down the rows with the panel open."""
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    for _ in range(int(seconds * 10)):
        await page.keyboard.press("j")
        await asyncio.sleep(0.1)
    await page.keyboard.press("Escape")
    await page.keyboard.press("Home")


SCENES = {"following": follow, "wheel": wheel, "jumps": jump, "typing a search": search, "panel, j": read}


async def measure(url: str, seconds: float) -> list[list[Any]]:
    """Return a row of the table for each scene."""
    from playwright.async_api import async_playwright  # noqa: PLC0415 -- only in the process that measures

    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    rows = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": 1280, "height": 800})
        await page.goto(f"{url}/live")
        await page.get_by_text("Event 1").first.wait_for()
        while await page.evaluate(COUNT) < KEPT:  # noqa: ASYNC110 -- the state is another process's
            await asyncio.sleep(0.5)
        for name, scene in SCENES.items():
            await page.evaluate(RECORD)
            await scene(page, seconds)
            frames = sorted(await page.evaluate(STOP))
            late = sum(frame > LIMIT_MS for frame in frames)
            rows.append(
                [name, len(frames), statistics.median(frames), frames[int(len(frames) * 0.99) - 1], frames[-1], late]
            )
        await browser.close()
    return rows


def main() -> None:
    """Measure, and print the table."""
    options = arguments(__doc__)
    seconds = 1.0 if options.quick else 10.0
    with another("--serve") as url, another("--feed", url, str(PER_SECOND)):
        rows = asyncio.run(measure(url, seconds))
    columns = ["while", "frames", "median", "p99", "worst", f"over {LIMIT_MS} ms"]
    show("Frames (ms)", columns, rows, as_json=options.json)


if __name__ == "__main__":
    if "--serve" in sys.argv:
        asyncio.run(serve())
    elif "--feed" in sys.argv:
        asyncio.run(feed(sys.argv[-2], int(sys.argv[-1])))
    else:
        main()
