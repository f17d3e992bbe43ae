"""Takes secrets, e-mail addresses, card numbers and phone numbers out of texts. Pure; doing it twice changes nothing.

Each find is replaced by its kind in brackets. Numbers count as a card only with a valid check digit, and as a phone only
when they are written like one: with a country code, an area code, separators, or a word such as "phone" before them. So
dates, versions, prices, identifiers and code stay readable.
"""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

EMAIL, CARD, PHONE, SECRET = "[email]", "[card]", "[phone]", "[secret]"

_LONGEST_PLAIN = 4000
"""A longer text without a single space is data, such as an image, not something that somebody wrote."""

_NO_LOCAL = r"\s@<>()\[\]{}\"',;:/\\=|"
# A local part is only looked for where one can begin, so that the time is proportional to the text.
_EMAIL = re.compile(
    rf"""(?<![^{_NO_LOCAL}])[^{_NO_LOCAL}]+(?:@|\s?[(\[]\s?(?:at|arroba)\s?[)\]]\s?)
        (?:[^\W_](?:[\w-]{{0,61}}[^\W_])?(?:\.|\s?[(\[]\s?(?:dot|ponto)\s?[)\]]\s?)){{1,8}}[^\W\d_]{{2,24}}(?!\w)""",
    re.VERBOSE | re.IGNORECASE,
)
_CARD = re.compile(r"(?<![\w.+-])\d(?:[ .-]?\d){12,18}(?![\w-]|\.\d)")
_PHONE = re.compile(
    r"""(?<![\w.,:/#$€£=-])(?:
          (?:\+|00)\s?\d{1,3}(?:[\s./-]{0,2}\(?\d{1,5}\)?){1,6}        # +55 11 91234-5678, +49 (0)30 1234567
        | \(\d{2,5}\)[\s./-]{0,2}\d{2,5}(?:[\s./-]?\d{2,5}){1,3}         # (11) 91234-5678
        | \d{3}[\s.-]\d{3}[\s.-]\d{4}                                    # 555-123-4567
        | 1[\s.-]\d{3}[\s.-]\d{3}[\s.-]\d{4}
        | \d{2}[\s.]9?\d{4}[\s.-]\d{4}                                   # 11 91234-5678
        | 9\d{4}-\d{4}
        | 0\d{1,4}(?:[\s/-]\d{2,8}){1,4}                                  # 030 1234567, 020 7946 0958
        | 0\d{9,10}
        | \d{3}-\d{4}(?=\s|$|[.,;!?)])                                   # 555-0123
        )(?![\w-]|\.\d)""",
    re.VERBOSE,
)
_CALLED_PHONE = re.compile(
    r"(?i)\b(?:phone|telephone|telefone|tel|fone|mobile|celular|cell|whatsapp|zap|fax|call|ligue|sms|handy)"
    r"(?:\s(?:number|me|us|no|para|é|is|at|on|n[oº]))*[\s.:#=(]{1,3}(\+?\d(?:[\s./()-]{0,2}\d){6,14})(?![\w-]|\.\d)"
)
_SECRET = re.compile(
    r"""-----BEGIN[A-Z ]*PRIVATE\ KEY-----[\s\S]*?(?:-----END[A-Z ]*PRIVATE\ KEY-----|$)
      | (?<![A-Za-z0-9])(?:
            sk-[A-Za-z0-9_-]{16,} | [spr]k_(?:live|test)_[A-Za-z0-9]{10,} | llmp-[0-9A-Za-z]{6,}-[\w-]{20,}
          | (?:AKIA|ASIA|AGPA|AIDA|AROA)[0-9A-Z]{16} | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_\w{20,} | glpat-[\w-]{16,}
          | xox[abeprs]-[\w-]{10,} | xai-[\w-]{20,} | pplx-[\w-]{20,} | AIza[\w-]{30,} | ya29\.[\w-]{20,}
          | hf_[A-Za-z0-9]{20,} | npm_[A-Za-z0-9]{30,} | pypi-[\w-]{30,} | SG\.[\w-]{16,}\.[\w-]{16,} | dop_v1_[a-f0-9]{40,}
          | eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*
        )""",
    re.VERBOSE,
)
_AFTER_NAME = re.compile(
    r"""(?i)(?:
          (?:\bpass(?:word|wd|phrase)|\bpwd|\bsenha|(?:\b|_)(?:api|access|auth|private|secret|client)?[_-]?
             (?:key|secret|token))(?:["']?\s*(?:[:=]|=>|\sis\s|\sé\s)\s*["'`]?)
        | \bauthorization["']?\s*[:=]\s*["']?(?:bearer|basic|token)?\s+ | \bbearer\s+ | ://[^\s:/@]{1,100}:
       )([^\s"'`,;@<>\[\]]{6,})""",
    re.VERBOSE,
)
_HINT = re.compile(
    r"@|\(at\)|\[at\]|arroba|\d[\d\s./()-]{5,}\d|PRIVATE KEY|(?i:pass|pwd|senha|secret|token|key|bearer|authorization|://)"
    r"|[a-z]{2,4}[-_][A-Za-z0-9]|AKIA|ASIA|AGPA|AIDA|AROA|AIza|ya29|eyJ|SG\."
)
_LOOKS_RANDOM = re.compile(r"(?=.*[0-9!#$%&*+/=?^~])(?=.*[A-Za-z]).{6,}|.{20,}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{2}[-./]\d{2}[-./]\d{4}")


