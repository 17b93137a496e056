"""What a verdict means for each event of a batch."""

from hypothesis import given
from hypothesis import strategies as st

from asyncsdk._delivery.batching import count, halve, sort_out, split_exposures
from asyncsdk._model.bundles import Bundle
from asyncsdk._model.receipts import Attempt, Record
from asyncsdk.vendors._base import Verdict

positions = st.frozensets(st.integers(0, 9))


def batch(count: int) -> list[Record]:
    return [Record(f"user-{n}", str(n), b"", 0.0) for n in range(count)]


def test_an_empty_verdict_delivers_everything() -> None:
    assert len(sort_out(batch(3), Verdict()).delivered) == 3


@given(st.integers(1, 10), positions, positions, positions, positions)
def test_every_event_is_in_exactly_one_list(
    count: int, retry: frozenset[int], resend: frozenset[int], pause: frozenset[int], reject: frozenset[int]
) -> None:
    verdict = Verdict(retry=retry, resend=resend, pause=pause, reject=dict.fromkeys(reject, "no"))

    out = sort_out(batch(count), verdict)

    sorted_ = [*out.delivered, *out.resend, *out.retry, *out.paused, *(record for record, _ in out.rejected)]
    assert sorted(int(record.id) for record in sorted_) == list(range(count))


def test_halves_keep_the_order() -> None:
    first, second = halve(batch(5))

    assert [record.id for record in first + second] == ["0", "1", "2", "3", "4"]


def bundled(number: int) -> Record:
    chunks = [b'{"n":%d' % n for n in range(number)]
    return Record("", "", Bundle.of(chunks), 1.5, exposures=number, epoch=2, attempts=(Attempt(0, 400, "no"),))


@given(st.integers(2, 60))
def test_bundled_exposures_are_halved_too(number: int) -> None:
    whole = bundled(number)

    pieces = [record for half in halve([whole]) for record in half]

    assert [part.chunk for piece in pieces for part in split_exposures(piece)] == [
        part.chunk for part in split_exposures(whole)
    ]
    assert count(pieces) == (0, number)
    assert {(piece.admitted, piece.epoch, piece.attempts) for piece in pieces} == {(1.5, 2, whole.attempts)}


def test_a_single_event_is_not_split() -> None:
    (event,) = batch(1)

    assert split_exposures(event) == [event]
    assert [one.exposures for one in split_exposures(bundled(3))] == [1, 1, 1]
