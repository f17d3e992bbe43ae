"""An export writes what was asked for, the same bytes each time, and goes on where it was interrupted."""

import gzip
import hashlib
import io
import json
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.json
import pyarrow.parquet
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from accounts.models import Team
from routing.export import Export, ExportFailed, ExportQuery, exporter, files
from routing.export.exporter import line_of
from routing.export.query import Row, read
from tests.integration.export.openai_rules import problems
from tests.integration.export.stored import BEGIN, answer, asked, made_up, record, store
from tests.unit.routing import personal_data

pytestmark = pytest.mark.django_db

OPENAI = ExportQuery(format="openai")


def run(path: Path, query: ExportQuery = OPENAI) -> dict[str, Any]:
    return Export(query, path).run()


def read_lines(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    return [json.loads(line) for line in (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines()]


@pytest.fixture
def mixed() -> None:
    draw = random.Random(5)
    store([made_up(draw, number) for number in range(400)])


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LINES", 50)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_every_line_passes_the_rules_of_openai(mixed: None, tmp_path: Path, name: str) -> None:
    manifest = run(tmp_path / name)
    written = read_lines(tmp_path / name)
    assert [problems(line) for line in written if problems(line)] == []
    counts = manifest["counts"]
    assert counts["written"] == len(written) > 150
    assert counts["read"] == counts["written"] + sum(counts["skipped"].values())
    assert {"media", "incomplete", "not_a_chat"} <= set(counts["skipped"])


@pytest.mark.parametrize("shape", ["openai", "sharegpt", "raw"])
@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "parquet"])
def test_the_same_query_makes_the_same_bytes(mixed: None, tmp_path: Path, shape: Any, suffix: str) -> None:
    query = ExportQuery(format=shape, redact=True, dedupe=True)
    first = run(tmp_path / f"one.{suffix}", query)
    second = run(tmp_path / f"two.{suffix}", query)
    data = (tmp_path / f"one.{suffix}").read_bytes()
    assert data == (tmp_path / f"two.{suffix}").read_bytes()
    assert first["sha256"] == second["sha256"] == hashlib.sha256(data).hexdigest()
    assert first["bytes"] == len(data)
    manifest = json.loads((tmp_path / f"one.{suffix}.manifest.json").read_text())
    assert manifest == first
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"{name}.{suffix}{more}" for name in ("one", "two") for more in ("", ".manifest.json")
    )


@pytest.mark.parametrize("shape", ["openai", "sharegpt", "raw"])
def test_what_is_written_loads_as_a_table(mixed: None, tmp_path: Path, shape: Any) -> None:
    query = ExportQuery(format=shape)
    rows = run(tmp_path / "a.jsonl", query)["counts"]["written"]
    run(tmp_path / "a.parquet", query)
    table = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    assert table.num_rows == rows
    if shape == "sharegpt":
        # One JSON schema for all lines, which is what `datasets` and `pandas` infer one from.
        assert pyarrow.json.read_json(tmp_path / "a.jsonl").schema.names == ["conversations", "tools"]
    first = read_lines(tmp_path / "a.jsonl")[0]
    kept = table.slice(0, 1).to_pylist()[0]
    if shape == "openai":
        assert [message["content"] for message in kept["messages"]] == [
            message.get("content") for message in first["messages"]
        ]
    elif shape == "raw":
        assert json.loads(kept["request"]) == first["request"]
    else:
        assert kept == first


