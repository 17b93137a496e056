"""The command `asyncsdk tail`: events of a dev server as they arrive, on a terminal or in a pipe."""
