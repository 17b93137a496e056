"""The contract of stores: every class in `asyncsdk.stores` is found and tested."""

import asyncio
import inspect
import os
import stat
import threading
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import asyncsdk.stores
from asyncsdk.stores import ComparingStore, FileAssignments, FileCache, RulesCache
from asyncsdk.stores.file import WatchedFile


def stores(ending: str) -> list[type]:
    """Return the classes in all modules of `asyncsdk.stores` whose names end with `ending`."""
    modules = [import_module(f"asyncsdk.stores.{found.name}") for found in iter_modules(asyncsdk.stores.__path__)]
    return [
        kind
        for module in modules
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if name.endswith(ending) and kind.__module__ == module.__name__
    ]


def create(kind: type, folder: Path) -> Any:
    return kind(folder / "store") if "folder" in inspect.signature(kind).parameters else kind()


@pytest.fixture(params=stores("Cache"), ids=lambda kind: kind.__name__)
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> RulesCache:
    store: RulesCache = create(request.param, tmp_path)
    return store


def inside(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def modes(paths: list[Path]) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in paths}


def test_the_stores_are_found() -> None:
    assert {kind.__name__ for kind in stores("Cache")} >= {"MemoryCache", "FileCache"}
    assert {kind.__name__ for kind in stores("Assignments")} >= {"MemoryAssignments", "FileAssignments"}


# --- rules --------------------------------------------------------------------------------------------------------


async def test_an_unknown_key_returns_none(cache: RulesCache) -> None:
    assert await cache.load("key") is None


@pytest.mark.parametrize(
    "key", ["key", "statsig|/v2/download_config_specs|plain_text|a+b/c=", "../../up", "", "é\udc80"]
)
async def test_load_returns_what_was_saved_last(cache: RulesCache, key: str) -> None:
    await cache.save("another", b"another")
    await cache.save(key, b"first")
    await cache.save(key, b"\x00second\xff")

    assert await cache.load(key) == b"\x00second\xff"
    assert await cache.load("another") == b"another"


async def test_concurrent_saves_leave_one_complete_body(cache: RulesCache) -> None:
    bodies = [bytes([number]) * 100_000 for number in range(8)]

    await asyncio.gather(*(cache.save("key", body) for body in bodies))

    assert await cache.load("key") in bodies


# --- assignments: the contract is in tests/engines/test_assignment_stores.py, with those of engines --------------------

steps = st.lists(
    st.tuples(
        st.sampled_from("ab"), st.sampled_from("xyz"), st.none() | st.fixed_dictionaries({"n": st.integers(0, 9)})
    )
)


@settings(deadline=None)  # a disk may be slow
@given(steps)
def test_all_assignment_stores_behave_the_same(given_steps: list[tuple[str, str, dict[str, int] | None]]) -> None:
    import tempfile

    async def run(store: ComparingStore) -> dict[str, Any]:
        expected: Any = None
        for unit, name, value in given_steps:
            expected = await store.compare_and_set(unit, name, expected, value)
            await store.save(unit, name, value)
        return {unit: dict(await store.load(unit)) for unit in "ab"}

    with tempfile.TemporaryDirectory() as folder:
        ends = [asyncio.run(run(create(kind, Path(folder)))) for kind in stores("Assignments")]

    assert all(end == ends[0] for end in ends)


# --- files --------------------------------------------------------------------------------------------------------


async def test_files_are_accessible_to_their_owner_only(tmp_path: Path) -> None:
    rules, assignments = (tmp_path / "deep" / name for name in ("rules", "assignments"))
    await FileCache(rules).save("key", b"{}")
    await FileAssignments(assignments).save("key", "name", {})

    for folder in (rules, assignments):
        assert modes([path for path in inside(folder) if path.is_file()]) == {0o600}
        assert modes([folder, *(path for path in inside(folder) if path.is_dir())]) == {0o700}


async def test_no_file_name_reveals_the_key_or_the_user(tmp_path: Path) -> None:
    await FileCache(tmp_path).save("secret-key", b"{}")
    await FileAssignments(tmp_path).save("ada@example.com:userID", "name", {})

    assert not [path for path in inside(tmp_path) if "secret" in str(path) or "ada" in path.name]


async def test_a_folder_may_be_a_string(tmp_path: Path) -> None:
    await FileCache(str(tmp_path)).save("key", b"{}")

    assert await FileCache(tmp_path).load("key") == b"{}"


async def test_a_failed_save_leaves_no_other_file(tmp_path: Path) -> None:
    cache = FileCache(tmp_path)
    await cache.save("key", b"good")
    [file] = inside(tmp_path)
    file.unlink()
    file.mkdir()  # the new file cannot be renamed to this path

    with pytest.raises(OSError):  # noqa: PT011 -- which one depends on the system
        await cache.save("key", b"new")
    assert inside(tmp_path) == [file]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff"])
async def test_a_damaged_file_of_assignments_counts_as_empty(tmp_path: Path, damage: bytes) -> None:
    store = FileAssignments(tmp_path)
    await store.save("unit", "button", {"rule_id": "a"})
    [file] = [path for path in inside(tmp_path) if path.is_file()]
    file.write_bytes(damage)

    assert await store.load("unit") == {}
    await store.save("unit", "price", {"rule_id": "b"})
    assert await store.load("unit") == {"price": {"rule_id": "b"}}


async def test_file_stores_leave_no_thread_running(tmp_path: Path) -> None:
    before = threading.active_count()  # packages of other tests may have threads
    await FileCache(tmp_path).save("key", b"{}")
    while threading.active_count() > before:
        await asyncio.sleep(0)


async def test_a_watched_file_is_read_when_it_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_bytes(b"one")
    file = WatchedFile(path)

    assert await file.read_if_changed() == b"one"
    assert await file.read_if_changed() is None
    path.write_bytes(b"two!")
    assert await file.read_if_changed() == b"two!"
    path.write_bytes(b"tri!")
    os.utime(path, ns=(1, 1))
    assert await file.read_if_changed() == b"tri!"


async def test_a_watched_file_that_disappeared_is_read_when_it_is_back(tmp_path: Path) -> None:
    path, away = tmp_path / "rules.json", tmp_path / "away"
    path.write_bytes(b"one")
    file = WatchedFile(path)
    await file.read_if_changed()
    path.rename(away)
    with pytest.raises(FileNotFoundError):
        await file.read_if_changed()
    away.rename(path)

    assert await file.read_if_changed() == b"one"
