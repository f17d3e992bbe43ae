"""`make dist`: one file, `dist/llm-proxy-api`, that serves on a machine which has only Python of the same version.

It is built from what git tracks and from docker/requirements.lock, and checked by being run in an empty directory.
"""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipapp
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("manage.py", "accounts", "locale", "monitoring", "providers", "proxy_site", "routing", "rows", "static",
         "templates")  # fmt: skip
TARGET = ROOT / "dist" / "llm-proxy-api"
START_WITHIN_S = 120.0


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="llm-proxy-dist-") as place:
        stage = Path(place)
        copy_program(stage / "app")
        install(stage / "site")
        shutil.copy(Path(__file__).with_name("start.py"), stage / "__main__.py")
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        (stage / "BUILD").write_text(f"{digest_of(stage)} {version} {sys.platform}\n")
        TARGET.parent.mkdir(exist_ok=True)
        zipapp.create_archive(stage, TARGET, interpreter="/usr/bin/env python3", compressed=True)
    seconds = try_out()
    size_mb = TARGET.stat().st_size / 1e6
    sys.stdout.write(f"{TARGET.relative_to(ROOT)}: {size_mb:.0f} MB, first start in {seconds:.1f} s\n")


def copy_program(app: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *PARTS], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, app / name)


def install(site: Path) -> None:
    """With uv where it is, because it is much faster; pip does the same."""
    lock = str(ROOT / "docker" / "requirements.lock")
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    tool = [uv, "pip", "install", "--python", sys.executable] if uv else [sys.executable, "-m", "pip", "install"]
    subprocess.run([*tool, "--quiet", "--require-hashes", "--target", str(site), "-r", lock], check=True)
    for path in site.rglob("__pycache__"):
        shutil.rmtree(path)


def digest_of(stage: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(stage.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(stage)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def try_out() -> float:
    """Starts it with nothing but Python around it, asks whether it lives and whether it answers, and ends it."""
    with tempfile.TemporaryDirectory(prefix="llm-proxy-try-") as place, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-S", str(TARGET), "serve", "--port", str(port), "--json"],
            cwd=place,
            env={"PATH": os.defpath, "HOME": place},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            # Log lines come the same way.
            lines = (json.loads(line) for line in process.stdout)
            started = next(line for line in lines if "api_key" in line)
            wait_for(f"{started['url']}/livez", process)
            seconds = time.monotonic() - began
            ask(started)
            process.send_signal(signal.SIGTERM)
            if process.wait(timeout=60) != 0:
                raise SystemExit(f"the file ended with {process.returncode}")
        finally:
            process.kill()
            process.wait()
    return seconds


def wait_for(url: str, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the file does not serve: {process.poll()}") from None
            time.sleep(0.1)


def ask(started: dict[str, str]) -> None:
    body = {"model": started["model"], "messages": [{"role": "user", "content": "hi"}]}
    request = urllib.request.Request(
        f"{started['url']}/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {started['api_key']}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert json.load(answer)["choices"]


if __name__ == "__main__":
    main()
