"""The errors pegboard raises on purpose.

    PegboardError          somebody can act on it: the message says what, where and how
    |- ConfigError         a setting, the file or the environment is wrong
    |- PluginError         a plugin did not make it through a phase of loading
    |- PoolError           a pool could not be opened or is not usable now
    |- BudgetError         the tools of an endpoint cannot be fitted into its budget
    `- ToolError           one tool call failed in an expected way; the client reads the message
       `- BackendError     ... because the backend did not answer; the hub pauses one that does so again and again

Everything else that is raised is a crash: the hub logs it with a reference and hides its text from clients.
"""

from collections.abc import Hashable


class PegboardError(Exception):
    """Something the reader of the message can put right."""


class ConfigError(PegboardError):
    """The configuration is wrong; the message names the key, its source and the remedy, never a value."""


class PluginError(PegboardError):
    """A plugin failed while it was loaded; the message carries the remedy, the loader adds phase and owner."""


class PoolError(PegboardError):
    """A pool cannot be had at this moment; other pools and plugins are not affected."""


class BudgetError(PegboardError):
    """A budget cannot be kept; the message has the numbers and a fix."""


class ToolError(PegboardError):
    """Raise it from a tool when the caller can do something about the failure.

    The message reaches the client as the result of the call with `isError` set, so write one sentence that names
    the thing and the remedy: `ToolError("No template named 'deploy'; awx_list_job_templates lists them.")`.
    """


class BackendError(ToolError):
    """Raise it from a tool or a pool when the backend itself did not answer: refused, lost, no connection in time.

    The hub counts it for the pool's circuit breaker and, if the tool only reads, runs it once more. `target` is that
    of the pool, for a tool that uses several; without it the one that the call asked for last is meant.
    `again=False` says that the hub shall not repeat the tool: the plugin has tried often enough, or was told to wait.
    A refusal is an answer, and a query that takes long is no failure: raise `ToolError` for those.
    """

    target: Hashable = None
    again: bool = True

    def __init__(self, message: str, *, target: Hashable = None, again: bool = True) -> None:
        super().__init__(message)
        self.target, self.again = target, again
