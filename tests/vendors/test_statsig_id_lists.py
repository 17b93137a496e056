"""ID lists: download plans, applying files, and snapshots."""

from base64 import b64decode
from itertools import pairwise
from typing import Any

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk._model.compact_ids import CompactIds
from asyncsdk._rules.sliced import run_to_end
from asyncsdk.vendors._base import ListFile
from asyncsdk.vendors.statsig.id_list_files import BadListError, IdList, apply_lines, new_list, restore, snapshot
from asyncsdk.vendors.statsig.id_lists import plan_downloads

FILE = ListFile("vips", "https://lists.example.com/vips", "g", 5, 20)
ENTRY = {"name": "vips", "url": FILE.url, "fileID": "g", "creationTime": 5, "size": 20}


def held(size: int = 20, generation: str = "g", created: int = 5, *entries: str) -> IdList:
    return IdList(generation, created, size, keys(*entries))


def keys(*entries: str) -> set[bytes]:
    return {b64decode(entry) for entry in entries}


def line(entry: str, mark: str = "+") -> bytes:
    return f"{mark}{entry}\n".encode()


def planned(entry: Any, **lists: IdList) -> tuple[ListFile, ...]:
    return plan_downloads(orjson.dumps({"vips": entry}), lists).read


def taken(body: bytes, before: IdList | None = None) -> IdList:
    target = new_list(FILE) if before is None else before
    run_to_end(apply_lines(target, body))
    return target


# --- manifests ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "start"),
    [
        (None, 0),
        (held(20), None),
        (held(25), None),
        (held(12), 12),
        (held(12, "other"), 0),
        (held(20, "other"), 0),
        (held(20, "g", 4), 0),
        (held(12, "g", 4), 0),
        (held(12, "g", 6), 12),
    ],
)
def test_a_file_is_read_from_its_known_size(before: IdList | None, start: int | None) -> None:
    lists = {} if before is None else {"vips": before}

    assert planned(ENTRY, **lists) == (() if start is None else (attrs.evolve(FILE, start=start),))


def test_lists_that_the_manifest_does_not_name_are_dropped() -> None:
    assert plan_downloads(b"{}", {"vips": held(), "others": held()}).drop == ("vips", "others")


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        *({name: value for name, value in ENTRY.items() if name != gone} for gone in ENTRY if gone != "name"),
        ENTRY | {"size": "20"},
        ENTRY | {"url": "file:///etc/passwd"},
        ENTRY | {"url": ""},
        ENTRY | {"url": "https://api.statsigcdn.com\\@lists.example.com/vips"},
        ENTRY | {"url": "https://api.statsigcdn.com@lists.example.com/vips"},
        ENTRY | {"url": "https://lists.example.com:port/vips"},
    ],
)
def test_an_incomplete_entry_is_ignored(entry: Any) -> None:
    manifest = orjson.dumps({"vips": entry})

    assert plan_downloads(manifest, {"vips": held(1)}) == plan_downloads(
        orjson.dumps({"vips": None}), {"vips": held(1)}
    )
    assert plan_downloads(manifest, {}).read == ()


@pytest.mark.parametrize("manifest", [b"", b"junk", b"[]", b"null", b"7", b"{" + b" " * 1_000_000 + b"}"])
def test_bytes_that_are_not_a_manifest_are_refused(manifest: bytes) -> None:
    with pytest.raises(BadListError):
        plan_downloads(manifest, {})


# --- files --------------------------------------------------------------------------------------------------------

A, B, C = "aaaaaaaa", "bbbbbbbb", "cc+/cccc"


def test_lines_add_and_remove_entries() -> None:
    found = taken(b"+aaaaaaaa\n+bbbbbbbb\r\n-aaaaaaaa\n-cccccccc\n")

    assert found.entries == keys(B)
    assert (found.generation, found.created_ms, found.size) == ("g", 5, 41)


@pytest.mark.parametrize(
    "other", [b"", b"+", b"- ", b"?" + A.encode(), b" " + B.encode(), b"+a", b"+aaaa=aaa", b"+aa-_aaaa"]
)
def test_other_lines_are_ignored(other: bytes) -> None:
    assert taken(line(A) + other + b"\n" + line(C)).entries == keys(A, C)


def test_a_line_without_end_is_not_counted() -> None:
    target = new_list(FILE)

    assert run_to_end(apply_lines(target, b"+aaaaaaaa\n+bbb")) == b"+bbb"
    assert (target.entries, target.size) == (keys(A), 10)


def test_the_rest_of_a_file_changes_the_current_list() -> None:
    found = taken(line(B) + line(A, "-"), held(10, "g", 5, A))

    assert (found.entries, found.size) == (keys(B), 30)


@pytest.mark.parametrize("page", [b"<html>", b" +a\n", b"\n+a\n", b"{}", b"+" + b"a" * 2_000])
def test_bytes_that_are_not_a_list_are_refused(page: bytes) -> None:
    with pytest.raises(BadListError):
        taken(page)


def test_an_empty_file_is_an_empty_list() -> None:
    assert taken(b"") == IdList("g", 5)


def test_a_large_file_is_applied_in_slices() -> None:
    body = b"".join(b"+%08d\n" % number for number in range(20_000))
    steps = apply_lines(new_list(FILE), body)

    assert sum(1 for _ in steps) > 10


def test_a_large_list_may_grow_far_beyond_the_size_it_was_made_for() -> None:
    target = IdList("g", 5, 0, CompactIds(1))
    body = b"".join(b"+%08d\n" % number for number in range(3_000))

    run_to_end(apply_lines(target, body))

    assert (len(target.entries), target.size) == (3_000, len(body))
    assert set(target.entries) == keys(*(f"{number:08}" for number in range(3_000)))


changes = st.lists(st.tuples(st.sampled_from("+-"), st.sampled_from("abcdef")))


@given(changes, st.lists(st.integers(0, 60)))
def test_a_file_read_in_parts_equals_the_file_read_at_once(
    given_changes: list[tuple[str, str]], cuts: list[int]
) -> None:
    body = b"".join(line(entry * 8, mark) for mark, entry in given_changes)
    piecemeal, rest = new_list(FILE), b""
    for start, end in pairwise([0, *sorted(cuts), len(body)]):
        rest = run_to_end(apply_lines(piecemeal, rest + body[start:end]))

    assert piecemeal == taken(body)


# --- snapshots ---------------------------------------------------------------------------------------------------


@given(st.sets(st.binary(min_size=6, max_size=6)))
def test_a_list_is_restored_from_its_snapshot(entries: set[bytes]) -> None:
    before = IdList("generation", 9, 57, entries)

    after = run_to_end(restore(run_to_end(snapshot(before))))

    assert after == before


def test_a_snapshot_is_a_valid_file_for_statsig_s_sdks() -> None:
    kept = run_to_end(snapshot(held(57, "g", 5, "abcdefgh", "12345678")))

    assert taken(kept).entries == keys("abcdefgh", "12345678")


def test_a_snapshot_of_many_entries_is_sliced() -> None:
    many = held(9, "g", 5, *(f"{number:08}" for number in range(5000)))
    steps = snapshot(many)

    assert len(list(steps)) == 5
    assert len(list(restore(run_to_end(snapshot(many))))) > 3


@pytest.mark.parametrize("body", [b"", b"junk", b"+abcdefgh\n", b"+abcdefgh\n# 5", b"# {}", b'# {"fileID":1}', b"# {"])
def test_bytes_without_a_valid_trailer_are_not_restored(body: bytes) -> None:
    assert run_to_end(restore(body)) is None
