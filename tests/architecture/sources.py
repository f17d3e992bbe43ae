"""The repository's own files: what git tracks, or, in an unpacked archive, what lies there."""

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = ("proxy_site", "routing", "monitoring", "providers", "accounts", "rows")
NOT_OURS = {".venv", "var", "dist", "staticfiles", "__pycache__", ".git"}


@cache
def tracked() -> tuple[Path, ...]:
    """Paths relative to the root."""
    listed = subprocess.run(["git", "ls-files", "-z"], check=False, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0:
        found = [Path(name) for name in listed.stdout.split("\0") if name]
    else:
        found = [path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file()]
    return tuple(path for path in found if not NOT_OURS & set(path.parts) and (ROOT / path).is_file())


@cache
def modules() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py" and "migrations" not in path.parts]


def product_modules() -> list[Path]:
    return [path for path in modules() if path.parts[0] in (*APPS, "manage.py")]


@cache
def text_of(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")
