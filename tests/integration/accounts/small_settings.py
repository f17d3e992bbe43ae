"""The product's settings with this app alone: worker processes start in a fraction of the time."""

import os

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "simple_history",
    "django_celery_beat",
    "accounts",
]
if os.environ.get("TEST_SQLITE_FILE"):
    DATABASES["default"]["NAME"] = os.environ["TEST_SQLITE_FILE"]
