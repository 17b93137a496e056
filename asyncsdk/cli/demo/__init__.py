"""The demo: a shop whose vendors have a bad day, and an audit of every event."""
