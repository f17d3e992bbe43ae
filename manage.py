#!/usr/bin/env python
"""Django's command line for LLM Proxy API. What an operator can mend is said in a sentence; `--traceback` shows the rest."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "proxy_site.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.db import DatabaseError

    try:
        run(sys.argv)
    except (ImproperlyConfigured, DatabaseError) as error:
        if "--traceback" in sys.argv:
            raise
        sys.exit(sentence(error))


def run(arguments: list[str]) -> None:
    from django.core.management import execute_from_command_line

    if arguments[1:2] == ["serve"]:
        from proxy_site.lean_start import set_up

        set_up()
    execute_from_command_line(arguments)


def sentence(error: Exception) -> str:
    from django.core.exceptions import ImproperlyConfigured

    if isinstance(error, ImproperlyConfigured):
        return f"The environment is not in order: {error}"
    told = " ".join(str(error).split())
    if told.startswith("no such table") or "does not exist" in told:
        return (
            f"The database has no tables yet, or old ones ({told}): run `manage.py migrate`, or `manage.py serve` once."
        )
    return f"The database cannot be used: {told}. `manage.py validate_env` checks it."


if __name__ == "__main__":
    main()
