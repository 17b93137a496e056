"""The user of a request, and the comparison of users."""

from ipaddress import ip_address
from typing import Any
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk import ConfigurationError, User
from asyncsdk.integrations._context import is_same_user
from asyncsdk.integrations._identity import Identity, RequestReader, client_address, preferred_language, without_port

FIELDS = [field for field in attrs.fields(User) if field.init]
READER: RequestReader[object] = RequestReader(lambda _: (None, None, None), lambda _: (), lambda *_: None)


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", None),
        ("nl", "nl"),
        ("nl-NL,nl;q=0.9,en;q=0.8", "nl-NL"),
        ("en;q=0.5, nl;q=0.9", "nl"),
        ("*", None),
        ("*, fr;q=0.5", "fr"),
        ("de;q=0", None),
        ("fr; q=0.2, de", "de"),
        ("en ; Q=0.1,de;q=0.9", "de"),
        ("de;q=inf, fr;q=0.1", "fr"),
        ("de;q=x, en;q=0.1", "en"),
        (" cy ", "cy"),
    ],
)
def test_the_language_with_the_highest_weight_is_preferred(accepted: str, language: str | None) -> None:
    assert preferred_language(accepted) == language


@given(st.text())
def test_any_header_gives_a_language_or_none(accepted: str) -> None:
    assert preferred_language(accepted) != ""


@pytest.mark.parametrize(
    ("address", "alone"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:80", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
    ],
)
def test_the_port_is_removed_from_an_address(address: str, alone: str) -> None:
    assert without_port(address) == alone


@pytest.mark.parametrize(
    ("forwarded", "proxies", "address"),
    [
        ([], 1, "peer"),
        (["192.0.2.1, 192.0.2.2"], 1, "192.0.2.2"),
        (["192.0.2.1", "192.0.2.2"], 1, "192.0.2.2"),  # one header per proxy, as HAProxy writes them
        (["192.0.2.1", "[2001:db8::1]:80, 192.0.2.3"], 2, "2001:db8::1"),
        (["192.0.2.1, 192.0.2.2"], 3, "peer"),
        (["192.0.2.1, "], 1, "peer"),
        (["192.0.2.1, unknown"], 1, "peer"),
        (["192.0.2.300"], 1, "peer"),
        (['"[2001:db8::1]:80"'], 1, "2001:db8::1"),
    ],
)
def test_the_address_is_what_the_outermost_trusted_proxy_saw(forwarded: list[str], proxies: int, address: str) -> None:
    assert client_address("peer", forwarded, proxies) == address


@given(st.lists(st.text()))
def test_any_header_gives_a_valid_address(forwarded: list[str]) -> None:
    address = client_address("192.0.2.1", forwarded, 1)

    assert address is not None
    assert ip_address(address)


@pytest.mark.parametrize(
    ("proxies", "cookie"), [(-1, None), (True, None), ("1", None), (0, "a b"), (0, ""), (0, "a=b"), (0, 7)]
)
def test_invalid_settings_raise(proxies: int, cookie: str | None) -> None:
    with pytest.raises(ConfigurationError):
        Identity(None, READER, proxies, cookie)


@pytest.mark.parametrize(
    ("seen", "address"),
    [
        ("::ffff:8.8.8.8", "8.8.8.8"),
        ("::FFFF:808:808", "8.8.8.8"),
        ("0:0:0:0:0:ffff:8.8.8.8", "8.8.8.8"),
        ("2001:db8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("testclient", "testclient"),
        ("unix:/run/app.sock", "unix:/run/app.sock"),
        (None, None),
    ],
)
@pytest.mark.parametrize("proxies", [0, 1])
def test_an_ipv4_address_on_an_ipv6_socket_is_given_as_ipv4(
    seen: str | None, address: str | None, proxies: int
) -> None:
    forwarded = (seen,) if seen and proxies else ()
    reader = RequestReader[Any](lambda _: (seen, None, None), lambda _: forwarded, lambda *_: None)

    assert Identity(None, reader, proxies, None).identify(None).ip == address


def test_the_application_may_return_a_uuid_or_an_object_in_statsigs_form() -> None:
    users: list[Any] = [UUID(int=1), {"userID": "u", "email": "a@b.c"}]

    found = [Identity(lambda _, user=user: user, READER, 0, None).identify("request") for user in users]

    assert [user.unit_id("userID") for user in found] == [str(UUID(int=1)), "u"]


def test_every_field_that_the_application_sets_is_kept() -> None:
    given_fields = {
        field.name: {"tier": field.name} if "Mapping" in str(field.type) else field.name for field in FIELDS
    }
    identity = Identity(
        lambda _: User(**given_fields),
        RequestReader(lambda _: ("192.0.2.1", "agent", "en"), lambda _: (), lambda *_: None),
        0,
        None,
    )

    user = identity.identify(None)

    assert {field.name: getattr(user, field.name) for field in FIELDS} == given_fields


def test_a_cookie_of_an_https_request_is_secure() -> None:
    identity = Identity(None, READER, 0, "visitor")

    assert str(identity.set_cookie("request", User(anonymous_id="a-1"), secure=True)).endswith("; Secure")


@pytest.mark.parametrize(
    ("name", "setting", "https", "expected"),
    [
        ("visitor", None, False, False),
        ("visitor", True, False, True),  # behind a proxy that ends TLS
        ("visitor", False, True, False),
        ("__Host-visitor", None, False, True),
        ("__secure-visitor", None, False, True),
    ],
)
def test_a_cookie_is_secure_as_asked_and_as_its_name_demands(
    name: str, setting: bool | None, https: bool, expected: bool
) -> None:
    identity = Identity(None, READER, 0, name, setting)
    cookie = str(identity.set_cookie("request", User(anonymous_id="a-1"), secure=https))

    assert cookie.endswith("; Secure") is expected
    assert "; Path=/;" in cookie
    assert "Domain" not in cookie  # which `__Host-` forbids


@pytest.mark.parametrize(("name", "setting"), [("__Host-visitor", False), ("visitor", "yes")])
def test_a_cookie_that_browsers_would_refuse_is_an_error(name: str, setting: bool) -> None:
    with pytest.raises(ConfigurationError, match="secure_cookie"):
        Identity(None, READER, 0, name, setting)


@pytest.mark.parametrize("anonymous_id", [None, "", "a b", "a; Path=/x", "x" * 65])
def test_an_id_that_is_invalid_in_a_cookie_is_not_set(anonymous_id: str | None) -> None:
    identity = Identity(None, READER, 0, "visitor")

    assert identity.set_cookie("request", User("ada", anonymous_id=anonymous_id), secure=False) is None


ADA = User("ada", anonymous_id="a-1")


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        (ADA, True),
        (User("ada"), True),
        (User("bob", anonymous_id="a-1"), False),
        (User(anonymous_id="a-1"), True),
        (User(anonymous_id="a-2"), False),
        (User(), False),
    ],
)
def test_users_are_compared_by_their_ids(other: User, is_same: bool) -> None:
    assert is_same_user(ADA, other) is is_same
    assert is_same_user(other, ADA) is is_same


def test_ids_are_compared_as_text() -> None:
    assert is_same_user(User(7), User("7"))
    assert is_same_user(User(device_id="d-1"), User(device_id="d-1"))
