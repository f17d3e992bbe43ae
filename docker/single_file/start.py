"""The first thing that the single file runs: it unpacks itself once, then hands over to manage.py.

Compiled parts cannot be imported out of an archive, so the content goes to a directory of the user's, named by its
digest: a second start finds it there, and two versions do not meet.
"""

import os
import sys
import tempfile
import zipfile
from pathlib import Path


def main() -> None:
    archive = Path(sys.argv[0]).resolve()
    with zipfile.ZipFile(archive) as packed:
        digest, version, platform = packed.read("BUILD").decode().split()
        mine = f"{sys.version_info.major}.{sys.version_info.minor}"
        if (mine, sys.platform) != (version, platform):
            sys.exit(
                f"This file was built for Python {version} on {platform}; this is Python {mine} on {sys.platform}."
            )
        home = unpacked(packed, digest)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(home / "app"), str(home / "site")])
    # Beside the place it is started from, not beside the unpacked program.
    os.environ.setdefault("PROXY_API_DATA_DIR", str(Path.cwd() / "var"))
    os.environ.setdefault("PROXY_API_ENV_FILE", str(Path.cwd() / ".env"))
    command = [sys.executable, str(home / "app" / "manage.py"), *(sys.argv[1:] or ["serve"])]
    os.execv(sys.executable, command)


def unpacked(packed: zipfile.ZipFile, digest: str) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llm-proxy-api"
    home = cache / digest
    if not home.exists():
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=cache))
        packed.extractall(draft)
        try:
            draft.rename(home)
        except OSError:
            if not home.exists():  # another start that was faster is no failure
                raise
    return home


main()
