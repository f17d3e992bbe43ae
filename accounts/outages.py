"""When a server that does not answer is left alone. Pure: time is an argument, in seconds of a steady clock."""

FAILURES_TO_OPEN = 5
FAILING_FOR_S = 0.5
PROBE_EVERY_S = 1.0


class Breaker:
    """Opens after five failures in a row over at least half a second; lets one probe a second through. Pure."""

    def __init__(self) -> None:
        self._failures = 0
        self._first_failure_at = 0.0
        self._next_probe_at = 0.0
        self.open = False

    def permits(self, now: float) -> bool:
        if not self.open:
            return True
        if now < self._next_probe_at:
            return False
        self._next_probe_at = now + PROBE_EVERY_S
        return True

    def trip(self, now: float) -> None:
        """Opens it at once, where one failure says enough."""
        self.open = True
        self._next_probe_at = now + PROBE_EVERY_S

    def succeeded(self) -> bool:
        """True when this closes it."""
        was_open, self.open, self._failures = self.open, False, 0
        return was_open

    def failed(self, now: float) -> bool:
        """True when this opens it."""
        if self._failures == 0:
            self._first_failure_at = now
        self._failures += 1
        if self.open or self._failures < FAILURES_TO_OPEN or now - self._first_failure_at < FAILING_FOR_S:
            return False
        self.trip(now)
        return True
