#!/usr/bin/env python
"""Django's command line for LLM Proxy API. What an operator can mend is said in a sentence; `--traceback` shows the rest."""

import os
import sys


def main() -> None:
    if sys.platform == "win32":
        sys.exit("This needs a Unix such as Linux: on Windows use WSL, or the container image.")
    if sys.argv[1:2] == ["serve"]:
        from proxy_site.early_end import end_at_once, reload_never

        end_at_once()
        reload_never()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "proxy_site.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.db import DatabaseError, DataError, IntegrityError

    from proxy_site.databases.last_word import keep_to_the_last

    keep_to_the_last()
    try:
        run(sys.argv)
    except (ImproperlyConfigured, DatabaseError) as error:
        # A value that the database refuses is no operator's mistake.
        if "--traceback" in sys.argv or isinstance(error, DataError | IntegrityError):
            raise
        sys.exit(sentence(error))
    except BrokenPipeError:
        # Whoever reads our output has enough (`| head`). What is still buffered must not fail again at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def run(arguments: list[str]) -> None:
    from django.core.management import execute_from_command_line

    if arguments[1:2] == ["serve"]:
        from proxy_site.lean_start import set_up

        set_up()
    execute_from_command_line(arguments)


def sentence(error: Exception) -> str:
    from django.core.exceptions import ImproperlyConfigured

    from proxy_site.databases.last_word import cause

    if isinstance(error, ImproperlyConfigured):
        return f"The environment is not in order: {error}"
    told = " ".join(cause(error).split())
    # Tables and columns, as SQLite and PostgreSQL miss them.
    if told.startswith(("no such ", "relation ", "column ")):
        return (
            f"The database has no tables yet, or old ones ({told}): run `manage.py migrate`, or `manage.py serve` once."
        )
    return f"The database cannot be used: {told}. `manage.py validate_env` checks it."


if __name__ == "__main__":
    main()
