"""The command `asyncsdk doctor`: why events do not show up."""
