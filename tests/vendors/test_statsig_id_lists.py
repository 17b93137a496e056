"""ID lists: download plans, applying files, and snapshots."""

from typing import Any

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk._rules.loading import run_to_end
from asyncsdk.vendors._base import ListFile, Response
from asyncsdk.vendors.statsig.id_lists import BadListError, IdList, apply_file, plan_downloads, restore, snapshot

FILE = ListFile("vips", "https://lists.example.com/vips", "g", 5, 20)
ENTRY = {"name": "vips", "url": FILE.url, "fileID": "g", "creationTime": 5, "size": 20}


def held(size: int = 20, generation: str = "g", created: int = 5, *entries: str) -> IdList:
    return IdList(generation, created, size, set(entries))


def planned(entry: Any, **lists: IdList) -> tuple[ListFile, ...]:
    return plan_downloads(orjson.dumps({"vips": entry}), lists).read


def taken(body: bytes, status: int = 206, file: ListFile = FILE, before: IdList | None = None) -> IdList:
    return run_to_end(apply_file(file, Response(status, body=body), before))


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
    ],
)
def test_an_incomplete_entry_is_ignored(entry: Any) -> None:
    manifest = orjson.dumps({"vips": entry})

    assert plan_downloads(manifest, {"vips": held(1)}) == plan_downloads(
        orjson.dumps({"vips": None}), {"vips": held(1)}
    )
    assert plan_downloads(manifest, {}).read == ()


@pytest.mark.parametrize("manifest", [b"", b"junk", b"[]", b"null", b"7"])
def test_bytes_that_are_not_a_manifest_are_refused(manifest: bytes) -> None:
    with pytest.raises(BadListError):
        plan_downloads(manifest, {})


# --- files --------------------------------------------------------------------------------------------------------


def test_lines_add_and_remove_entries() -> None:
    found = taken(b"+aaaaaaaa\n+bbbbbbbb\r\n-aaaaaaaa\n-cccccccc\n")

    assert found.entries == {"bbbbbbbb"}
    assert (found.generation, found.created_ms, found.size) == ("g", 5, 41)


def test_lines_without_an_entry_are_ignored() -> None:
    assert taken(b"+a\n\n+\n- \n?b\n b\n+c\n").entries == {"a", "c"}


def test_a_line_without_end_is_not_counted() -> None:
    found = taken(b"+aaaaaaaa\n+bbb")

    assert (found.entries, found.size) == ({"aaaaaaaa"}, 10)


def test_the_rest_of_a_file_changes_the_current_list() -> None:
    before = held(10, "g", 5, "a")
    found = taken(b"+b\n-a\n", file=attrs.evolve(FILE, start=10), before=before)

    assert found is before
    assert (found.entries, found.size) == ({"b"}, 16)


def test_a_file_from_its_start_creates_a_new_list() -> None:
    before = held(10, "old", 1, "a")
    found = taken(b"+b\n", before=before)

    assert (found.entries, found.size, found.generation) == ({"b"}, 3, "g")
    assert before.entries == {"a"}


def test_a_complete_file_instead_of_the_rest_creates_a_new_list() -> None:
    found = taken(b"+b\n", 200, attrs.evolve(FILE, start=10), held(10, "g", 5, "a"))

    assert (found.entries, found.size) == ({"b"}, 3)


@pytest.mark.parametrize(("body", "entries"), [(b"+b\n" * 3, {"a", "b"}), (b"+b\n" * 7, {"b"})])
def test_with_a_range_in_the_query_the_size_shows_whether_a_file_is_complete(body: bytes, entries: set[str]) -> None:
    own = attrs.evolve(FILE, url="https://api.statsigcdn.com/vips", start=10)

    assert taken(body, 200, own, held(10, "g", 5, "a")).entries == entries


@pytest.mark.parametrize("page", [b"<html>", b" +a\n", b"\n+a\n", b"{}"])
def test_bytes_that_are_not_a_list_are_refused(page: bytes) -> None:
    with pytest.raises(BadListError):
        taken(page)


def test_an_empty_file_is_an_empty_list() -> None:
    assert taken(b"") == IdList("g", 5)


def test_a_large_file_is_applied_in_slices() -> None:
    body = b"".join(b"+%08d\n" % number for number in range(20_000))
    steps = apply_file(FILE, Response(200, body=body), None)

    assert sum(1 for _ in steps) > 10


changes = st.lists(st.tuples(st.sampled_from("+-"), st.sampled_from("abcdef")))


@given(changes, st.lists(st.integers(0, 60)))
def test_a_file_read_in_parts_equals_the_file_read_at_once(
    given_changes: list[tuple[str, str]], cuts: list[int]
) -> None:
    body = b"".join(f"{mark}{entry * 8}\n".encode() for mark, entry in given_changes)
    piecemeal: IdList | None = None
    for end in sorted({cut for cut in cuts if cut < len(body)} | {len(body)}):
        start = 0 if piecemeal is None else piecemeal.size
        if start < end or piecemeal is None:
            piecemeal = taken(body[start:end], file=attrs.evolve(FILE, start=start), before=piecemeal)

    assert piecemeal == taken(body)


# --- snapshots ---------------------------------------------------------------------------------------------------


@given(
    st.sets(
        st.text(st.characters(max_codepoint=255, exclude_characters="\n\r #"), min_size=1, max_size=9).map(str.strip)
    )
)
def test_a_list_is_restored_from_its_snapshot(entries: set[str]) -> None:
    entries = {entry for entry in entries if entry}
    before = held(57, "generation", 9, *entries)

    after = run_to_end(restore(run_to_end(snapshot(before))))

    assert after == before


def test_a_snapshot_is_a_valid_file_for_statsig_s_sdks() -> None:
    kept = run_to_end(snapshot(held(57, "g", 5, "abcdefgh", "12345678")))

    assert taken(kept, file=attrs.evolve(FILE, start=0)).entries == {"abcdefgh", "12345678"}


def test_a_snapshot_of_many_entries_is_sliced() -> None:
    many = held(9, "g", 5, *(f"{number:08}" for number in range(5000)))
    steps = snapshot(many)

    assert len(list(steps)) == 5
    assert len(list(restore(run_to_end(snapshot(many))))) > 3


@pytest.mark.parametrize("body", [b"", b"junk", b"+abcdefgh\n", b"+abcdefgh\n# 5", b"# {}", b'# {"fileID":1}', b"# {"])
def test_bytes_without_a_valid_trailer_are_not_restored(body: bytes) -> None:
    assert run_to_end(restore(body)) is None
