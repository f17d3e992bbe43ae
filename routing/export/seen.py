"""Which contents were written already: digests in a file, so that memory stays small however many there are."""

import sqlite3
from hashlib import blake2b
from pathlib import Path

CACHE_KIB = 32 * 1024


class SeenContents:
    """`row` numbers say when a content was first seen, so that an interrupted run can be taken back to a checkpoint."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS seen (digest BLOB PRIMARY KEY, row INTEGER NOT NULL) WITHOUT ROWID"
        )
        self._database.execute("BEGIN")

    def is_new(self, content: bytes, row: int) -> bool:
        """True the first time."""
        digest = blake2b(content, digest_size=16).digest()
        return self._database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (digest, row)).rowcount == 1

    def forget_after(self, row: int) -> None:
        self._database.execute("DELETE FROM seen WHERE row > ?", (row,))

    def save(self) -> None:
        self._database.execute("COMMIT")
        self._database.execute("BEGIN")

    def close(self) -> None:
        self._database.execute("COMMIT")
        self._database.close()
