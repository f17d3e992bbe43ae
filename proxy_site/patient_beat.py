"""The schedule of `celery beat`, which outlives a database that is away: `CELERY_BEAT_SCHEDULER` names it."""

import datetime
import logging
from typing import Any

from django.db import DatabaseError, InterfaceError
from django_celery_beat.schedulers import DatabaseScheduler

logger = logging.getLogger("llm_proxy.proxy_site.patient_beat")


class PatientScheduler(DatabaseScheduler):  # type: ignore[misc] # without types
    """It reads the whole schedule every five minutes and after each change. A read that failed ended the process."""

    def all_as_schedule(self) -> Any:
        try:
            return super().all_as_schedule()
        except (DatabaseError, InterfaceError) as error:
            if self._schedule is None:
                # Nothing to go on with: whoever started it starts it again.
                raise
            logger.warning("the schedule cannot be read, the last one stays in force: %s", error)
            # Due again at the next tick.
            self._last_full_sync -= datetime.timedelta(days=1)
            return self._schedule
