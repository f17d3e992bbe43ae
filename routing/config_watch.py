"""Follows the file that PROXY_API_CONFIG names: loaded at the start, and again within two seconds of a change.

Every worker looks, one of them loads: the others find the content in force already. A broken file is refused, said once
in the log and kept in the database for the pages that show it; the configuration in force stays.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from django.db import DatabaseError

from accounts.borrowed_connection import borrowed_connection
from accounts.task_ending import end
from routing.configuration.loading import load_if_changed, read_file
from routing.configuration.problems import ConfigurationRefused

logger = logging.getLogger("llm_proxy.routing.config_watch")

POLL_S: Final = 0.25


def _stamp_of(path: str) -> tuple[int, int, int] | None:
    """Changes when the file does, also when it is replaced by another or reached through a moved link."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def load_at_start(path: str) -> None:
    """Called once before the workers start. A broken file leaves the configuration of the last run in force."""
    _load(path, again=True)


def _load(path: str, *, again: bool = False) -> None:
    try:
        applied = load_if_changed(read_file(path), again=again)
    except ConfigurationRefused as refusal:
        logger.error("configuration file refused, the configuration in force stays:\n%s", refusal)
        return
    if applied is None:
        return
    for warning in applied.warnings:
        logger.warning("%s: %s", path, warning)
    logger.info(
        "configuration file %s loaded: revision %s, changes: %d", path, applied.revision, len(applied.sentences)
    )


_load_in_thread = borrowed_connection()(_load)


class ConfigWatcher:
    """`on_change` is told after each change of the file, whoever loaded it. Without a path it does nothing."""

    def __init__(self, path: str, *, on_change: Callable[[], None]) -> None:
        self._path = path
        self._on_change = on_change
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        if self._path:
            self._task = asyncio.create_task(self._watch(), name="config-watcher")

    async def aclose(self) -> None:
        await end(self._task)

    async def _watch(self) -> None:
        loaded = seen = None
        while True:
            now = _stamp_of(self._path)
            # Only what two looks agree on: an editor may be in the middle of writing, and half a file may be valid.
            if now is not None and now == seen and now != loaded:
                try:
                    await asyncio.to_thread(_load_in_thread, self._path)
                    loaded = now
                    # Also when another worker was first: it is in force by now, and waiting for the next poll is no use.
                    self._on_change()
                except DatabaseError as error:
                    logger.warning("the configuration file cannot be loaded yet: %s", error)
                except Exception:
                    # A fault of ours must not end the watch; the file is looked at again when it changes.
                    logger.exception("the configuration file could not be loaded")
                    loaded = now
            seen = now
            await asyncio.sleep(POLL_S)
