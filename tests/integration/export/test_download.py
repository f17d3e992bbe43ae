"""The data set as a download from the admin: the same lines as the command's, made while it is read, for who may."""

import io
import json
import random
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client

from routing.admin_payloads import as_they_come
from routing.export import Export, ExportQuery, archive
from routing.export.archive import LINES, MANIFEST, PIECE_BYTES
from tests.integration.export.stored import answer, asked, made_up, record, store

pytestmark = pytest.mark.django_db

PAGE = "/admin/routing/payloadrecord/dataset/"


@pytest.fixture
def mixed() -> None:
    draw = random.Random(7)
    store([made_up(draw, number) for number in range(300)])


def unpacked(data: bytes) -> tuple[bytes, dict[str, Any]]:
    with zipfile.ZipFile(io.BytesIO(data)) as bundle:
        assert bundle.testzip() is None
        assert bundle.namelist() == [LINES, MANIFEST]
        return bundle.read(LINES), json.loads(bundle.read(MANIFEST))


@pytest.mark.parametrize("shape", ["openai", "sharegpt", "raw"])
def test_an_archive_holds_the_lines_and_the_manifest_of_the_command(mixed: None, tmp_path: Path, shape: Any) -> None:
    query = ExportQuery(format=shape, redact=True, dedupe=True)
    expected = Export(query, tmp_path / LINES, revision=3).run()
    data = b"".join(archive(query, revision=3))
    lines, manifest = unpacked(data)
    assert lines == (tmp_path / LINES).read_bytes()
    assert manifest == expected
    assert manifest["counts"]["written"] > 50
    assert data == b"".join(archive(query, revision=3))


def test_an_archive_of_nothing_is_an_archive() -> None:
    lines, manifest = unpacked(b"".join(archive(ExportQuery(format="openai"), revision=0)))
    assert (lines, manifest["counts"]["written"]) == (b"", 0)


def test_an_archive_is_made_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("routing.export.query.PAGE_BYTES", 50_000)
    draw = random.Random(3)
    noise = (draw.randbytes(8000).hex() for _ in range(400))
    store([record(number, asked(text), answer("a")) for number, text in enumerate(noise)])
    pieces = archive(ExportQuery(format="openai"), revision=0)
    sizes = [len(next(pieces))]
    store([record(1000, asked("came after the first piece"), answer("late"))])
    rest = list(pieces)
    sizes += map(len, rest)
    # What is not sent yet is a piece and what the compressor holds back.
    assert max(sizes) < PIECE_BYTES + 128 * 1024
    assert len(sizes) > 8


def test_whoever_leaves_ends_the_making(mixed: None) -> None:
    closed: list[bool] = []

    def pieces() -> Any:
        try:
            while True:
                yield b"x"
        finally:
            closed.append(True)

    async def read_two() -> None:
        coming = as_they_come(pieces())
        assert [await anext(coming), await anext(coming)] == [b"x", b"x"]
        await coming.aclose()  # type: ignore[attr-defined]

    async_to_sync(read_two)()
    assert closed == [True]


def person(*permissions: str) -> Client:
    user = User.objects.create_user("analyst", password="correct-horse-battery", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def body(response: Any) -> bytes:
    async def collected(pieces: AsyncIterator[bytes]) -> bytes:
        return b"".join([piece async for piece in pieces])

    return async_to_sync(collected)(response.streaming_content)


def test_who_may_see_stored_prompts_downloads_what_was_chosen_and_that_is_written_down(mixed: None) -> None:
    client = person("view_payloadrecord")
    assert "Download" in client.get(PAGE).content.decode()
    form = {"format": "raw", "since": "2026-01-01", "until": "2026-01-01", "models": "m, other*", "teams": "red",
            "key": "app", "status": "2xx", "min_tokens": "1", "redact": "on", "dedupe": "on"}  # fmt: skip
    response = client.post(PAGE, form)
    assert response["Content-Disposition"] == 'attachment; filename="dataset-raw.zip"'
    lines, manifest = unpacked(body(response))
    assert manifest["query"] == {
        "format": "raw", "from": "2026-01-01T00:00:00+00:00", "to": "2026-01-02T00:00:00+00:00",
        "models": ["m", "other*"], "teams": ["red"], "key": "app", "status": 2, "min_tokens": 1,
        "redact": True, "dedupe": True,
    }  # fmt: skip
    assert len(lines.splitlines()) == manifest["counts"]["written"] > 100
    entry = LogEntry.objects.get()
    assert (entry.user.username, "'format': 'raw'" in entry.change_message) == ("analyst", True)
    assert "req_00000299" in client.get("/admin/routing/payloadrecord/").content.decode()


def test_a_choice_that_makes_no_sense_is_told_and_nothing_is_downloaded(mixed: None) -> None:
    client = person("view_payloadrecord")
    response = client.post(PAGE, {"format": "openai", "status": "2000", "since": "2026-02-02", "until": "2026-02-01"})
    text = response.content.decode()
    assert "such as 5xx." in text
    assert "The last day is before the first." in text
    assert not LogEntry.objects.exists()


def test_others_get_nothing(mixed: None) -> None:
    form = {"format": "raw"}
    assert Client().post(PAGE, form)["Location"].startswith("/admin/login/")
    client = person("view_usagerecord")
    assert client.post(PAGE, form).status_code == 403
    assert client.get(PAGE).status_code == 403
    assert "routing/payloadrecord" not in client.get("/admin/").content.decode()
