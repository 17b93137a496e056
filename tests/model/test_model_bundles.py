"""Bundles of exposures."""

from hypothesis import given
from hypothesis import strategies as st

from asyncsdk._model.bundles import Bundle, bundle_chunks, count_events, split_bundle

chunks_of_any_size = st.lists(st.binary(max_size=30), min_size=1, max_size=40)


@given(chunks_of_any_size)
def test_a_bundle_can_be_split_into_its_chunks(chunks: list[bytes]) -> None:
    assert split_bundle(Bundle.of(chunks)) == chunks


@given(chunks_of_any_size, st.integers(1, 10), st.integers(1, 60))
def test_bundling_keeps_all_chunks_in_order_within_bounds(chunks: list[bytes], most: int, max_bytes: int) -> None:
    bundles = list(bundle_chunks(chunks, most, max_bytes))

    assert [chunk for bundle in bundles for chunk in split_bundle(bundle)] == chunks
    assert all(len(split_bundle(bundle)) <= most for bundle in bundles)
    assert all(sum(map(len, split_bundle(bundle))) <= max_bytes or len(split_bundle(bundle)) == 1 for bundle in bundles)
    assert count_events([*bundles, b"{"]) == len(chunks) + 1


def test_bundles_are_as_large_as_allowed_and_a_single_chunk_is_not_bundled() -> None:
    assert [len(split_bundle(bundle)) for bundle in bundle_chunks([b"{"] * 7, 3, 100)] == [3, 3, 1]
    assert [type(bundle) for bundle in bundle_chunks([b"1234"] * 3, 9, 8)] == [Bundle, bytes]
