"""`make dist` from a clean clone: the file it makes is tried out by the build itself, in an empty directory with nothing
but Python around it: started, asked, and ended in order."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.calling import report
from tests.e2e.gateway_process import ROOT

pytestmark = pytest.mark.slow


def test_the_single_file_serves_where_there_is_only_python(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    build = [sys.executable, str(clone / "docker" / "single_file" / "build.py")]
    done = subprocess.run(build, cwd=clone, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"llm-proxy-api: (\d+) MB, first start in ([\d.]+) s", done.stdout)
    assert found is not None, done.stdout
    report(f"single file: {found[1]} MB, first start in {found[2]} s, unpacking included")
    assert (clone / "dist" / "llm-proxy-api").stat().st_mode & 0o111
