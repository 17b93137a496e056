"""What a destination leaves out of an event is said: in the receipt, and once in the log."""

import pytest
from helpers import amplitude, rudderstack

from asyncsdk import Amplitude, Client, RawEvent, Track, User
from asyncsdk.dev import DevServer
from asyncsdk.vendors._base import PartialChunk

TOO_SHORT = "device_id left out: id too short (min_id_length)"
REFUSED = "device_id left out: id refused by Amplitude"


@pytest.mark.parametrize(
    ("user", "note"),
    [
        (User("ada-lovelace", device_id="d-1"), TOO_SHORT),
        (User("ada-lovelace", anonymous_id="v-1"), TOO_SHORT),
        (User("ada-lovelace", device_id="00000-00000"), REFUSED),
    ],
)
async def test_a_device_id_that_is_left_out_is_said(
    server: DevServer, caplog: pytest.LogCaptureFixture, user: User, note: str
) -> None:
    async with Client(rudderstack(server), amplitude(server)) as client:
        receipts = [await client.track(user, "x") for _ in range(3)]
        assert (await receipts[0])["Amplitude"].status == "delivered"

    assert receipts[0].notes == {"Amplitude": note}
    assert receipts[0].explain().endswith(f"delivered (200), attempt 1\n    {note}")
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == [f"Amplitude: {note}; events are sent without it (said once)"]
    assert "device_id" not in server.accepted("amplitude")[0].body


async def test_without_a_note_a_receipt_has_none(server: DevServer) -> None:
    async with Client(amplitude(server)) as client:
        receipt = await client.track(User("ada-lovelace", device_id="device-1"), "x")

    assert receipt.notes == {}


@pytest.mark.parametrize("blank", [None, "", " "])
def test_a_blank_device_id_is_none(blank: str | None) -> None:
    chunk = Amplitude("key").encode(Track(User("ada-lovelace", device_id=blank), "x"), "id", 0)

    assert isinstance(chunk, bytes)


def test_fields_of_an_object_are_said_too() -> None:
    given = RawEvent({"event_type": "x", "user_id": "ada-lovelace", "device_id": "d"})
    added = Track("ada-lovelace", "x", integrations={"Amplitude": {"device_id": "d"}})

    for event in (given, added):
        chunk = Amplitude("key").encode(event, "id", 0)
        assert isinstance(chunk, PartialChunk)
        assert chunk.note == TOO_SHORT


async def test_exposures_of_such_a_user_arrive(server: DevServer) -> None:
    from helpers import statsig_with_rules

    user = User("ada-lovelace", device_id="d-1")

    async with Client(statsig_with_rules(server), amplitude(server, exposures="all")) as client:
        await client.check_gate(user, "open")
        await client.flush()

    assert [event.name for event in server.accepted("amplitude")] == ["$exposure"]
