"""What `import asyncsdk` loads, and what a client loads when it is constructed, so that its loop does not have to."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import asyncsdk
from tests.helpers import ruleset

# Each is needed by some programs only, and comes with what it imports itself.
CHAINS = {
    "asyncsdk._client.dev_mode",
    "asyncsdk._delivery.fleet",
    "asyncsdk._delivery.spool.spooler",
    "asyncsdk._lookups.all_results",
    "asyncsdk._lookups.assignments",
    "asyncsdk._model.catalog",
    "asyncsdk._model.spooling",
    "asyncsdk._refresh",
    "asyncsdk._rules.bootstrap",
    "asyncsdk._rules.catalog",
    "asyncsdk._rules.explain",
    "asyncsdk._rules.loading",
    "asyncsdk._rules.patterns.matcher",
    "asyncsdk._rules.sticky",
    "asyncsdk._transport",
    "asyncsdk.cli",
    "asyncsdk.dev",
    "asyncsdk.engines",
    "asyncsdk.examples",
    "asyncsdk.integrations",
    "asyncsdk.relay",
    "asyncsdk.stores",
    "asyncsdk.testing",
    "asyncsdk.vendors.amplitude",
    "asyncsdk.vendors.rudderstack",
}

# Prints the modules that are imported between the two marks. `BODY` is a coroutine function that calls `mark()`.
WATCHED = """
import asyncio, json, sys
from pathlib import Path
import asyncsdk
from asyncsdk import Client, Statsig, Rules, RudderStack, Amplitude, Identify, Revenue
from asyncsdk import stores

marks = []
def mark():
    marks.append(set(sys.modules))

{body}

asyncio.run(main())
print(json.dumps(sorted(name for name in marks[1] - marks[0] if name.startswith("asyncsdk"))))
"""

LOOKUPS = """
async def main():
    rules = Rules(bootstrap=Path("RULES").read_bytes(), assignments=stores.MemoryAssignments())
    async with Client(Statsig("secret-key", offline=True, rules=rules)) as client:
        mark()
        client.override_gate("gate", True)
        await client.load_assignments("ada")
        for ask in (client.check_gate, client.get_config, client.get_experiment, client.get_layer):
            await ask("ada", "gate")
        client.explain("ada", "gate").render()
        client.bootstrap("ada")
        client.bind("ada").check_gate("gate")
        await client.get_all("ada")
        await client.get_names()
        await client.get_experiment_groups("experiment")
        await client.get_experiment_by_group("experiment", "A")
        client.log_exposure("ada", "gate")
        await client.refresh_rules()
        client.health()
    mark()
"""

EVENTS = """
async def main():
    nowhere = "http://127.0.0.1:9"
    async with Client(RudderStack("key", nowhere), Amplitude("key", url=nowhere), SPOOL close_timeout=0.2) as client:
        mark()
        await client.track("ada", "Bought", {"amount": 1})
        await client.track("ada", Revenue(4.99))
        await client.identify("ada", Identify().set("plan", "pro"))
        await client.group("ada", "acme")
        client.health()
    mark()
"""


def imported(code: str) -> Any:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return json.loads(run.stdout)


def test_importing_the_package_does_not_load_what_some_programs_need() -> None:
    loaded = imported("import json, sys, asyncsdk; print(json.dumps(sorted(sys.modules)))")

    assert "asyncsdk._client.client" in loaded
    assert not CHAINS & {*loaded}


def test_the_names_of_chains_are_right() -> None:
    root = Path(asyncsdk.__file__).parents[1]

    for name in CHAINS:
        path = root.joinpath(*name.split("."))
        assert path.is_dir() or path.with_suffix(".py").exists(), name


def test_no_lookup_imports_a_module_on_the_loop(tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_bytes(ruleset())

    assert imported(WATCHED.format(body=LOOKUPS.replace("RULES", str(tmp_path / "rules.json")))) == []


@pytest.mark.parametrize("has_spool", [False, True])
def test_no_event_imports_a_module_on_the_loop(tmp_path: Path, has_spool: bool) -> None:
    spool = f"spool={str(tmp_path)!r}," if has_spool else ""

    assert imported(WATCHED.format(body=EVENTS.replace("SPOOL", spool))) == []


def test_lazy_public_names_are_those_that_type_checkers_see() -> None:
    tree = ast.parse(Path(asyncsdk.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {name.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for name in node.names}

    assert seen == asyncsdk._LAZY
    assert {*seen} <= {*asyncsdk.__all__} & {*dir(asyncsdk)}


def test_a_name_that_the_package_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'asyncsdk' has no attribute 'Statsg'"):
        _ = asyncsdk.Statsg  # type: ignore[attr-defined]


def test_the_types_of_the_clients_arguments_can_be_resolved() -> None:
    """As frameworks of dependency injection do."""
    assert get_type_hints(asyncsdk.Client.__init__)["spool"] == asyncsdk.SpoolLike
