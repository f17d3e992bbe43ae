"""What scripts may rely on of every command of ours."""

from typing import Any

import pytest
from django.core.management import get_commands, load_command_class

from tests.architecture.sources import APPS

OWN = sorted(name for name, app in get_commands().items() if app in APPS and name != "migrate")
"""`migrate` is Django's; ours only runs it in one transaction."""


@pytest.mark.parametrize("name", OWN)
def test_every_command_answers_in_json_when_asked(name: str) -> None:
    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
    options = {option for action in parser._actions for option in action.option_strings}
    assert "--json" in options


def test_finds_the_commands() -> None:
    assert {"serve", "create_api_key", "demo_upstream", "load_config", "check_providers"} <= set(OWN)


def test_serve_starts_as_many_workers_as_the_environment_says(settings: Any) -> None:
    settings.WORKERS = 3
    parser = load_command_class("proxy_site", "serve").create_parser("manage.py", "serve")

    assert parser.parse_args([]).workers == 3
    assert parser.parse_args(["--workers", "1"]).workers == 1
