"""Settings that destinations share: keys, names, addresses, limits."""

import math
from typing import Any

import attrs
import pytest

from asyncsdk import Amplitude, Client, Limits, RudderStack, Rules, Statsig
from asyncsdk.errors import ConfigurationError
from vendors.sample_events import NOW_MS, destination_classes, make

every_kind = pytest.mark.parametrize("kind", destination_classes(), ids=lambda kind: kind.__name__)


def key_of(kind: type) -> str:
    return next(field.name for field in attrs.fields(kind) if field.name.endswith("_key"))


@every_kind
@pytest.mark.parametrize("key", ["secret-abc\n", "  secret-abc\r\n", "\tsecret-abc"])
def test_white_space_around_a_key_is_removed(kind: type, key: str) -> None:
    destination = make(kind, **{key_of(kind): key})

    assert getattr(destination, key_of(kind)) == "secret-abc"


@every_kind
@pytest.mark.parametrize("key", ["secret-a\nb", "secret-a\x00b", "secret-a\u200bb", "secret-a\ud800"])
def test_a_key_with_invisible_characters_is_refused_without_showing_it(kind: type, key: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"`{key_of(kind)}` of {kind.__name__} .*: copy it again") as caught:
        make(kind, **{key_of(kind): key})

    assert "secret-a" not in str(caught.value)


@pytest.mark.parametrize("settings", [{"environment": "pro\nduction"}, {"session_id": "a\r\nX-Evil: 1"}])
def test_values_of_statsig_s_headers_must_be_one_line(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="line break or invisible character inside"):
        Statsig("secret-key", **settings)


@every_kind
@pytest.mark.parametrize("name", ["All", "all", " ALL "])
def test_a_destination_cannot_have_the_name_that_means_all(kind: type, name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be 'All'"):
        make(kind, name=name)


BAD_URLS = [
    "https://",
    "https://plane:port",
    "https://plane:0",
    "https://plane:65536",
    "https://a..example.com",
    f"https://{'a' * 64}.example.com",
    "https://plane.exam ple.com",
    "https://plane.example.com/a\nb",
    "https://plane.example.com/#part",
    "ftp://plane",
]


@every_kind
@pytest.mark.parametrize("url", BAD_URLS)
def test_an_address_that_no_request_could_reach_is_refused(kind: type, url: str) -> None:
    field = next(field.name for field in attrs.fields(kind) if field.name.endswith("url"))

    with pytest.raises(ConfigurationError, match=rf"`{field}` of {kind.__name__} must be http\(s\)://host"):
        make(kind, **{field: url})


@pytest.mark.parametrize(
    "url", ["http://[::1]:8080", "https://bücher.example", "http://localhost.", "https://1.2.3.4:65535", " https://a\n"]
)
def test_an_address_may_have_any_form_of_host(url: str) -> None:
    assert RudderStack("key", url).url == url.strip() + "/v1/batch"


@pytest.mark.parametrize("field", ["specs_url", "id_lists_url"])
def test_addresses_of_rules_are_checked_the_same_way(field: str) -> None:
    with pytest.raises(ConfigurationError, match=f"`{field}` of Rules must be"):
        Rules(**{field: "https://proxy:0"})

    assert getattr(Rules(**{field: "https://proxy/x\n"}), field) == "https://proxy/x"


@pytest.mark.parametrize(
    "url", ["https://plane/v1", "https://plane/v1/", "https://plane?source=1", "https://plane/v1/batch?source=1"]
)
def test_half_of_rudderstack_s_path_is_refused_with_the_correct_forms(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"'https://plane.example.com/v1/batch', without a query"):
        RudderStack("key", url)


@pytest.mark.parametrize(
    ("url", "settings", "address"),
    [
        ("https://proxy", {}, "https://proxy/2/httpapi"),
        ("https://proxy/", {}, "https://proxy/2/httpapi"),
        ("https://proxy", {"use_batch": True}, "https://proxy/batch"),
        ("https://proxy?team=a", {}, "https://proxy/2/httpapi?team=a"),
        ("https://proxy/any", {}, "https://proxy/any"),
        ("https://proxy/any/\n", {}, "https://proxy/any/"),
        ("https://api.eu.amplitude.com/2/httpapi", {}, "https://api.eu.amplitude.com/2/httpapi"),
    ],
)
def test_amplitude_s_path_is_appended_if_missing(url: str, settings: dict[str, Any], address: str) -> None:
    assert Amplitude("key", url=url, **settings).frame([b"{"], NOW_MS).url == address


@pytest.mark.parametrize(
    ("url", "address"),
    [("https://proxy", "https://proxy/v1/log_event"), ("https://proxy/any?b=c", "https://proxy/any?b=c")],
)
def test_statsig_s_path_is_appended_if_missing(url: str, address: str) -> None:
    assert Statsig("secret-key", log_event_url=url).frame([b"{"], NOW_MS).url == address


COUNTS = ("max_events", "max_bytes", "max_in_flight", "max_queued_events", "max_queued_bytes")
SECONDS = ("deadline", "timeout", "retry_initial", "retry_max", "probe_interval")


@pytest.mark.parametrize("field", COUNTS)
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "100"])
def test_a_limit_that_counts_is_a_whole_number_above_0(field: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"`{field}` of Limits must be a whole number above 0"):
        Limits(**{field: value})


