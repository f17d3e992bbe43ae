"""Personal data and secrets are found however they are written, and what only looks like them stays."""

import json
import random
import time
from collections import Counter

import pytest

from routing.redaction import redact, redact_json
from tests.unit.routing import personal_data

KINDS = {
    "email": personal_data.email,
    "card": personal_data.card,
    "phone": personal_data.phone,
    "secret": personal_data.secret,
}


@pytest.mark.parametrize("kind", KINDS)
def test_finds_at_least_95_in_100_of_what_was_planted(kind: str) -> None:
    draw = random.Random(kind)
    missed = []
    for _ in range(1000):
        written = KINDS[kind](draw)
        text = draw.choice(personal_data.SENTENCES).format(written)
        if personal_data.sensitive_part(kind, written) in redact(text):
            missed.append(text)
    assert len(missed) <= 50, missed[:10]


def test_finds_all_kinds_in_one_text() -> None:
    counts: Counter[str] = Counter()
    text = "Ana <ana@example.com>, +55 11 91234-5678, card 4111 1111 1111 1111, key sk-abcdefghijklmnopqrstuvwx."
    assert redact(text, counts) == "Ana <[email]>, [phone], card [card], key [secret]."
    assert counts == {"[email]": 1, "[phone]": 1, "[card]": 1, "[secret]": 1}


@pytest.mark.parametrize("text", personal_data.HARMLESS)
def test_leaves_what_only_looks_like_it(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("kind", KINDS)
def test_doing_it_twice_changes_nothing(kind: str) -> None:
    draw = random.Random(kind)
    for _ in range(200):
        once = redact(draw.choice(personal_data.SENTENCES).format(KINDS[kind](draw)))
        assert redact(once) == once


def test_goes_through_json_but_not_into_images_and_names() -> None:
    image = "data:image/png;base64,+5511912345678"
    value = {"ana@example.com": ["ana@example.com", 4111111111111111, None, True], "image": {"url": image}}
    assert redact_json(value) == {"ana@example.com": ["[email]", 4111111111111111, None, True], "image": {"url": image}}


def test_what_stands_in_a_field_for_secrets_is_one_however_it_looks() -> None:
    counts: Counter[str] = Counter()
    server = {
        "url": "https://a.example",
        "authorization_token": "correct-horse",
        "headers": {"Authorization": "Bearer x"},
    }
    schema = {"properties": {"api_key": {"type": "string"}}, "api_key": ""}
    clean = {**server, "authorization_token": "[secret]", "headers": {"Authorization": "[secret]"}}
    assert redact_json([server, schema], counts) == [clean, schema]
    assert counts == {"[secret]": 2}
    assert redact_json(clean, counts) == clean
    assert counts.total() == 2
    assert redact_json({"api_key": "x"}) == {"api_key": "[secret]"}


def test_data_without_a_space_is_not_searched() -> None:
    blob = "+5511912345678" * 1000
    assert redact(blob) == blob
    assert redact(blob + "==") == blob + "=="


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([{"mail": f"ana{number}@example.com"} for number in range(300)], separators=(",", ":")),
        "\n".join(f"{number},ana{number}@example.com" for number in range(300)),
        "你好，请记住我的地址。" * 600 + "ana7@example.com",
    ],
    ids=["compact JSON", "lines", "Chinese"],
)
def test_long_text_that_is_written_without_spaces_is_searched(text: str) -> None:
    assert len(text) > 4000
    assert "@" not in redact(text)


def test_hostile_text_takes_no_longer_than_its_length() -> None:
    pieces = (
        "(",
        "a@",
        "1 ",
        "+1",
        "key: ",
        "x.",
        "a-",
        "1-",
        "0 1",
        "eyJ",
        "-----BEGIN PRIVATE KEY-----",
        "a@b.",
        "://",
        "key=",
        " 00" + "1" * 33 + "x",
        " +" + "1" * 33 + "x",
        "authorization:" + " " * 9_000,
    )
    began = time.process_time()
    for piece in pieces:
        redact("a " + piece * (20_000 // len(piece)) + " @")
    assert time.process_time() - began < 3


def test_a_name_at_the_end_of_what_looks_like_a_secret_is_still_a_name() -> None:
    assert redact("key=password='hunter2'") == "key=[secret]'[secret]'"
    assert (
        redact("+55 11 91234-5678 2nd floor, authorization: bearer1a2b3c")
        == "[phone] 2nd floor, authorization: [secret]"
    )
