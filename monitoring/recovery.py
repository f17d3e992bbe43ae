"""When passed probes may end a breaker's wait: after a real recovery at once, otherwise ever more rarely. Pure.

A breaker opens because calls failed. Probes that pass afterwards may mean that the upstream has healed, or only that
its model list works while inference does not. So two passes in a row after the opening allow a trial; if that trial
fails and no probe failed meanwhile, four are needed for the next, then eight: probes that prove nothing lose their say.
"""

from dataclasses import dataclass

PASSES = 2
MOST = 64
ONE_LOOK_S = 1.0
"""A round writes a result for the provider and one for each deployment: passes so close together are one look."""


@dataclass(slots=True)
class _Watched:
    passes: int = 0
    needed: int = PASSES
    checked_at: float = 0.0


class RecoveryWatch:
    """Remembers, for each deployment whose breaker is open, the probes since it opened."""

    def __init__(self) -> None:
        self._watched: dict[int, _Watched] = {}

    def checked(self, deployment_id: int, *, at: float, passed: bool, opened: bool) -> bool:
        """A probe's result, once each; `at` orders them. True when the breaker's wait should end now."""
        watched = self._watched.get(deployment_id)
        if not opened:
            # Closed again: only what is remembered of useless trials is kept, and fades with every good probe.
            if watched is not None:
                self._fade(deployment_id, watched)
            return False
        watched = watched or self._watched.setdefault(deployment_id, _Watched())
        if at <= watched.checked_at:
            return False
        same_look = at - watched.checked_at < ONE_LOOK_S
        watched.checked_at = at
        if not passed:
            # It was down as probes see it, so the next passes mean something.
            watched.passes, watched.needed = 0, PASSES
            return False
        if same_look:
            return False
        watched.passes += 1
        if watched.passes < watched.needed:
            return False
        watched.passes, watched.needed = 0, min(watched.needed * 2, MOST)
        return True

    def _fade(self, deployment_id: int, watched: _Watched) -> None:
        watched.passes = 0
        watched.needed //= 2
        if watched.needed <= PASSES:
            del self._watched[deployment_id]