def redact(text: str, counts: "Counter[str] | None" = None) -> str:
    """The text without what it should not hold; `counts` gets how often each kind was found."""
    if _HINT.search(text) is None or (len(text) > _LONGEST_PLAIN and " " not in text[:_LONGEST_PLAIN]):
        return text
    found = counts if counts is not None else Counter()
    text = _SECRET.sub(_mark(SECRET, found), text)
    text = _AFTER_NAME.sub(lambda match: _named_secret(match, found), text)
    if "@" in text or "at" in text or "arroba" in text:
        text = _EMAIL.sub(_mark(EMAIL, found), text)
    text = _CARD.sub(lambda match: _card(match, found), text)
    text = _CALLED_PHONE.sub(lambda match: _called(match, found), text)
    return _PHONE.sub(lambda match: _phone(match, found), text)


def redact_json(value: Any, counts: "Counter[str] | None" = None) -> Any:
    """A copy with every text in it redacted. Names of fields stay, and so do texts that are data URIs."""
    if isinstance(value, str):
        return value if value.startswith("data:") else redact(value, counts)
    if isinstance(value, list):
        return [redact_json(item, counts) for item in value]
    if isinstance(value, dict):
        return {name: redact_json(item, counts) for name, item in value.items()}
    return value


def _mark(kind: str, counts: "Counter[str]") -> Callable[[re.Match[str]], str]:
    def replace(_: re.Match[str]) -> str:
        counts[kind] += 1
        return kind

    return replace


def _named_secret(match: re.Match[str], counts: "Counter[str]") -> str:
    whole, secret = match[0], match[1]
    if not _LOOKS_RANDOM.fullmatch(secret):
        return whole
    counts[SECRET] += 1
    return whole[: len(whole) - len(secret)] + SECRET


def _card(match: re.Match[str], counts: "Counter[str]") -> str:
    digits = [int(character) for character in match[0] if character.isdigit()]
    if digits[0] not in (2, 3, 4, 5, 6) or len(set(digits)) == 1 or not _luhn(digits):
        return match[0]
    counts[CARD] += 1
    return CARD


def _luhn(digits: list[int]) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _called(match: re.Match[str], counts: "Counter[str]") -> str:
    whole, number = match[0], match[1]
    counts[PHONE] += 1
    return whole[: len(whole) - len(number)] + PHONE


def _phone(match: re.Match[str], counts: "Counter[str]") -> str:
    digits = sum(character.isdigit() for character in match[0])
    if not 7 <= digits <= 15 or _DATE.match(match[0]):
        return match[0]
    counts[PHONE] += 1
    return PHONE