class Interrupted(Exception):
    """Stands for a killed process."""


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "parquet"])
@pytest.mark.parametrize("after", [3, 60, 120, 333])
def test_an_interrupted_run_goes_on_and_ends_with_the_same_bytes(
    mixed: None, small_segments: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, after: int
) -> None:
    query = ExportQuery(format="raw", dedupe=True, redact=True)
    whole = run(tmp_path / f"whole.{suffix}", query)
    path = tmp_path / f"broken.{suffix}"

    def failing(query: ExportQuery, row: Row, *rest: Any) -> bytes | None:
        if row.request_id == f"req_{after:08}":
            raise Interrupted
        return line_of(query, row, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(exporter, "line_of", failing)
        with pytest.raises(Interrupted):
            Export(query, path).run()
    assert not path.exists()
    again = Export(query, path)
    manifest = again.run()
    assert again.resumed == (after >= 60)
    assert path.read_bytes() == (tmp_path / f"whole.{suffix}").read_bytes()
    assert manifest["counts"] == whole["counts"]


def test_another_query_does_not_go_on_where_this_one_was(mixed: None, small_segments: None, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    (tmp_path / "a.jsonl.part.json").write_text('{"query": {}, "counts": {}}')
    (tmp_path / "a.jsonl.part").write_text("rubbish")
    export = Export(OPENAI, path)
    export.run()
    assert not export.resumed
    assert b"rubbish" not in path.read_bytes()


def test_filters_keep_what_was_asked_for(tmp_path: Path) -> None:
    ok = answer("yes")
    store(
        [
            record(0, asked("zero"), ok),
            record(1, asked("one"), ok, team="blue", model="gpt-4o-mini"),
            record(2, asked("two"), ok, key_id=7, key_name="other", input_tokens=100),
            record(3, asked("three"), {"error": {"message": "no"}}, status=503),
        ]
    )

    def found(**fields: Any) -> list[str]:
        run(tmp_path / "f.jsonl", ExportQuery(format="raw", **fields))
        return [line["request"]["messages"][0]["content"] for line in read_lines(tmp_path / "f.jsonl")]

    assert found() == ["zero", "one", "two", "three"]
    assert found(since=BEGIN + timedelta(minutes=1), until=BEGIN + timedelta(minutes=3)) == ["one", "two"]
    assert found(models=("gpt-4o*",)) == ["one"]
    assert found(models=("gpt-4o-mini", "m")) == ["zero", "one", "two", "three"]
    assert found(teams=("blue",)) == ["one"]
    assert found(key="7") == found(key="other") == ["two"]
    assert found(status=5) == found(status=503) == ["three"]
    assert found(min_tokens=50) == ["two"]


def test_a_models_beginning_is_as_it_is_written(tmp_path: Path) -> None:
    models = ("gpt-4o", "GPT-4o", "gpt-4o-mini", "GPT_4o")
    store([record(number, asked(model), answer("a"), model=model) for number, model in enumerate(models)])
    for wanted, expected in (("gpt-*", ["gpt-4o", "gpt-4o-mini"]), ("GPT-*", ["GPT-4o"]), ("*", list(models))):
        run(tmp_path / "f.jsonl", ExportQuery(format="raw", models=(wanted,)))
        assert [line["model"] for line in read_lines(tmp_path / "f.jsonl")] == expected


def test_equal_conversations_are_written_once(tmp_path: Path) -> None:
    store([record(number, asked(f"q{number % 3}"), answer("a")) for number in range(12)])
    for shape in ("openai", "sharegpt", "raw"):
        manifest = run(tmp_path / "d.jsonl", ExportQuery(format=shape, dedupe=True))
        assert (manifest["counts"]["written"], manifest["counts"]["duplicates"]) == (3, 9)


def test_planted_personal_data_is_gone(tmp_path: Path) -> None:
    draw = random.Random(3)
    planted: list[str] = []
    records = []
    kinds = ("email", "card", "phone", "secret")
    for number in range(1000):
        kind = kinds[number % 4]
        written = getattr(personal_data, kind)(draw)
        planted.append(personal_data.sensitive_part(kind, written))
        text = draw.choice(personal_data.SENTENCES).format(written)
        told = answer(text if number % 2 else "fine")
        records.append(record(number, asked("hello" if number % 2 else text), told))
    store(records)
    manifest = run(tmp_path / "p.jsonl", ExportQuery(format="openai", redact=True))
    lines_written = (tmp_path / "p.jsonl").read_text().splitlines()
    kept = sum(json.dumps(part)[1:-1] in line for part, line in zip(planted, lines_written, strict=True))
    assert kept <= 50
    assert sum(manifest["counts"]["redacted"].values()) >= 950


def test_rows_are_read_in_portions_that_fit_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("routing.export.query.PAGE_BYTES", 10_000)
    store([record(number, asked("x" * 2000), answer("a")) for number in range(300)])
    assert [row.request_id for row in read(ExportQuery(format="raw"), after=0, last=10**9)] == [
        f"req_{n:08}" for n in range(300)
    ]


def test_the_command_prints_its_manifest_and_refuses_other_names(mixed: None, tmp_path: Path) -> None:
    out = io.StringIO()
    call_command("export_dataset", str(tmp_path / "c.jsonl"), "--format", "sharegpt", "--dedupe", "--json", stdout=out)
    manifest = json.loads(out.getvalue())
    assert manifest["query"]["format"] == "sharegpt"
    assert (tmp_path / "c.jsonl").exists()
    with pytest.raises(CommandError, match=r"must end in .jsonl"):
        call_command("export_dataset", str(tmp_path / "c.csv"))
    with pytest.raises(CommandError, match="no folder"):
        call_command("export_dataset", str(tmp_path / "nowhere" / "c.jsonl"))
    with pytest.raises(ExportFailed):
        Export(OPENAI, tmp_path / "x")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--team", "nobody"], "--team: There is no team 'nobody'"),
        (["--key", "nobody"], "--key: There is no key with the number or name 'nobody'"),
        (["--key", "9" * 30], "--key: There is no key"),
        (["--min-tokens", "-1"], "'-1' is not a whole number from 0"),
        (["--from", "2026-02-01", "--to", "2026-01-01"], "--from must be before --to"),
    ],
)
def test_what_nothing_can_be_found_with_is_refused(
    mixed: None, tmp_path: Path, arguments: list[str], said: str
) -> None:
    with pytest.raises(CommandError, match=said):
        call_command("export_dataset", str(tmp_path / "none.jsonl"), *arguments)
    assert not list(tmp_path.iterdir())


def test_a_team_or_key_that_is_there_may_have_nothing_stored_and_one_that_is_gone_may_have(
    mixed: None, tmp_path: Path
) -> None:
    Team.objects.create(name="quiet")
    for name, value in (("--team", "quiet"), ("--team", "red"), ("--key", "app"), ("--key", "1")):
        call_command("export_dataset", str(tmp_path / f"{value}.jsonl"), name, value, stdout=io.StringIO())


def test_an_export_of_nothing_is_an_empty_file(tmp_path: Path) -> None:
    for suffix in ("jsonl", "jsonl.gz", "parquet"):
        assert run(tmp_path / f"n.{suffix}")["counts"]["written"] == 0
    packed = (tmp_path / "n.jsonl.gz").read_bytes()
    assert gzip.decompress(packed) == b""
    assert packed.startswith(b"\x1f\x8b"), "gzip's own programs refuse a file without a header"
    assert pyarrow.parquet.read_table(tmp_path / "n.parquet").num_rows == 0
    assert exporter.SCHEMA_VERSION == 1
