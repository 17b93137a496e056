"""Run a command beside the server: its environment, its signals, its exit code."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence

_FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP")
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


async def run_command(command: Sequence[str], url: str) -> int:
    """Run a command until it ends and return its exit code; without one, wait for a signal and return 0.

    Its output goes where ours goes. Signals are forwarded to it; the terminal sends its Ctrl-C to both by itself.

    Args:
        command: The command and its arguments; empty for none.
        url: Address of the dev server, for the command's environment.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    child: asyncio.subprocess.Process | None = None

    def on_signal(number: int) -> None:
        stop.set()
        if child is not None and child.returncode is None and not (number == signal.SIGINT and _is_in_foreground()):
            child.send_signal(number)

    numbers = [getattr(signal, name) for name in _FORWARDED if hasattr(signal, name)]
    for number in numbers:
        loop.add_signal_handler(number, on_signal, number)
    try:
        if not command:
            await stop.wait()
            return 0
        environment = {**os.environ, "ASYNCSDK_DEV_SERVER": url}
        try:
            child = await asyncio.create_subprocess_exec(*command, env=environment)
        except OSError as error:
            print(f"asyncsdk dev: {command[0]} cannot be started: {error.strerror}", file=sys.stderr)
            return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE
        code = await child.wait()
        # As a shell reports a process that was ended by a signal.
        return code if code >= 0 else 128 - code
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _is_in_foreground() -> bool:
    """Return whether the terminal sends its signals to this process and its children."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False
