"""The Celery application: `celery -A proxy_site worker|beat`, or inside `manage.py serve` (see embedded_celery).

Options are Django settings with the prefix CELERY_; schedules are rows of django-celery-beat. A request's id travels
with the tasks it causes, so that one search of the logs finds all of its work.
"""

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, before_task_publish, setup_logging, task_postrun, task_prerun

from monitoring.logs import configure_logging, current_request_id

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "proxy_site.settings")

REQUEST_ID_HEADER = "llm_proxy_request_id"

app = Celery("proxy_site")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    worker_redirect_stdouts=False,
    task_acks_late=False,
    broker_transport_options={"visibility_timeout": 600, "socket_timeout": 5, "socket_keepalive": True},
    worker_prefetch_multiplier=1,
    beat_max_loop_interval=2,
    task_default_queue="llm_proxy",
)
if app.conf.broker_url == "memory://":
    # Without a host kombu warns that it takes the default.
    app.conf.update(broker_url="memory://localhost/")
app.autodiscover_tasks()


@setup_logging.connect
def _our_logging(**_: Any) -> None:
    """Connecting here keeps Celery's command from configuring logging its own way. Not sent when embedded."""
    from django.conf import settings

    configure_logging(level=settings.LOG_LEVEL, style=settings.LOG_FORMAT)


@beat_init.connect
def _follow_settings(**_: Any) -> None:
    """A changed interval, of the environment or the configuration, moves its schedule, unless somebody has edited it."""
    from routing.intervals import follow_intervals

    follow_intervals()


@before_task_publish.connect
def _send_request_id(headers: dict[str, Any] | None = None, **_: Any) -> None:
    if headers is not None and (request_id := current_request_id.get()):
        headers.setdefault(REQUEST_ID_HEADER, request_id)


@task_prerun.connect
def _take_request_id(task: Any = None, task_id: str = "", **_: Any) -> None:
    received = task.request.get(REQUEST_ID_HEADER) if task is not None else None
    current_request_id.set(received or f"task_{task_id}")


@task_postrun.connect
def _forget_request_id(**_: Any) -> None:
    current_request_id.set("")
