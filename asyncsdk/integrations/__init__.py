"""asyncsdk in web frameworks: a file per framework, and what is the same in all of them.

Each framework's module starts and closes the client with the application, and gives every request one `Flags`: its
user, one version of the rules, and what was read. `README.md` in this folder shows each in ten lines.
"""

from asyncsdk.integrations._context import current_flags

__all__ = ["current_flags"]
