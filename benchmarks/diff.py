"""How long does `asyncsdk diff` take for two rulesets of 1 MB and 10,000 users?

The rulesets are two versions of a generated project with 900 names, of which half ask for a holdout and a third for one
of two segments. Each case is an edit. The command runs in a process of its own, which starts others when they help; the
CPU time is that of all of them.
"""

import json
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any
from uuid import UUID

from _measure import parser, show
from _project import condition, rule, spec, written

USERS = 10_000
COUNTRIES = ["NL", "US", "BE", "DE", "FR", "GB", "IN", "JP", "BR", "MX", "SE", "PL"]
_TEXT = "Some words that a page shows. " * 6
Project = dict[str, dict[str, Any]]


def project(copies: int) -> Project:
    """Return the project: 30 names for each copy, and what they share."""
    random = Random(1)
    public = condition("public")

    def salt() -> str:
        return str(UUID(int=random.getrandbits(128)))

    def checks() -> list[Any]:
        """Return what half of all names ask first: holdouts come before all other rules."""
        found = [rule("held", [condition("pass_gate", target="holdout")], value=False)] if random.random() < 0.5 else []
        if random.random() < 0.33:
            found += [rule("segment", [condition("pass_gate", target=f"segment:{random.randrange(2)}")])]
        return found

    def targeted(value: Any) -> Any:
        countries = condition("user_field", "any", random.sample(COUNTRIES, 4), "country")
        version = condition("user_field", "version_gte", f"{random.randrange(9)}.2.0", "appVersion")
        return rule(salt()[:22], [countries, version], value, random.choice([10, 50, 100]), salt=salt())

    def gate() -> Any:
        rules = [
            *checks(),
            targeted(value=True),
            rule(salt()[:22], [public], share=random.choice([0, 5, 50]), salt=salt()),
        ]
        return spec("feature_gate", *rules, salt=salt())

    def config() -> Any:
        values = [{"title": f"title {number}", "text": _TEXT, "price": random.randrange(99)} for number in range(2)]
        first = [one | {"returnValue": {}} for one in checks()]
        return spec("dynamic_config", *first, targeted(values[0]), rule(salt()[:22], [public], values[1]), salt=salt())

    def experiment() -> Any:
        bucket = salt()
        groups = [
            rule(
                name,
                [condition("user_bucket", "lt", end, salt=bucket)],
                {"p": end},
                groupName=name,
                isExperimentGroup=True,
            )
            for name, end in (("Control", 500), ("Test", 1000))
        ]
        return spec(
            "experiment",
            *(one | {"returnValue": {}} for one in checks()),
            *groups,
            salt=salt(),
            isActive=True,
            explicitParameters=["p"],
        )

    holdout = spec("holdout", rule("held", [public], share=0, salt=salt()), type="feature_gate", salt=salt())
    segments = {
        f"segment:{number}": spec("segment", rule("in", [condition("user_field", "any", COUNTRIES[:4], "country")]))
        for number in range(2)
    }
    gates = {f"gate {number}": gate() for number in range(18 * copies)}
    configs = {f"config {number}": config() for number in range(6 * copies)}
    experiments = {f"experiment {number}": experiment() for number in range(5 * copies)}
    layers = {
        f"layer {number}": spec("layer", rule("slice", [public], {}, configDelegate=f"experiment {number}"))
        for number in range(copies)
    }
    return {"gates": {"holdout": holdout, **segments, **gates}, "configs": configs | experiments, "layers": layers}


def users() -> bytes:
    """Return the users, as JSON lines."""
    random = Random(2)
    fields = [
        {
            "userID": str(UUID(int=random.getrandbits(128))),
            "email": f"user-{number}@example.com",
            "country": random.choice(COUNTRIES),
            "appVersion": f"{random.randrange(10)}.{random.randrange(10)}.0",
            "custom": {"plan": random.choice(["free", "pro"]), "level": random.randrange(50)},
        }
        for number in range(USERS)
    ]
    return b"\n".join(json.dumps(one).encode() for one in fields)


def edit_gate(edited: Project) -> None:
    """Edit the percentage of one gate."""
    edited["gates"]["gate 0"]["rules"][-1]["passPercentage"] = 37


def edit_segment(edited: Project) -> None:
    """Edit a segment that a sixth of all names ask for."""
    edited["gates"]["segment:0"]["rules"][0]["conditions"][0]["targetValue"] = COUNTRIES[2:6]


def flip_holdout(edited: Project) -> None:
    """Hold all users back from half of all names."""
    edited["gates"]["holdout"]["rules"][0]["passPercentage"] = 100


def edit_percentages(edited: Project) -> None:
    """Edit a percentage of every gate."""
    for name, one in edited["gates"].items():
        if name.startswith("gate"):
            one["rules"][-1]["passPercentage"] += 5


def edit_all(edited: Project) -> None:
    """Edit what every name depends on, and what no user gets."""
    for section in edited.values():
        for one in section.values():
            one["version"] += 1


EDITS: Mapping[str, Callable[[Project], None]] = {
    "the percentage of one gate": edit_gate,
    "a segment that a sixth of all names ask for": edit_segment,
    "a holdout of half of all names: 0 to 100 %": flip_holdout,
    "a percentage of every gate": edit_percentages,
    "every name, without an effect": edit_all,
}


def timed(folder: Path, arguments: list[str]) -> tuple[float, float, Any]:
    """Run the command; return its wall time, its CPU time and its result."""
    files = [str(folder / name) for name in ("old.json", "new.json")]
    command = [sys.executable, "-m", "asyncsdk", "diff", *files, "--users", str(folder / "users.ndjson"), "--json"]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    output = subprocess.run([*command, *arguments], stdout=subprocess.PIPE, check=False).stdout  # noqa: S603 -- this interpreter
    wall, after = perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, json.loads(output)


def main() -> None:
    """Measure, and print the table."""
    arguments = parser(__doc__)
    arguments.add_argument("--jobs", help="passed on to the command")
    arguments.add_argument("--rounds", type=int, default=3, help="runs of each case (default: 3)")
    options = arguments.parse_args()
    more = [] if options.jobs is None else ["--jobs", options.jobs]
    old, rows = project(1 if options.quick else 30), []
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.joinpath("old.json").write_bytes(body := written(deepcopy(old)))
        folder.joinpath("users.ndjson").write_bytes(users())
        for title, edit in EDITS.items():
            new = deepcopy(old)
            edit(new)
            folder.joinpath("new.json").write_bytes(written(new))
            runs = [timed(folder, more) for _ in range(1 if options.quick else options.rounds)]
            found = runs[0][2]
            assert all(run[2] == found for run in runs)
            changing = sum(1 for one in found["names"] if one["users"])
            rows.append(
                [title, found["changed_users"], changing, min(run[0] for run in runs), min(run[1] for run in runs)]
            )
    columns = ["edit", "users who change", "names that change", "wall s", "CPU s"]
    show(f"asyncsdk diff: {len(body) / 1e6:.1f} MB of rules, {USERS:,} users", columns, rows, as_json=options.json)


if __name__ == "__main__":
    main()
