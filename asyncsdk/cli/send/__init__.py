"""The command `asyncsdk send`: deliver the events of a file, as the client delivers those of a service."""
