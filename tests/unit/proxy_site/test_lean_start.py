"""What libraries would load for no use is absent while Django is set up, and there again afterwards."""

import importlib
import os
import subprocess
import sys

import pytest

from proxy_site.lean_start import NEVER_USED, OF_POSTGRESQL, _absent

LOADED = f"""
import os, sys
os.environ["DATABASE_URL"] = sys.argv[1]
import tests.settings
os.environ["DJANGO_SETTINGS_MODULE"] = "proxy_site.settings"
from proxy_site.lean_start import set_up
set_up()
import proxy_site.asgi, proxy_site.urls
print(*sorted(set(sys.modules) & {{*{NEVER_USED + OF_POSTGRESQL}, "redis"}}))
"""


def test_a_server_on_sqlite_and_without_redis_loads_nothing_that_it_never_uses():
    command = [sys.executable, "-c", LOADED, ""]
    env = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "TEST_DATABASE_URL"}}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_what_was_absent_can_be_imported_afterwards():
    with _absent(("nturl2path",)), pytest.raises(ModuleNotFoundError):
        importlib.import_module("nturl2path")
    assert importlib.import_module("nturl2path").url2pathname


def test_what_is_loaded_already_stays():
    with _absent(("json",)):
        assert importlib.import_module("json").loads("1") == 1
    assert "json" in sys.modules


RESTS = """
import gc, tests.settings, os
os.environ["DJANGO_SETTINGS_MODULE"] = "proxy_site.settings"
from proxy_site.lean_start import set_up
set_up()
from proxy_site.worker import _settle_memory
print(gc.isenabled())
_settle_memory()
print(gc.isenabled(), gc.get_freeze_count() > 10_000)
"""


def test_the_garbage_collector_rests_until_the_process_serves():
    done = subprocess.run([sys.executable, "-c", RESTS], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.split() == ["False", "True", "True"], done.stderr
