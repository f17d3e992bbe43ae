#!/usr/bin/env python
"""Django's command line for LLM Proxy API."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "proxy_site.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        if sys.argv[1:2] == ["serve"]:
            from proxy_site.lean_start import set_up

            set_up()
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        if "--traceback" in sys.argv:
            raise
        sys.exit(f"The environment is not in order: {error}")


if __name__ == "__main__":
    main()
