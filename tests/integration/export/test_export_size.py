"""However many rows: bounded memory, a steady rate. The small run is part of every test run; the large one is slow."""

import contextlib
import json
import random
import sqlite3
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.e2e.calling import report
from tests.e2e.gateway_process import GatewayProcess, fresh_copy
from tests.integration.export.stored import answer, asked
from tests.unit.routing.conversations import words

MOST_MEMORY_MB = 300
EXPORT = """
import json, resource, sys, time
import django
django.setup()
from pathlib import Path
from routing.export import Export, ExportQuery
began, busy = time.monotonic(), time.process_time()
format, name, redact, dedupe = sys.argv[1:]
query = ExportQuery(format=format, redact=redact == "1", dedupe=dedupe == "1")
manifest = Export(query, Path(name)).run()
print(json.dumps({"manifest": manifest, "seconds": time.monotonic() - began, "cpu": time.process_time() - busy,
                  "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""
COLUMNS = (
    "request_id, created_at, key_id, key_name, team_id, team, model, endpoint, stream, status, provider, upstream_model,"
    " cache, input_tokens, output_tokens, redactions, request, response"
)


def fill(database: Path, rows: int) -> None:
    """Conversations of some 900 bytes; every tenth is a repetition."""
    draw = random.Random(1)
    bodies = [
        (
            orjson.dumps({**asked(words(draw, 60)), "temperature": 0.5}).decode(),
            orjson.dumps(answer(words(draw, 40))).decode(),
        )
        for _ in range(5000)
    ]

    def values() -> Any:
        for number in range(rows):
            request, response = bodies[number % 5000]
            # Different in the middle, so that only what is meant to be is equal.
            marked = request.replace('"temperature"', f'"seed":{number - number % 10},"temperature"')
            spoken = marked.replace('"content":"', f'"content":"{number if number % 10 else number - 10} ', 1)
            moment = f"2026-01-01 00:00:{number % 60:02}"
            yield (
                f"req_{number:08}", moment, 1, "app", None, "red", "m", "chat/completions", 0, 200, "p", "u", "",
                40, 30, 0, spoken, response,
            )  # fmt: skip

    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany(
            f"INSERT INTO routing_payloadrecord ({COLUMNS}) VALUES ({', '.join('?' * 18)})", values()
        )


def export(gateway: GatewayProcess, name: str, *, shape: str = "openai", redact: bool = False) -> dict[str, Any]:
    path = gateway.data_dir / name
    done = json.loads(gateway.run("-c", EXPORT, shape, str(path), "1" if redact else "0", "1", timeout_s=1200))
    rows = done["manifest"]["counts"]["read"]
    report(
        f"export {name} {shape} redact={redact} dedupe: {rows:,} rows in {done['seconds']:.1f} s"
        f" ({rows / done['seconds']:,.0f} rows/s; {rows / done['cpu']:,.0f} per CPU second),"
        f" {done['rss_mb']:.0f} MB, {done['manifest']['bytes'] / 1e6:.0f} MB written"
    )
    return done


@pytest.mark.slow
@pytest.mark.parametrize("rows", [20_000, 1_000_000])
def test_memory_does_not_grow_with_the_number_of_rows(migrated_data_dir: Path, tmp_path: Path, rows: int) -> None:
    gateway = GatewayProcess(fresh_copy(migrated_data_dir, tmp_path / "data"))
    fill(next(gateway.data_dir.glob("*.sqlite3")), rows)
    runs = [export(gateway, "a.jsonl"), export(gateway, "a.parquet")]
    if rows > 20_000:
        runs += [
            export(gateway, "a.jsonl.gz"),
            export(gateway, "r.jsonl", redact=True),
            export(gateway, "raw.jsonl", shape="raw"),
        ]
        assert rows / runs[0]["seconds"] >= 20_000
    for done in runs:
        assert done["rss_mb"] <= MOST_MEMORY_MB
        assert done["manifest"]["counts"]["read"] == rows
