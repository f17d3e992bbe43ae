#!/usr/bin/env python
"""Django's command line for LLM Proxy API."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "proxy_site.settings")
    from django.core.management import execute_from_command_line

    if sys.argv[1:2] == ["serve"]:
        from proxy_site.lean_start import set_up

        set_up()
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
