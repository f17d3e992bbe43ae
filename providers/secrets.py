"""Encryption of provider secrets at rest with rotating keys (MultiFernet: the newest key encrypts, all decrypt)."""

from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class UndecipherableSecret(Exception):
    """None of the configured encryption keys opens this secret."""


@lru_cache(maxsize=4)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def encrypt(secret: str) -> str:
    return _fernet(tuple(settings.ENCRYPTION_KEYS)).encrypt(secret.encode()).decode()


def decrypt(ciphertext: str) -> str:
    try:
        return _fernet(tuple(settings.ENCRYPTION_KEYS)).decrypt(ciphertext.encode()).decode()
    except InvalidToken:
        raise UndecipherableSecret(
            "A stored secret cannot be decrypted: PROXY_API_ENCRYPTION_KEYS lacks the key it was written with."
        ) from None


def rotate(ciphertext: str) -> str:
    """The same secret under the newest key."""
    try:
        return _fernet(tuple(settings.ENCRYPTION_KEYS)).rotate(ciphertext.encode()).decode()
    except InvalidToken:
        raise UndecipherableSecret("A stored secret cannot be decrypted with any configured key.") from None


def hint(secret: str) -> str:
    """What may be shown of a secret: its prefix up to the first dash and its last four characters."""
    if len(secret) < 12:
        return "…"
    prefix = secret.split("-", 1)[0] + "-" if "-" in secret[:8] else ""
    return f"{prefix}…{secret[-4:]}"
