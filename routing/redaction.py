"""Takes secrets, e-mail addresses, card numbers and phone numbers out of texts. Pure; doing it twice changes nothing.

Each find is replaced by its kind in brackets. Numbers count as a card only with a valid check digit, and as a phone only
when they are written like one: with a country code, an area code, separators, or a word such as "phone" before them. So
dates, versions, prices, identifiers and code stay readable.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

EMAIL, CARD, PHONE, SECRET = "[email]", "[card]", "[phone]", "[secret]"

_SHORT = 24
_DATA = re.compile(r"[A-Za-z0-9+/_-]{4000,}={0,2}")
"""Such as an image in base64: nothing that somebody wrote. The lack of spaces alone says little: Chinese has none, and
neither have compact JSON and lists with one entry a line."""

# None of these may try a text in more ways than it has letters: with `+` behind it, a repetition gives nothing back.
_LOCAL = re.compile(r"""[^\s@<>()\[\]{}"',;:/\\=|]{1,64}\Z""")
_AT = re.compile(r"@|\s?[(\[]\s?(?:at|arroba)\s?[)\]]\s?", re.IGNORECASE)
_PLAIN_AT = re.compile("@")
_AT_SIGNS = ("(at", "[at", "( at", "[ at", "arroba")
_DOMAIN = re.compile(
    r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?(?:\.|\s?[(\[]\s?(?:dot|ponto)\s?[)\]]\s?)){1,8}[^\W\d_]{2,24}(?!\w)",
    re.IGNORECASE,
)
_CARD = re.compile(r"(?<![\w.+-])\d(?:[ .-]?\d){12,18}(?![\w-]|\.\d)")
_PHONE = re.compile(
    r"""(?<![\w.,:/#$€£=-])(?:
          (?:\+|00)\s?\d{1,3}(?:[\s./-]{0,2}\(?\d{1,5}+\)?){1,6}       # +55 11 91234-5678, +49 (0)30 1234567
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
_SECRET_SIGNS = (
    "sk-", "k_live_", "k_test_", "llmp-", "AKIA", "ASIA", "AGPA", "AIDA", "AROA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_",
    "github_pat_", "glpat-", "xox", "xai-", "pplx-", "AIza", "ya29.", "hf_", "npm_", "pypi-", "SG.", "dop_v1_", "eyJ",
    "PRIVATE KEY-----",
)  # fmt: skip
_SHORTEST_SECRET = 15
_NAME_SIGNS = (":", "=", " is ", " é ", "bearer ")
_NAMES = ("pass", "pwd", "senha", "key", "secret", "token", "authorization", "bearer ", "://")
_LONGEST_NAME = 120
"""With what stands between it and the secret; of an address that is its user."""
_AFTER_NAME = re.compile(
    r"""(?i)(?:
          (?:pass(?:word|wd|phrase)?|pwd|senha|key|secret|token)["']?\s*(?:[:=]|=>|\sis\s|\sé\s)\s*["'`]?
        | authorization["']?\s*[:=]\s*+(?:["'](?:bearer|basic|token)?\s+|(?:bearer|basic|token)\s+|(?<=\s))
        | bearer\s+
        | ://[^\s:/@]{1,100}:
       )([^\s"'`,;@<>\[\]]{6,})""",
    re.VERBOSE,
)
_SECRET_FIELDS = frozenset({"authorization", "authorization_token", "api_key"})
"""Of servers that a request names, such as MCP's: what is in them is a secret however it looks."""
_NUMBER = re.compile(r"[0-9][0-9\s./()-]{4,}[0-9]")
_BEFORE = 48
"""So far back from a number what it is may be written."""
_LOOKS_RANDOM = re.compile(r"(?=.*[0-9!#$%&*+/=?^~])(?=.*[A-Za-z]).{6,}|.{20,}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{2}[-./]\d{2}[-./]\d{4}")


def redact(text: str, counts: "Counter[str] | None" = None) -> str:
    """The text without what it should not hold; `counts` gets how often each kind was found.

    Most texts hold nothing: plain searches for the signs of each kind decide whether its patterns are tried, and where.
    """
    if _DATA.fullmatch(text):
        return text
    found = counts if counts is not None else Counter()
    if max(map(len, text.split()), default=0) >= _SHORTEST_SECRET and any(sign in text for sign in _SECRET_SIGNS):
        text = _SECRET.sub(_mark(SECRET, found), text)
    low = _lower(text)
    text = _named_secrets(text, low, found)
    text = _emails(text, low, found)
    return _numbers(text, found)


def redact_json(value: Any, counts: "Counter[str] | None" = None) -> Any:
    """A copy with every text in it redacted. Names of fields stay, and so do texts that are data URIs."""
    if isinstance(value, str):
        if len(value) <= _SHORT:
            text, found = _redact_short(value)
            if found and counts is not None:
                counts.update(found)
            return text
        return value if value.startswith("data:") else redact(value, counts)
    if isinstance(value, list):
        return [redact_json(item, counts) for item in value]
    if isinstance(value, dict):
        return {
            name: _secret(item, counts) if name.lower() in _SECRET_FIELDS else redact_json(item, counts)
            for name, item in value.items()
        }
    return value


def _secret(value: Any, counts: "Counter[str] | None") -> Any:
    if not isinstance(value, str) or value in ("", SECRET):
        return redact_json(value, counts)
    if counts is not None:
        counts[SECRET] += 1
    return SECRET


@lru_cache(maxsize=4096)
def _redact_short(text: str) -> tuple[str, tuple[str, ...]]:
    """Roles, types, names of models and the like come in every message. With the kinds that were found."""
    found: Counter[str] = Counter()
    return redact(text, found), tuple(found.elements())


def _mark(kind: str, counts: "Counter[str]") -> Callable[[re.Match[str]], str]:
    def replace(_: re.Match[str]) -> str:
        counts[kind] += 1
        return kind

    return replace


def _lower(text: str) -> str:
    """In lower case, letter by letter; a text with letters whose lower case is longer stays as it is."""
    low = text.lower()
    return low if len(low) == len(text) else text


def _named_secrets(text: str, low: str, counts: "Counter[str]") -> str:
    """What follows a word such as "password" and looks like one."""
    if not any(sign in low for sign in _NAME_SIGNS):
        return text
    spans = sorted({match.span(1) for name in _NAMES for match in _after(name, low, text)})
    return _replaced(
        text, [(start, end) for start, end in spans if _LOOKS_RANDOM.fullmatch(text, start, end)], SECRET, counts
    )


def _after(name: str, low: str, text: str) -> Iterator[re.Match[str]]:
    at = low.find(name)
    while at >= 0:
        match = _AFTER_NAME.match(text, at)
        if match is not None:
            yield match
        # A name inside of what was found says nothing new, but for one at its end.
        at = low.find(name, at + len(name) if match is None else max(at + len(name), match.end() - _LONGEST_NAME))


def _emails(text: str, low: str, counts: "Counter[str]") -> str:
    ats = _PLAIN_AT if "@" in text else None
    if any(sign in low for sign in _AT_SIGNS):
        ats = _AT
    if ats is None:
        return text
    spans = []
    for at in ats.finditer(text):
        local = _LOCAL.search(text, max(at.start() - 64, 0), at.start())
        domain = _DOMAIN.match(text, at.end())
        if local is not None and domain is not None:
            spans.append((local.start(), domain.end()))
    return _replaced(text, spans, EMAIL, counts)


def _replaced(text: str, spans: Iterable[tuple[int, int]], kind: str, counts: "Counter[str]") -> str:
    """`spans` in order; what overlaps an earlier one is part of it."""
    parts: list[str] = []
    done = 0
    for start, end in spans:
        if start < done:
            continue
        parts += (text[done:start], kind)
        done = end
        counts[kind] += 1
    return "".join([*parts, text[done:]]) if parts else text


def _numbers(text: str, counts: "Counter[str]") -> str:
    """Cards and phones, looked for around long numbers only."""
    parts: list[str] = []
    done = 0
    for start, end in _windows(text):
        parts += (text[done:start], _without_numbers(text[start:end], counts))
        done = end
    return "".join([*parts, text[done:]]) if parts else text


def _windows(text: str) -> list[tuple[int, int]]:
    """Stretches around numbers that begin and end at spaces, as far as there are any near, and do not overlap."""
    found: list[tuple[int, int]] = []
    for match in _NUMBER.finditer(text):
        near = max(match.start() - _BEFORE, 0)
        start = max(text.rfind(" ", max(near - _BEFORE, 0), near), 0) if near else 0
        end = text.find(" ", match.end(), match.end() + _BEFORE)
        end = min(match.end() + _BEFORE, len(text)) if end < 0 else end
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _without_numbers(text: str, counts: "Counter[str]") -> str:
    text = _CARD.sub(lambda match: _card(match, counts), text)
    text = _CALLED_PHONE.sub(lambda match: _called(match, counts), text)
    return _PHONE.sub(lambda match: _phone(match, counts), text)


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
