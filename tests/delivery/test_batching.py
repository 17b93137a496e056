"""What a verdict means for each event of a batch."""

from hypothesis import given
from hypothesis import strategies as st

from asyncsdk._batching import halves, sort_out
from asyncsdk._model.receipts import Record
from asyncsdk.vendors._base import Verdict

positions = st.frozensets(st.integers(0, 9))


def batch(count: int) -> list[Record]:
    return [Record(f"user-{n}", str(n), b"", 0.0) for n in range(count)]


def test_without_a_word_everything_is_delivered() -> None:
    assert len(sort_out(batch(3), Verdict()).delivered) == 3


@given(st.integers(1, 10), positions, positions, positions, positions)
def test_every_event_lies_on_exactly_one_pile(
    count: int, retry: frozenset[int], resend: frozenset[int], pause: frozenset[int], reject: frozenset[int]
) -> None:
    verdict = Verdict(retry=retry, resend=resend, pause=pause, reject=dict.fromkeys(reject, "no"))

    out = sort_out(batch(count), verdict)

    dealt = [*out.delivered, *out.resend, *out.retry, *out.paused, *(record for record, _ in out.rejected)]
    assert sorted(int(record.id) for record in dealt) == list(range(count))


def test_halves_keep_the_order() -> None:
    first, second = halves(batch(5))

    assert [record.id for record in first + second] == ["0", "1", "2", "3", "4"]
