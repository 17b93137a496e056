"""The exceptions that asyncsdk raises.

    AsyncSDKError
    ├── ConfigurationError (ValueError)   a setting of a client or destination cannot work
    ├── InvalidEventError (ValueError)    an event or user cannot be sent as given
    ├── ClientClosedError                 the client is not started, or is closed
    ├── QueueFullError                    the queue of a destination with `overflow="raise"` is full
    ├── WrongEventLoopError               the client belongs to another event loop
    ├── ForkedProcessError                the client was started before `os.fork()`
    ├── TransactionError                  the connection given to an event verb cannot write the event
    └── StartError                        `start(require_ready=True)` got no ruleset in time

Each is raised by the call that caused it. Background work never raises into the host application: a failure of the
vendor or the network becomes the outcome of an event, a counter and one log line.
"""


class AsyncSDKError(Exception):
    """Base class of all exceptions that asyncsdk raises."""


class ConfigurationError(AsyncSDKError, ValueError):
    """Raised when a setting of a client or destination cannot work. The message names the setting."""


class InvalidEventError(AsyncSDKError, ValueError):
    """Raised when no vendor could accept an event. The message names the field; nothing is queued."""


class ClientClosedError(AsyncSDKError):
    """Raised when an event is given to a client that is not started, or is closed."""


class QueueFullError(AsyncSDKError):
    """Raised when the queue of a destination with `overflow="raise"` is full; nothing is queued for any destination.

    `put_nowait` raises it for `overflow="wait"` too, because it cannot wait.
    """


class WrongEventLoopError(AsyncSDKError):
    """Raised when a client is used on an event loop other than the one that started it."""


class ForkedProcessError(AsyncSDKError):
    """Raised when a client that was started before `os.fork()` is used in the child process."""


class TransactionError(AsyncSDKError):
    """Raised when `connection=` of an event verb cannot write the event.

    The message says why (a wrong type, closed, no transaction, no table) and what to do. Nothing is written.
    """


class StartError(AsyncSDKError):
    """Raised by `start(require_ready=True)` when no ruleset was loaded in time."""
