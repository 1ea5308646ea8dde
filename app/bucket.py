"""A token bucket: `rate` a second, and at most `burst` at once. Of this process alone."""

import time
from collections.abc import Callable


class Bucket:
    """What costs more than is left passes too, and is paid off before the next: or no large batch ever would."""

    def __init__(self, rate: float, burst: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._level = burst
        self._at = clock()

    def take(self) -> float:
        """Take one. Returns 0, or where there is none the seconds until there is."""
        now = self._clock()
        self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now
        if self._level < 1:
            return (1 - self._level) / self._rate
        self._level -= 1
        return 0

    def pay(self, more: int) -> None:
        """Take as many more, whatever is left."""
        self._level -= more
