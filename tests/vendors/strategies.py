"""Hypothesis strategies for events and JSON values."""

from hypothesis import strategies as st

from asyncsdk._model.events import Group, IdentifyEvent, LogEvent, Page, RawEvent, Track
from asyncsdk._model.users import User
from asyncsdk._model.wire_values import is_visible

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.floats(allow_nan=False)
json_values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
properties = st.none() | st.dictionaries(st.text(), json_values, max_size=4)
ids = st.none() | st.text(max_size=12) | st.integers()
users = st.builds(
    User, st.text("abc-é", min_size=6), device_id=ids, anonymous_id=ids, ip=st.none() | st.text(), custom=properties
)
names = st.text(min_size=1).filter(lambda text: bool(text.strip()) and is_visible(text))
events = st.one_of(
    st.builds(IdentifyEvent, users, properties),
    st.builds(Track, users, names, properties),
    st.builds(Page, users, st.none() | st.text(), properties, category=st.none() | st.text()),
    st.builds(Group, users, names, properties),
    st.builds(LogEvent, users, names, st.none() | st.text() | st.integers(), properties),
    st.builds(RawEvent, st.fixed_dictionaries({"event_type": names}, optional={"event_properties": properties}), users),
)
