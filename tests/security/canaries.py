"""Strings that must never be seen again, where they are planted, and the search for them.

Each is letters and digits only, so that no encoding (JSON, URL, HTML) hides it, and each is searched for by its middle,
because hints legitimately show a secret's first and last characters.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

PROVIDER_SECRETS = {
    "usual": "sk-proj-CANARYusualKEYq8w7e6r5t4y3u2i1o0p",
    "plain": "CANARYplainKEYa1s2d3f4g5h6j7k8l9z0",
}
ENVIRONMENT_SECRETS = {
    "PROXY_API_OPENAI_API_KEY": "CANARYenvKEYm1n2b3v4c5x6z7l8k9",
    "PROXY_API_SECRET_KEY": "CANARYsecretKEYp0o9i8u7y6t5r4e3w2q1aaaaaaaa",
    "PROXY_API_ENCRYPTION_KEYS": "CANARYfernetKEYaaaaaaaaaaaaaaaaaaaaaaaaaaaa=",
    "PROXY_API_METRICS_TOKEN": "CANARYmetricsTOKENz9x8c7v6b5n4m3",
}
PROVIDER_HEADER = "CANARYextraHEADERh1j2k3l4z5x6c7v8"
ADMIN_PASSWORD = "CANARYpasswordWORDj1k2l3m4n5"
PROMPT = "CANARYpromptTEXTd4e5f6g7h8"
WRONG_KEY = "llmp-0123456789abcdef-CANARYwrongKEYg5f4d3s2a1q0w9e8r7t6y5u4i3o2p1"
STORED_AS_IT_IS = {"provider header"}
"""What docs/security.md says lies in the database, and only there."""
OF_ANSWERS = {"prompt"}
"""What a client may be told again: an upstream that quotes the prompt quotes it to who sent it."""


def middles(client_key: str) -> dict[str, re.Pattern[bytes]]:
    """What to search for, by name."""
    named = {
        **{f"provider secret {name}": text for name, text in PROVIDER_SECRETS.items()},
        **ENVIRONMENT_SECRETS,
        "provider header": PROVIDER_HEADER,
        "admin password": ADMIN_PASSWORD,
        "prompt": PROMPT,
        "wrong key": WRONG_KEY,
        "client key": client_key,
    }
    return {name: re.compile(re.escape(middle(text)).encode()) for name, text in named.items()}


def middle(text: str) -> str:
    """The part that tells the secret: CANARY and 12 characters after it, or 16 from the middle of a key of ours."""
    at = text.find("CANARY")
    return text[at : at + 18] if at >= 0 else text[-24:-8]


@dataclass(slots=True)
class Watch:
    """Collects everything the system gives out, and says where a canary was seen."""

    patterns: dict[str, re.Pattern[bytes]]
    seen: dict[str, list[str]] = field(default_factory=dict)
    searched: int = 0

    def look(self, place: str, data: bytes, *, ignoring: Iterable[str] = ()) -> bytes:
        self.searched += len(data)
        for name, pattern in self.patterns.items():
            if name not in ignoring and (found := pattern.search(data)):
                around = data[max(found.start() - 80, 0) : found.end() + 20]
                self.seen.setdefault(name, []).append(f"{place}: …{around.decode('utf-8', 'replace')}…")
        return data

    def look_at_files(self, directory: Path, *, ignoring: Iterable[str] = ()) -> list[Path]:
        files = [path for path in directory.rglob("*") if path.is_file()]
        for path in files:
            stored = STORED_AS_IT_IS if ".sqlite3" in path.name else ()
            self.look(str(path.relative_to(directory)), path.read_bytes(), ignoring={*ignoring, *stored})
        return files
