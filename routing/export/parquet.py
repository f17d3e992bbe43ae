"""JSON lines into a Parquet file with one schema per format. Needs pyarrow (the extra `parquet`).

What has no fixed shape (a tool's parameters, raw bodies) is a JSON text in its column.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from routing.export.query import Format

ROWS = 5_000
BYTES = 16 * 1024 * 1024
_TEXTS = {"openai": ("tools", "functions"), "sharegpt": (), "raw": ("request", "response")}


class ParquetUnavailable(Exception):
    """pyarrow is not installed."""


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ParquetUnavailable("Parquet needs pyarrow: pip install 'llm-proxy-api[parquet]'.") from error
    return pyarrow


def check_available() -> None:
    """Raises ParquetUnavailable, before any work is done."""
    _pyarrow()


def schema(format: Format) -> Any:
    pa = _pyarrow()
    text, whole = pa.string(), pa.int64()
    if format == "sharegpt":
        turn = pa.struct([("from", text), ("value", text)])
        return pa.schema([("conversations", pa.list_(turn)), ("tools", text)])
    if format == "raw":
        names = ("request_id", "created_at", "team", "key", "model", "endpoint", "provider", "upstream_model")
        rest = [("stream", pa.bool_()), ("status", whole), ("cache", text), ("input_tokens", whole)]
        rest += [("output_tokens", whole), ("request", text), ("response", text)]
        return pa.schema([*((name, text) for name in names), *rest])
    function = pa.struct([("name", text), ("arguments", text)])
    call = pa.struct([("id", text), ("type", text), ("function", function)])
    texts = [(name, text) for name in ("role", "content", "name", "tool_call_id")]
    message = pa.struct([*texts, ("tool_calls", pa.list_(call)), ("function_call", function)])
    return pa.schema(
        [("messages", pa.list_(message)), ("tools", text), ("parallel_tool_calls", pa.bool_()), ("functions", text)]
    )


def convert(lines: Path, target: Path, format: Format) -> None:
    """Rows in groups of a fixed size, so that the same lines make the same bytes."""
    pa = _pyarrow()
    columns = schema(format)
    with pa.parquet.ParquetWriter(target, columns, compression="zstd") as writer:
        for rows in _groups(lines, _TEXTS[format]):
            writer.write_table(pa.Table.from_pylist(rows, schema=columns))


def _groups(lines: Path, texts: tuple[str, ...]) -> Iterator[list[Any]]:
    rows: list[Any] = []
    size = 0
    with lines.open("rb") as file:
        for line in file:
            row = orjson.loads(line)
            for name in texts:
                if row.get(name) is not None:
                    row[name] = orjson.dumps(row[name]).decode()
            rows.append(row)
            size += len(line)
            if len(rows) >= ROWS or size >= BYTES:
                yield rows
                rows, size = [], 0
    if rows:
        yield rows
