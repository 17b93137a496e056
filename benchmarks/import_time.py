"""How long does a cold `import asyncsdk` take, and how many threads does an idle client have?

Each import runs in a fresh interpreter. Byte code is cached, as in production, but in a temporary folder.
"""

import json
import os
import statistics
import subprocess
import sys
from tempfile import TemporaryDirectory

from _measure import arguments, show

IMPORT = """
import time
began, cpu = time.perf_counter(), time.process_time()
import {module}
print([(time.perf_counter() - began) * 1000, (time.process_time() - cpu) * 1000])
"""
THREADS = """
import asyncio, os, asyncsdk
async def main():
    async with asyncsdk.Client(asyncsdk.RudderStack("key", "http://127.0.0.1:9"), asyncsdk.Amplitude("api-key")):
        await asyncio.sleep(0.1)
        print([len(os.listdir("/proc/self/task")) - 1])
asyncio.run(main())
"""
MODULES = {
    "asyncsdk": "asyncsdk",
    "floor: asyncio, attrs, orjson": "asyncio, attrs, orjson",
    "aiohttp": "aiohttp",
    "rudder": "rudderstack.analytics",
    "segment": "segment.analytics",
    "amplitude": "amplitude",
    "posthog": "posthog",
    "statsig legacy": "statsig",
    "core": "statsig_python_core",
}


def python(source: str, cache: str) -> list[float]:
    """Run a program in a fresh interpreter; return the list that it prints."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": cache}
    command = [sys.executable, "-c", source]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)  # noqa: S603 -- ourselves
    numbers: list[float] = json.loads(done.stdout)
    return numbers


def main() -> None:
    """Measure, and print the table."""
    options = arguments(__doc__)
    times: dict[str, list[list[float]]] = {name: [] for name in MODULES}
    with TemporaryDirectory() as cache:
        for number in range(3 if options.quick else 16):
            for name, module in MODULES.items():
                taken = python(IMPORT.format(module=module), cache)
                if number:  # the first fills the cache
                    times[name].append(taken)
        [threads] = python(THREADS, cache)
    floor = min(wall for wall, _ in times["floor: asyncio, attrs, orjson"])
    rows: list[tuple[object, ...]] = []
    for name, pairs in times.items():
        walls = [wall for wall, _ in pairs]
        rows.append((name, min(walls), statistics.median(walls), min(cpu for _, cpu in pairs), min(walls) / floor))
    columns = ("import", "ms", "median", "CPU ms", "ratio to the floor")
    show(
        f"Cold import; {threads:.0f} threads of an idle client beside the main thread",
        columns,
        rows,
        as_json=options.json,
    )


if __name__ == "__main__":
    main()
