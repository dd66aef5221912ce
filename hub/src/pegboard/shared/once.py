"""Once: what may be used a single time, over all replicas."""

from pegboard.shared.link import Away, Link

PREFIX = "pegboard:used:"


class Once:
    """Knows what was used at any replica."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def is_first(self, name: str, seconds: int) -> bool:
        """Whether nobody has used it; from now on, and for so many seconds, somebody has. `True` while Redis is away,
        when whoever asks has only their own memory."""
        try:
            return bool(await self._link.ask(lambda: self._link.client.set(PREFIX + name, b"", nx=True, ex=seconds)))
        except Away:
            return True
