"""Metrics: what is counted about calls, requests and refusals."""


class Metrics:
    """Counts; every method is cheap and none waits or raises. Switched off it counts nothing."""

    def call(self, plugin: str, tool: str, outcome: str, seconds: float) -> None:
        """A tool call has ended; the outcome as in the audit log."""

    def request(self, method: str, transport: str, status: int, seconds: float) -> None:
        """A JSON-RPC request was answered: its method, `sse`, `mcp` or `stdio`, the status, and how long it took."""

    def limited(self, limit: str) -> None:
        """Somebody met a limit: `rate`, `key`, `plugin`, `session`, `sessions`, `address`."""

    def denied(self, reason: str) -> None:
        """A request was not let through: the reason as in the audit log."""
