"""A server that is killed while it makes its database: the next start begins where nothing was done."""

from pathlib import Path

import pytest

from tests.e2e import ledger
from tests.e2e.gateway_process import GatewayProcess

KILLED = """
import os, signal, sys
from django.core.management import execute_from_command_line
from django.db.migrations.recorder import MigrationRecorder

record, left = MigrationRecorder.record_applied, {left}

def record_or_die(*args):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    record(*args)

MigrationRecorder.record_applied = record_or_die
execute_from_command_line(["manage.py", "migrate", "--verbosity=0"])
"""


def test_a_first_migration_that_was_killed_between_a_table_and_the_note_of_it_is_made_again(tmp_path: Path) -> None:
    server = GatewayProcess(tmp_path)
    with pytest.raises(AssertionError):
        server.run("-c", KILLED.format(left=12))
    server.manage("migrate", "--verbosity=0")
    assert ledger.missing_migrations(server) == set()
