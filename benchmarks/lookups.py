"""How long does a lookup take, compared with the vendors' SDKs? Nanoseconds, and ratios to statsig-python-core.

For asyncsdk, the client's awaited method, with rules and ID lists from a server, as in a service; core has the same
ones. Exposures are reported only in the row that says so. Each row names the user:

    same      one user, looked up before: includes what the SDK has cached
    others    500 users in turn, none of them looked up before
    new       a new user each time, created within the measured time

The other SDKs always look up the same user; cases that they do not support are left out.

    python benchmarks/lookups.py --public     # instead, the cases of Statsig's public benchmarks: p99 per spec
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from hashlib import sha256
from operator import methodcaller
from statistics import mean
from typing import Any, Literal

import _public_cases
import attrs
from _lookup_peers import Case, growthbook, launchdarkly, legacy, unleash
from _measure import Clock, Sample, interleave, parser, show
from _project import CUSTOM, MANY, USER, project

from asyncsdk import Client, Rules, Statsig, User
from asyncsdk.dev import DevServer

CALLS, CROWD = 2_000, 500
HOUR_MS = 3_600_000
SPEC = b'"defaultValue"'


@attrs.frozen
class Row:
    """One kind of lookup.

    Attributes:
        who: The user, as above.
        name: The name of the gate, config, experiment or layer.
        kind: Which of these it is.
        read: The parameter that is read, with its fallback, which is text or a number.
        exposure: Whether the lookup is reported.
        fields: The custom fields of the user.
    """

    who: Literal["same", "others", "new"]
    name: str
    kind: str = "gate"
    read: tuple[str, Any] | None = None
    exposure: bool = False
    fields: Mapping[str, Any] = CUSTOM


ROWS = {
    "public gate": Row("same", "public"),
    "public gate, exposure repeated": Row("same", "public", exposure=True),
    "country + email + version": Row("others", "detailed"),
    "50 % rollout": Row("others", "half"),
    "50 % rollout, asked before": Row("same", "half"),
    "nested, 4 gates": Row("others", "nested"),
    "ID list of 50,000": Row("others", "listed"),
    "config + one value": Row("same", "config", "config", ("title", "")),
    "experiment + one value": Row("others", "experiment", "experiment", ("p", 0)),
    "experiment in a slice (two hashes) + one value": Row("others", "sliced", "experiment", ("p", 0)),
    "layer + one parameter": Row("others", "layer", "layer", ("p", 0)),
    "user of 5 fields + public gate": Row("new", "public"),
    "user of 30 fields + public gate": Row("new", "public", fields=MANY),
}


class Ours:
    """asyncsdk."""

    def __init__(self, client: Client) -> None:
        """Use a running client."""
        self._client = client
        self._verbs: Mapping[str, Any] = {
            "gate": client.check_gate,
            "config": client.get_config,
            "experiment": client.get_experiment,
            "layer": client.get_layer,
        }

    def user(self, number: int, fields: Mapping[str, Any] = CUSTOM) -> User:
        """Return a user."""
        return User(f"u{number}", **{**USER, "custom": fields})

    def asked(self, row: Row, users: Iterable[User]) -> list[object]:
        """Look up a row for users; return the results."""
        read = _reader(row, {str: "get_string", int: "get_number"}) or _itself
        return [read(drive(self._verbs[row.kind](user, row.name, exposure=row.exposure))) for user in users]

    def timed(self, row: Row, calls: int) -> Callable[[], Sample]:
        """Return a function that times a row."""
        users = people(self, row)

        def run() -> Sample:
            parts = []
            for _ in range(calls // CROWD):
                asked = users()
                if row.who == "others":
                    for user in asked:
                        user._memo = None  # noqa: SLF001 -- as if never looked up
                parts.append(drive(self._loop(row, asked)))
            return average(parts)

        return run

    async def _loop(self, row: Row, users: Iterable[User]) -> Sample:
        ask, name, exposure = self._verbs[row.kind], row.name, row.exposure
        read = _reader(row, {str: "get_string", int: "get_number"})
        clock = Clock()
        if read is None:
            for user in users:
                await ask(user, name, exposure=exposure)
        else:
            for user in users:
                read(await ask(user, name, exposure=exposure))
        return clock.stop(CROWD)

    def one(self, kind: str, name: str) -> Callable[[User], object]:
        """Return a function that looks up a spec, and reports it."""
        ask = self._verbs[kind]
        return lambda user: drive(ask(user, name))

    def response(self, calls: int) -> Callable[[], Sample]:
        """Return a function that times the initial state of a browser SDK."""
        user = self.user(17)
        return timed(lambda: self._client.bootstrap(user), calls)


class Core:
    """statsig-python-core."""

    def __init__(self, url: str) -> None:
        """Start it with the rules of a server; blocks until it has them."""
        import statsig_python_core as package  # noqa: PLC0415 -- one of the peers

        self._package = package
        self._client = client = package.Statsig(
            "secret-key",
            package.StatsigOptions(
                specs_url=f"{url}/v2/download_config_specs",
                id_lists_url=f"{url}/v1/get_id_lists",
                log_event_url=f"{url}/v1/log_event",
                specs_sync_interval_ms=HOUR_MS,
                id_lists_sync_interval_ms=HOUR_MS,
                enable_id_lists=True,
                output_log_level="none",
            ),
        )
        client.initialize().wait()
        quiet = {"disable_exposure_logging": True}
        self._verbs: Mapping[str, tuple[Any, Any]] = {
            "gate": (client.check_gate, package.FeatureGateEvaluationOptions(**quiet)),
            "config": (client.get_dynamic_config, package.DynamicConfigEvaluationOptions(**quiet)),
            "experiment": (client.get_experiment, package.ExperimentEvaluationOptions(**quiet)),
            "layer": (client.get_layer, package.LayerEvaluationOptions(**quiet)),
        }

    def close(self) -> None:
        """Shut it down; blocks."""
        self._client.shutdown().wait()

    def user(self, number: int, fields: Mapping[str, Any] = CUSTOM) -> Any:
        """Return a user."""
        return self._package.StatsigUser(f"u{number}", **{**USER, "custom": dict(fields)})

    def asked(self, row: Row, users: Iterable[Any]) -> list[object]:
        """Look up a row for users; return the results."""
        ask, options = self._verbs[row.kind]
        read = _reader(row, {str: "get_string", int: "get_float"}) or _itself
        return [read(ask(user, row.name, None if row.exposure else options)) for user in users]

    def timed(self, row: Row, calls: int) -> Callable[[], Sample]:
        """Return a function that times a row."""
        users = people(self, row)
        return lambda: average([self._loop(row, users()) for _ in range(calls // CROWD)])

    def _loop(self, row: Row, users: Iterable[Any]) -> Sample:
        (ask, options), name = self._verbs[row.kind], row.name
        read = _reader(row, {str: "get_string", int: "get_float"})
        if row.exposure:
            options = None
        clock = Clock()
        if read is None:
            for user in users:
                ask(user, name, options)
        else:
            for user in users:
                read(ask(user, name, options))
        return clock.stop(CROWD)

    def one(self, kind: str, name: str) -> Callable[[Any], object]:
        """Return a function that looks up a spec, and reports it."""
        ask = self._verbs[kind][0]
        return lambda user: ask(user, name)

    def response(self, calls: int) -> Callable[[], Sample]:
        """Return a function that times the initial state of a browser SDK."""
        user = self.user(17)
        return timed(lambda: self._client.get_client_initialize_response(user), calls)


def people(sdk: Ours | Core, row: Row) -> Callable[[], Iterable[Any]]:
    """Return a function that returns the users of a row; new ones are created one by one."""
    if row.who == "new":
        return lambda: (sdk.user(number, row.fields) for number in range(CROWD))
    made = [sdk.user(17)] * CROWD if row.who == "same" else [sdk.user(number, row.fields) for number in range(CROWD)]
    return lambda: made


def average(parts: Sequence[Sample]) -> Sample:
    """Return the mean of the parts of a round."""
    return Sample(mean(part.wall for part in parts), mean(part.cpu for part in parts))


def _reader(row: Row, getters: Mapping[type, str]) -> Callable[[Any], object] | None:
    return None if row.read is None else methodcaller(getters[type(row.read[1])], *row.read)


def _itself(answer: object) -> object:
    return answer


def drive(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError


def timed(case: Case, calls: int) -> Callable[[], Sample]:
    """Return a function that times a case in a loop."""

    def run() -> Sample:
        clock = Clock()
        for _ in range(calls):
            case()
        return clock.stop(calls)

    return run


async def _nothing() -> None:
    """Return at once."""


def floors(calls: int) -> dict[str, Callable[[], Sample]]:
    """Return functions that time the operations that all lookups consist of."""
    table, unit = {"public": 1}, b"f00dface-aaaa-bbbb-cccc-dddddddddddd.c0ffee00-1111-2222-3.u17"

    async def awaits() -> Sample:
        clock = Clock()
        for _ in range(calls):
            await _nothing()
        return clock.stop(calls)

    return {
        "floor: a call of nothing": timed(lambda: None, calls),
        "floor: dict.get": timed(lambda: table.get("public"), calls),
        "floor: an await of nothing": lambda: drive(awaits()),
        "floor: SHA-256 of 60 bytes": timed(lambda: sha256(unit).digest(), calls),
    }


async def measure(rounds: int, calls: int, *, public: bool) -> list[list[object]]:
    """Start all SDKs with the same rules, check that they agree, and time them; or only the vendor's public cases."""
    body = project(20)
    rows: list[list[object]] = []
    async with DevServer(ruleset=body) as dev:
        dev.set_id_list("members", [f"u{number}" for number in range(1, 50_001)])
        rules = Rules(
            specs_url=f"{dev.url}/v2/download_config_specs",
            poll_interval=HOUR_MS / 1000,
            id_lists=True,
            id_lists_url=f"{dev.url}/v1/get_id_lists",
        )
        async with Client(Statsig("secret-key", log_event_url=dev.url, rules=rules)) as client:
            ours, core = Ours(client), await asyncio.to_thread(Core, dev.url)
            if public:
                rows += _public_cases.rows(ours, core, body, calls // 2)
                await asyncio.to_thread(core.close)
                return rows
            peers = {
                "legacy": legacy(USER, body),
                "GrowthBook": growthbook(USER),
                "LaunchDarkly": launchdarkly(USER),
                "Unleash": unleash(USER),
            }
            for title, row in ROWS.items():
                agree = ours.asked(row, people(ours, row)()), core.asked(row, people(core, row)())
                assert agree[0] == agree[1], (title, *agree)
                cases = {who: found[row.name] for who, found in peers.items() if row.name in found}
                cases = {} if row.exposure or row.who == "new" or title.endswith("before") else cases
                runs = {"asyncsdk": ours.timed(row, calls), "core": core.timed(row, calls)}
                runs |= {who: timed(case, calls // 4) for who, case in cases.items()}
                rows.append(line(title, row.who, runs, rounds, peers))
            few = max(1, calls // 50)
            runs = {"asyncsdk": ours.response(few), "core": core.response(few)}
            rows.append(line(f"client response, {body.count(SPEC)} specs", "same", runs, rounds, peers))
            await asyncio.to_thread(core.close)
    rows += [line(title, "", {"asyncsdk": run}, rounds, peers) for title, run in floors(calls).items()]
    return rows


def line(
    title: str, who: str, runs: Mapping[str, Callable[[], Sample]], rounds: int, peers: Iterable[str]
) -> list[object]:
    """Time runs in turn; return a row of the table."""
    best = {name: timing.best for name, timing in interleave(runs, rounds).items()}
    ratio = best["core"] / best["asyncsdk"] if "core" in best else "-"
    return [title, who, *(best.get(name, "-") for name in ("asyncsdk", "core", *peers)), ratio]


def main() -> None:
    """Measure, and print the table."""
    reading = parser(__doc__)
    reading.add_argument("--public", action="store_true", help="the cases of Statsig's public benchmarks instead")
    options = reading.parse_args()
    rounds, calls = (1, 200) if options.quick else (15, CALLS)
    rows = asyncio.run(measure(rounds, calls, public=options.public))
    if options.public:
        show("Statsig's public cases", _public_cases.COLUMNS, rows, as_json=options.json)
        return
    columns = ["ns per lookup", "user", "asyncsdk", "core", "legacy", "GrowthBook", "LaunchDarkly", "Unleash"]
    show("Lookups", [*columns, "core / ours"], rows, as_json=options.json)


if __name__ == "__main__":
    main()
