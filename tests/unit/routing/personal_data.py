"""Personal data made up from a seed, written in the ways people write it, and texts that only look like it."""

import random
import string
from itertools import pairwise

LETTERS = string.ascii_letters + string.digits
NAMES = ("ana", "joão.silva", "m-oconnor", "li_wei", "info", "JOSE.MARIA", "x", "anna.maria+news", "müller")
DOMAINS = ("example.com", "mail.example.co.uk", "uni-köln.example.de", "empresa.example.com.br", "a-b.example.org")
SENTENCES = (
    "Please write to {} before noon.",
    "My data: {}",
    "({})",
    'he said "{}" and left',
    "{}, thanks",
    "contact={};",
    "Meu contato é {}.",
    "<{}>",
    "line one\n{}\nline three",
)


def _chars(draw: random.Random, count: int, alphabet: str = LETTERS) -> str:
    return "".join(draw.choices(alphabet, k=count))


def _digits(draw: random.Random, count: int) -> str:
    return _chars(draw, count, string.digits)


def email(draw: random.Random) -> str:
    at = draw.choice(["@"] * 8 + [" (at) ", "[at]"])
    return f"{draw.choice(NAMES)}{draw.randint(1, 99)}{at}{draw.choice(DOMAINS)}"


def card(draw: random.Random) -> str:
    prefix, length = draw.choice([("4", 16), ("51", 16), ("2221", 16), ("37", 15), ("6011", 16), ("4", 13)])
    digits = prefix + _digits(draw, length - len(prefix) - 1)
    total = sum(sum(divmod(int(digit) * (2 - at % 2), 10)) for at, digit in enumerate(reversed(digits)))
    digits += str(-total % 10)
    cuts = (0, 4, 10, 15) if length == 15 else (0, 4, 8, 12, 16)
    groups = [digits[start:stop] for start, stop in pairwise(cuts) if digits[start:stop]]
    return draw.choice(["", " ", "-"]).join(groups)


def phone(draw: random.Random) -> str:
    d = lambda count: _digits(draw, count)  # noqa: E731
    return draw.choice(
        [
            f"+55 11 9{d(4)}-{d(4)}",
            f"+5511 9{d(8)}",
            f"+1 (415) {d(3)}-{d(4)}",
            f"+1-415-{d(3)}-{d(4)}",
            f"+44 20 {d(4)} {d(4)}",
            f"+49 (0)30 {d(7)}",
            f"+49 171 {d(7)}",
            f"+33 6 {d(2)} {d(2)} {d(2)} {d(2)}",
            f"+3519{d(8)}",
            f"0044 20 {d(4)} {d(4)}",
            f"(11) 9{d(4)}-{d(4)}",
            f"(21) {d(4)}-{d(4)}",
            f"11 9{d(4)}-{d(4)}",
            f"(415) {d(3)}-{d(4)}",
            f"415-{d(3)}-{d(4)}",
            f"415.{d(3)}.{d(4)}",
            f"030 {d(7)}",
            f"020 {d(4)} {d(4)}",
            f"0171/{d(7)}",
            f"phone: {d(10)}",
            f"Tel. {d(8)}",
            f"WhatsApp 119{d(8)}",
        ]
    )


def secret(draw: random.Random) -> str:
    c = lambda count: _chars(draw, count)  # noqa: E731
    return draw.choice(
        [
            f"sk-{c(48)}",
            f"sk-proj-{c(20)}_{c(20)}-{c(8)}",
            f"sk-ant-api03-{c(60)}",
            f"llmp-{c(12)}-{c(43)}",
            "AKIA" + _chars(draw, 16, string.ascii_uppercase + string.digits),
            f"ghp_{c(36)}",
            f"xoxb-{_digits(draw, 12)}-{c(24)}",
            f"AIza{c(35)}",
            f"hf_{c(34)}",
            f"sk_live_{c(24)}",
            f"eyJ{c(30)}.{c(60)}.{c(43)}",
            f"-----BEGIN RSA PRIVATE KEY-----\n{c(64)}\n{c(64)}\n-----END RSA PRIVATE KEY-----",
            f"password: {c(8)}9!",
            f'"api_key": "{c(30)}7"',
            f"Authorization: Bearer {c(40)}",
            f"postgres://admin:{c(12)}4@db.internal/app",
            f"senha={c(9)}1",
            f"AWS_SECRET_ACCESS_KEY={c(36)}1/+",
        ]
    )


def sensitive_part(kind: str, written: str) -> str:
    """What must not be left of it: the longest run that tells something."""
    if "://" in written:
        return written.split(":")[2].split("@")[0]
    if kind == "secret" and "PRIVATE" not in written:
        return max(written.replace('"', " ").replace("@", " ").replace("=", " ").replace(":", " ").split(), key=len)
    if kind == "phone":
        return written.split(maxsplit=1)[-1] if written[0].isalpha() else written
    return written.split("\n")[1] if "\n" in written else written


HARMLESS = (
    "On 2026-11-23 at 12:30:45 we met 25 people.",
    "The total is 1,234,567.89 EUR or $12345678.90.",
    "Version 10.15.7 of build 20261123 passed, 3.14159265358979 too.",
    "Order 4111111111111112 was shipped.",
    "for (int i = 0; i < 1000000; i++) { sum += a[i] * 31; }",
    "UUID 123e4567-e89b-12d3-a456-426614174000 stays.",
    "See RFC 9110, section 15.5.20, pages 100-112.",
    "192.168.100.200 and 2001:db8::8a2e:370:7334 are addresses.",
    "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "Use @property and @staticmethod, not user@ or @user.",
    "The key is under the mat, the secret of success is work.",
    "a token is a word; the password is hidden",
    "ISBN 978-3-16-148410-0 costs 30",
    "23/11/2026 or 23.11.2026 or 11-23-2026",
    "x = 1000000000000",
    "timestamp 1795441337 and 1795441337123",
    "sk-learn and ask-me-anything are fine",
    "import re; re.compile(r'\\d{3}-\\d{4}')",
    "coordinates -23.550520, -46.633308",
    "https://example.com/path/2026/11/23/item-1234567?page=2",
)
