"""Take events from an engine and deliver them, until SIGTERM.

    asyncsdk relay shop.events:client            the Client of a service, with its destinations and engine
    asyncsdk relay migrate shop.events:client    make the tables of all its Postgres engines, or bring them up to date

The target is MODULE:NAME of a Client, a Relay, or a function that returns one; for `migrate` also an engine, or a
postgresql:// address. With the client of a service, a relay needs no configuration of its own.

Exit codes: 0 after SIGTERM or SIGINT; 1 if it ended in another way; 2 if it was called wrongly. So systemd's
`Restart=on-failure` restarts it after a crash, and `RestartPreventExitStatus=2` leaves it after a mistake.
"""

import argparse
import asyncio
import importlib
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from asyncsdk import AsyncSDKError, Client, ConfigurationError
from asyncsdk.engines import EngineError, Postgres
from asyncsdk.relay import Relay

SUMMARY = "take events from an engine and deliver them"
logger = logging.getLogger("asyncsdk.relay")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("target", nargs="+", metavar="[migrate] TARGET", help="MODULE:NAME, see above")
    parser.add_argument("--only", action="append", metavar="NAME", help="deliver to this destination only (repeatable)")
    parser.add_argument("--lease", type=float, default=30.0, metavar="SECONDS", help="see Relay (default: 30)")
    parser.add_argument(
        "--close-timeout",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="time to deliver after SIGTERM (default: 10)",
    )
    parser.add_argument("--listen", metavar="[HOST:]PORT", help="serve /metrics, /healthz and /readyz")
    parser.add_argument("--log-format", choices=("text", "json"), default="text")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    parser.add_argument("--print", action="store_true", help="with migrate: print the SQL, and do nothing")


def run(arguments: argparse.Namespace) -> int:
    """Run a relay, or migrate."""
    is_migration = arguments.target[0] == "migrate"
    if len(arguments.target) != 1 + is_migration:
        return _fail("give one target, as MODULE:NAME")
    try:
        return _migrate(arguments) if is_migration else _relay(arguments)
    except (AsyncSDKError, EngineError) as error:
        return _fail(str(error), 2 if isinstance(error, ConfigurationError) else 1)


def _fail(problem: str, code: int = 2) -> int:
    print(f"asyncsdk relay: {problem}", file=sys.stderr)
    return code


# --- targets --------------------------------------------------------------------------------------------------


def load_target(path: str) -> Any:
    """Import MODULE:NAME, from the current folder too; a function is called.

    Raises:
        ConfigurationError: There is no such module or name.
    """
    module_name, _, name = path.partition(":")
    if not module_name or not name:
        msg = f"{path!r} is not of the form MODULE:NAME"
        raise ConfigurationError(msg)
    if (folder := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, folder)
    try:
        target: Any = importlib.import_module(module_name)
        for part in name.split("."):
            target = getattr(target, part)
    except (ModuleNotFoundError, AttributeError) as error:
        msg = f"cannot load {path!r}: {error}"
        raise ConfigurationError(msg) from error
    is_made = isinstance(target, Client | Relay) or hasattr(target, "take")
    return target() if callable(target) and not is_made else target


def make_relay(target: object, arguments: argparse.Namespace) -> Relay:
    """Return the relay that a target stands for.

    Raises:
        ConfigurationError: It is neither a client with an engine, nor a relay; or `--only` names no destination of it.
    """
    if isinstance(target, Relay):
        return target
    if not isinstance(target, Client) or target.engine is None:
        msg = "the target must be a Client with an engine, or a Relay"
        raise ConfigurationError(msg)
    wanted = arguments.only or [destination.name for destination in target.destinations]
    known = {destination.name: destination for destination in target.destinations}
    if unknown := [name for name in wanted if name not in known]:
        msg = f"--only {unknown[0]}: the destinations are {', '.join(known)}"
        raise ConfigurationError(msg)
    return Relay(
        *(known[name] for name in wanted),
        engine=target.engine,
        http=target.http,
        lease=arguments.lease,
        close_timeout=arguments.close_timeout,
    )


