import pytest

from accounts import keys

PEPPER = b"pepper"


def test_a_new_key_is_found_by_its_id_and_matches_its_digest():
    key = keys.new_key(PEPPER)

    assert keys.parse(key.token) == key.public_id
    assert keys.matches(keys.digest(key.token, PEPPER), bytes.fromhex(key.digest))
    assert key.token.endswith(key.hint)


def test_the_stored_digest_is_no_key_and_depends_on_the_pepper():
    key = keys.new_key(PEPPER)

    assert keys.parse(key.digest) is None
    assert not keys.matches(keys.digest(key.token, b"other"), bytes.fromhex(key.digest))


def test_a_rotated_secret_keeps_the_id():
    key = keys.new_key(PEPPER)
    rotated = keys.new_key(PEPPER, public_id=key.public_id)

    assert rotated.public_id == key.public_id
    assert rotated.token != key.token


def test_the_secret_shows_in_no_repr():
    key = keys.new_key(PEPPER)

    assert key.token not in repr(key)


def test_malformed_tokens_have_no_id():
    good = keys.new_key(PEPPER).token

    for token in ("", "llmp-", good + "x", good[:-1], good.upper(), good + "\n", "sk-" + good[5:], "llmp-é" + good[6:]):
        assert keys.parse(token) is None, token


def test_a_free_form_token_has_an_id_that_tells_nothing_about_it():
    key = keys.free_form_key("your-api-key-here", PEPPER)

    assert key is not None
    assert key.public_id == keys.identify("your-api-key-here", PEPPER)
    assert key.public_id != keys.identify("your-api-key-here", b"other")
    assert "your" not in key.public_id + key.digest + key.hint
    assert len(key.public_id) <= 32
    assert keys.matches(keys.digest("your-api-key-here", PEPPER), bytes.fromhex(key.digest))


def test_our_own_tokens_keep_their_id():
    key = keys.new_key(PEPPER)

    assert keys.identify(key.token, PEPPER) == key.public_id


def test_what_cannot_be_a_key_has_no_id():
    for token in ("", "short", "with space", "llmp-neither", "é" * 10, "x" * 257, "line\nbreak"):
        assert keys.identify(token, PEPPER) is None, token
        assert keys.free_form_key(token, PEPPER) is None, token


@pytest.mark.parametrize("pepper", [b"", PEPPER, b"p" * 64, b"p" * 65])
def test_the_prepared_digest_is_the_same_hmac(pepper):
    token = keys.new_key(pepper).token

    assert keys.digester(pepper)(token) == keys.digest(token, pepper)
