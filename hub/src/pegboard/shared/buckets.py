"""Token buckets that replicas share."""

from typing import TYPE_CHECKING

from pegboard.shared.link import Away, Link

if TYPE_CHECKING:
    from pegboard.security.buckets import Rate

PREFIX = "pegboard:limits:"

# The clock is that of Redis, so that those of the replicas need not agree. It may jump: a bucket is never emptier than
# empty, so that nobody waits for an hour that was lost.
SCRIPT = """
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local full_at = tonumber(redis.call('GET', KEYS[1]) or now)
full_at = math.min(math.max(full_at, now), now + interval * burst)
local wait = full_at - now - interval * (burst - 1)
if wait > 0.000001 then return tostring(wait) end
full_at = full_at + interval
redis.call('SET', KEYS[1], string.format('%.6f', full_at), 'PX', math.ceil((full_at - now) * 1000))
return '0'
"""


class SharedBuckets:
    """Buckets that hubs with the same Redis share: each decision is one script, so that no token is taken twice."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._script = link.client.register_script(SCRIPT)

    @property
    def is_there(self) -> bool:
        """Whether they are shared now."""
        return self._link.is_there

    async def take(self, name: str, rate: "Rate") -> float | None:
        """Take one out, as `Buckets.take`; `None` while Redis is away."""
        try:
            return float(
                await self._link.ask(lambda: self._script(keys=[PREFIX + name], args=[rate.interval, rate.burst]))
            )
        except Away:
            return None
