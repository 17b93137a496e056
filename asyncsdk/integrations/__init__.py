"""Integrations of asyncsdk with web frameworks, OpenFeature and OpenTelemetry.

Each web framework's module starts and closes the client with the application, and gives each request one `Flags`: its
user, one version of the rules, and a record of what was read. `README.md` in this folder has a short example for each.
"""

from asyncsdk.integrations._context import current_flags

__all__ = ["current_flags"]
