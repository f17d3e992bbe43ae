"""Settings of a production deployment, and secrets that are refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.gateway_process import ROOT

PRODUCTION = {
    "PROXY_API_SECRET_KEY": "k3Jv9sQm2Xw7Zt4Lp8Rb6Nc1Yf5Hd0GgAaEeUuOoIik3Jv9sQm2Xw7Zt4L",
    "PROXY_API_ENCRYPTION_KEYS": "6KkOAXwWwUQ8iTPIdv1SvdM_Oyi8y1-50vb2tQilOHk=",
    "PROXY_API_SECURE_COOKIES": "true",
    "PROXY_API_BEHIND_TLS_PROXY": "true",
    "PROXY_API_SSL_REDIRECT": "true",
    "PROXY_API_HSTS_SECONDS": "31536000",
    "PROXY_API_ALLOWED_HOSTS": "llm.example.com",
}


def check(tmp_path: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PROXY_API", "DATABASE", "REDIS"))
    }
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        check=False,
        cwd=ROOT,
        env={
            **kept,
            "DJANGO_SETTINGS_MODULE": "proxy_site.settings",
            "PROXY_API_ENV_FILE": "/dev/null",
            "PROXY_API_DATA_DIR": str(tmp_path),
            **PRODUCTION,
            **changes,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_production_settings_pass_djangos_own_deployment_checks(tmp_path: Path) -> None:
    done = check(tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"PROXY_API_SECRET_KEY": "changeme"}, "PROXY_API_SECRET_KEY"),
        ({"PROXY_API_SECRET_KEY": "", "DATABASE_URL": "postgres://u:p@127.0.0.1:1/x"}, "PROXY_API_SECRET_KEY"),
    ],
)
def test_a_missing_or_default_secret_refuses_to_start(tmp_path: Path, changes: dict[str, str], named: str) -> None:
    done = check(tmp_path, **changes)
    assert done.returncode != 0
    assert named in done.stderr