@pytest.mark.parametrize("field", [*SECONDS, "linger"])
@pytest.mark.parametrize("value", [-1, True, False, "1", None, math.nan, math.inf, 10**400])
def test_a_limit_of_time_is_a_number_of_seconds(field: str, value: Any) -> None:
    least = ", 0 or more," if field == "linger" else " above 0,"
    with pytest.raises(ConfigurationError, match=f"`{field}` of Limits must be a number of seconds{least}"):
        Limits(**{field: value})


def test_only_linger_may_be_0() -> None:
    assert Limits(linger=0).linger == 0
    for field in SECONDS:
        with pytest.raises(ConfigurationError):
            Limits(**{field: 0})


@pytest.mark.parametrize("rules", ["rules.json", Rules, {"feature_gates": {}}, False])
def test_rules_are_rules(rules: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"must be Rules\(...\), such as Rules\(bootstrap=Path"):
        Statsig("secret-key", rules=rules)


@every_kind
@pytest.mark.parametrize("limits", [None, {"linger": 0.2}, 100])
def test_limits_are_limits(kind: type, limits: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"`limits` of {kind.__name__} must be Limits"):
        make(kind, limits=limits)


def test_rudderstack_s_max_bytes_is_bounded_by_its_gateway() -> None:
    assert RudderStack("key", "https://plane", limits=Limits(max_bytes=4_000_000)).limits.max_bytes == 4_000_000
    with pytest.raises(ConfigurationError, match="RudderStack takes 4000000 bytes"):
        RudderStack("key", "https://plane", limits=Limits(max_bytes=4_000_001))


def test_other_limits_do_not_change_a_vendor_s_default_max_events() -> None:
    limits = Limits(linger=0.2)

    assert (limits.max_events, Amplitude("key", limits=limits).limits.max_events) == (100, 100)
    assert Statsig("secret-key", limits=limits).limits == Limits(max_events=2000, linger=0.2)
    assert Statsig("secret-key", limits=Limits(max_events=7)).limits.max_events == 7


@pytest.mark.parametrize("seconds", [0.5, math.inf, math.nan, True, "10"])
def test_an_interval_is_a_number_of_seconds_from_1_on(seconds: Any) -> None:
    with pytest.raises(ConfigurationError, match="`poll_interval` of Rules must be at least"):
        Rules(poll_interval=seconds)


SWITCHES = [
    (kind, field.name)
    for kind in (*destination_classes(), Rules)
    for field in attrs.fields(kind)
    if field.init and field.type in (bool, bool | None)
]


@pytest.mark.parametrize(("kind", "field"), SWITCHES, ids=str)
@pytest.mark.parametrize("value", ["false", "", 0, 1])
def test_a_switch_is_true_or_false_and_not_text_from_the_environment(kind: Any, field: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"`{field}` of {kind.__name__} must be True or False"):
        Rules(**{field: value}) if kind is Rules else make(kind, **{field: value})


def test_there_are_switches() -> None:
    assert len(SWITCHES) >= 10


@pytest.mark.parametrize("field", ["exposures", "drain_on_sigterm"])
@pytest.mark.parametrize("value", ["false", 0, None])
def test_a_switch_of_the_client_is_true_or_false(field: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"`{field}` must be True or False"):
        Client(**{field: value})