def _engines_of(path: str) -> Sequence[Any]:
    """Return the engines of a target: for events, and for what its fleet shares."""
    if "://" in path:
        return [Postgres(path)]
    target = load_target(path)
    if isinstance(target, Client):
        engines: Sequence[Any] = target.engines
    else:
        engine = target.engine if isinstance(target, Relay) else target
        engines = [engine] if hasattr(engine, "take") else []
    if not engines:
        msg = "the target must be a Client with an engine, a Relay, or an engine"
        raise ConfigurationError(msg)
    return engines


# --- commands -------------------------------------------------------------------------------------------------


def _migrate(arguments: argparse.Namespace) -> int:
    for engine in _engines_of(arguments.target[1]):
        _migrate_one(engine, only_print=arguments.print)
    return 0


def _migrate_one(engine: object, *, only_print: bool) -> None:
    if not isinstance(engine, Postgres):
        # Not among the SQL.
        print(f"{engine!r} needs no migration", file=sys.stderr if only_print else sys.stdout)
        return
    if only_print:
        print(engine.migration, end="")
        return

    async def migrate() -> None:
        try:
            await engine.migrate()
        finally:
            await engine.aclose()

    asyncio.run(migrate())
    print(f"{engine!r} is up to date")


def _relay(arguments: argparse.Namespace) -> int:
    configure_logging(arguments.log_format, arguments.log_level)
    relay = make_relay(load_target(arguments.target[0]), arguments)
    host, port = parse_address(arguments.listen) if arguments.listen else ("", -1)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(serve(relay, host, port))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if find_spec("uvloop") is None:  # pragma: no cover -- an extra
        return None
    import uvloop  # noqa: PLC0415 -- an extra

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def parse_address(text: str) -> tuple[str, int]:
    """Return the host and port of `[HOST:]PORT`; the host is this machine by default.

    Raises:
        ConfigurationError: It has another form.
    """
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        msg = f"--listen takes [HOST:]PORT, not {text!r}"
        raise ConfigurationError(msg)
    return host.strip("[]") or "127.0.0.1", int(port)


async def serve(relay: Relay, host: str, port: int) -> int:
    """Run a relay until SIGTERM or SIGINT, and return the exit code.

    Args:
        relay: The relay.
        host: Where `/metrics` and the others listen.
        port: Their port; negative for none.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    await relay.start()
    monitoring = None
    if port >= 0:
        from asyncsdk.relay.monitoring import Monitoring  # noqa: PLC0415 -- an extra

        monitoring = Monitoring(relay, host, port)
        try:
            logger.info("listening on %s", await monitoring.start())
        except OSError as error:
            await relay.aclose(0)
            return _fail(f"cannot listen on {host}:{port}: {error.strerror}", 1)
    logger.info("started: %r", relay)
    stopping = asyncio.ensure_future(stop.wait())
    ending = asyncio.ensure_future(relay.wait_closed())
    await asyncio.wait([stopping, ending], return_when=asyncio.FIRST_COMPLETED)
    for number in signals:
        loop.remove_signal_handler(number)  # a second one ends the process at once
    was_asked = stop.is_set()
    if was_asked:
        logger.info("stopping: delivering what is held, then handing back the rest")
    await relay.aclose()
    stopping.cancel()
    if monitoring is not None:
        await monitoring.aclose()
    return 0 if was_asked else 1


# --- logging --------------------------------------------------------------------------------------------------


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        fields: dict[str, object] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(fields, default=str).decode()


def configure_logging(form: str, level: str) -> None:
    """Log to standard error, unless the imported module has configured logging.

    Args:
        form: `text` or `json`.
        level: Minimum level.
    """
    handler = logging.StreamHandler()
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if form == "json" else text)
    logging.basicConfig(handlers=[handler], level=level.upper())
