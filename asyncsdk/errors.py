"""What asyncsdk raises, and whose mistake each is.

    AsyncSDKError
    ├── ConfigurationError (ValueError)   a constructor was given something that cannot work
    ├── InvalidEventError (ValueError)    an event cannot be sent as it was given
    ├── ClientClosedError                 the client was not started, or is closed
    ├── QueueFullError                    a destination with `overflow="raise"` has no room
    ├── WrongEventLoopError               the client belongs to another event loop
    ├── ForkedProcessError                the client was started before `os.fork()`
    └── StartError                        `start(require_ready=True)` could not get a ruleset

They are raised at the call that made the mistake. Work in the background never raises into the host:
a vendor's or the network's fault is a fate, a counter and one log line.
"""


class AsyncSDKError(Exception):
    """Any error that asyncsdk raises."""


class ConfigurationError(AsyncSDKError, ValueError):
    """Raised when a client or destination is given settings that cannot work."""


class InvalidEventError(AsyncSDKError, ValueError):
    """Raised when an event is given that no vendor could take; nothing is queued."""


class ClientClosedError(AsyncSDKError):
    """Raised when an event is given to a client that is not started, or closed."""


class QueueFullError(AsyncSDKError):
    """Raised when a destination with `overflow="raise"` has no room; nothing is queued anywhere."""


class WrongEventLoopError(AsyncSDKError):
    """Raised when a client is used on another event loop than the one it was started on."""


class ForkedProcessError(AsyncSDKError):
    """Raised when a client that was started before `os.fork()` is used in the child."""


class StartError(AsyncSDKError):
    """Raised by `start(require_ready=True)` when no ruleset could be had in time."""
