"""The product's settings with this app alone: worker processes start in a fraction of the time."""

from tests.settings import *  # noqa: F403

INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "simple_history", "accounts"]
MIDDLEWARE: list[str] = []
