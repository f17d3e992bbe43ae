"""However many rows: bounded memory, a steady rate. The small run is part of every test run; the large one is slow."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.calling import report
from tests.e2e.gateway_process import GatewayProcess, fresh_copy
from tests.e2e.neighbours import Neighbours

MOST_MEMORY_MB = 300
EXPORT = """
import json, re, sys, time
import django
django.setup()
from pathlib import Path
from routing.export import Export, ExportQuery
began, busy = time.monotonic(), time.process_time()
format, name, redact, dedupe = sys.argv[1:]
query = ExportQuery(format=format, redact=redact == "1", dedupe=dedupe == "1")
manifest = Export(query, Path(name)).run()
print(json.dumps({"manifest": manifest, "seconds": time.monotonic() - began, "cpu": time.process_time() - busy,
                  "rss_mb": int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024}))
"""
COLUMNS = (
    "request_id, created_at, key_id, key_name, team_id, team, model, endpoint, stream, status, provider, upstream_model,"
    " cache, input_tokens, output_tokens, redactions, request, response"
)


FILL = """
import random, sys
import django
django.setup()
import orjson
from django.db import connection, transaction
from tests.integration.export.stored import answer, asked
from tests.integration.export.test_export_size import COLUMNS
from tests.unit.routing.conversations import words

draw = random.Random(1)
bodies = [
    (orjson.dumps({**asked(words(draw, 60)), "temperature": 0.5}).decode(), orjson.dumps(answer(words(draw, 40))).decode())
    for _ in range(5000)
]

def row(number):
    request, response = bodies[number % 5000]
    # Different in the middle, so that only what is meant to be is equal.
    marked = request.replace('"temperature"', f'"seed":{number - number % 10},"temperature"')
    spoken = marked.replace('"content":"', f'"content":"{number if number % 10 else number - 10} ', 1)
    return (f"req_{number:08}", f"2026-01-01 00:00:{number % 60:02}+00:00", 1, "app", None, "red", "m", "chat/completions",
            False, 200, "p", "u", "", 40, 30, 0, spoken, response)

insert = f"INSERT INTO routing_payloadrecord ({COLUMNS}) VALUES ({', '.join(['%s'] * 18)})"
with transaction.atomic(), connection.cursor() as cursor:
    for start in range(0, int(sys.argv[1]), 10_000):
        cursor.executemany(insert, [row(number) for number in range(start, min(start + 10_000, int(sys.argv[1])))])
"""
"""Conversations of some 900 bytes; every tenth is a repetition."""


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


@pytest.mark.parametrize("rows", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_number_of_rows(migrated_data_dir: Path, tmp_path: Path, rows: int) -> None:
    gateway = GatewayProcess(fresh_copy(migrated_data_dir, tmp_path / "data"))
    gateway.run("-c", FILL, str(rows), timeout_s=600)
    neighbours = Neighbours()
    runs = [export(gateway, "a.jsonl"), export(gateway, "a.parquet")]
    if rows > 20_000:
        runs += [
            export(gateway, "a.jsonl.gz"),
            export(gateway, "r.jsonl", redact=True),
            export(gateway, "raw.jsonl", shape="raw"),
        ]
    for done in runs:
        assert done["rss_mb"] <= MOST_MEMORY_MB
        assert done["manifest"]["counts"]["read"] == rows
    if rows > 20_000:
        rate = rows / runs[0]["seconds"]
        assert rate >= 20_000 or neighbours.excuse(f"{rate:,.0f} rows/s")
