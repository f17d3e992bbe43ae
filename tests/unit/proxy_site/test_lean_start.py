"""What libraries would load for no use is absent in a process that serves; what only its pages need comes after its start."""

import os
import subprocess
import sys
from pathlib import Path

from proxy_site.lean_start import EXPORTER, NEVER_USED, OF_POSTGRESQL

LOADED = f"""
import os, sys
os.environ["DATABASE_URL"] = sys.argv[1]
import tests.settings
os.environ["DJANGO_SETTINGS_MODULE"] = "proxy_site.settings"
from proxy_site.lean_start import set_up
set_up()
import proxy_site.asgi

def loaded(*names):
    print(*sorted(name for name in names if sys.modules.get(name)), sep=",")

loaded("ninja", "pydantic", "rest_framework.views", "routing.admin", "proxy_site.urls")
proxy_site.asgi.pages.begin()
proxy_site.asgi.pages.join()
loaded(*{NEVER_USED + OF_POSTGRESQL}, "redis")
from django.contrib import admin
print(len(admin.site._registry) > 20, admin.site.is_registered(__import__("providers.models").models.Provider))
"""


def test_a_server_on_sqlite_and_without_redis_loads_nothing_that_it_never_uses():
    command = [sys.executable, "-c", LOADED, ""]
    env = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "TEST_DATABASE_URL"}}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    before_it_listens, ever, admin = done.stdout.splitlines()
    assert (before_it_listens, ever) == ("", "")
    assert admin == "True True"


EXPORTS = """
import tests.settings, os
os.environ["DJANGO_SETTINGS_MODULE"] = "proxy_site.settings"
from proxy_site.lean_start import set_up
set_up()
try:
    import requests
    print("there")
except ImportError:
    print("hidden")
"""


def test_what_an_installed_exporter_of_traces_sends_with_is_there(tmp_path: Path):
    (tmp_path / "requests.py").touch()
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}

    def seen() -> str:
        done = subprocess.run([sys.executable, "-c", EXPORTS], env=env, capture_output=True, text=True, check=False)
        return done.stdout.strip() or done.stderr

    assert seen() == "hidden"
    exporter = tmp_path.joinpath(*EXPORTER.split("."))
    exporter.mkdir(parents=True)
    (exporter / "__init__.py").touch()
    assert seen() == "there"


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
