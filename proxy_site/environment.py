"""Reading the process environment: `.env`, `NAME_FILE` secrets, and secrets generated for the embedded default."""

import contextlib
import os
import re
import secrets
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

from providers.addresses import base_url_fault
from providers.proxies import DirectHosts, ProxyError, parse_proxy, read_direct_hosts

# Values that people paste from examples; accepting one would make every installation share a secret.
KNOWN_BAD_SECRETS = frozenset(
    {"changeme", "change-me", "secret", "default", "password", "django-insecure", "your-secret-key"}
)
SHORTEST_SECRET = 32
A_DAY_S = 86_400
ON = frozenset({"true", "on", "ok", "y", "yes", "1"})
OFF = frozenset({"false", "off", "n", "no", "0"})
HOST_NAME = re.compile(r"\*|\.?[^\s./:@*?#\[\]][^\s/:@*?#\[\]]*|\[[0-9A-Fa-f:.]+\]")
ORIGIN = re.compile(r"https?://((\*\.)?[a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.IGNORECASE)

PREFIX = "PROXY_API_"
ALIKE = 0.85
_asked = {"PROXY_API_ENV_FILE"}


def mistaken(named: Collection[str] = ()) -> dict[str, str]:
    """Variables with our prefix that nothing has asked for, each with the one that was probably meant: some of ours have no
    prefix. What is like none of them, or is `named` by a row, is a key under a name of the operator's own."""
    found = {}
    for name in sorted(os.environ):
        unread = name.startswith(PREFIX) and not {name, name.removesuffix("_FILE")} & {*_asked, *named}
        if unread and (meant := _meant(name)) is not None:
            found[name] = meant
    return found


def _meant(name: str) -> str | None:
    bare = name.removeprefix(PREFIX)
    if bare.removesuffix("_FILE") in _asked:
        return bare
    if any(name.startswith(f"{known}_") for known in _asked):
        # A second key of a provider, say.
        return None
    return next(iter(get_close_matches(name, sorted(_asked), n=1, cutoff=ALIKE)), None)


def from_file_or_environment(name: str) -> str:
    """The value of NAME, or the content of the file that NAME_FILE points to (for container secrets)."""
    _asked.add(name)
    path = os.environ.get(f"{name}_FILE")
    if path:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ImproperlyConfigured(
                f"{name}_FILE points to {path}, which cannot be read: {error.strerror}."
            ) from error
    return os.environ.get(name, "")


def given(name: str) -> str:
    """What NAME is set to. A variable that is set to nothing is not set: compose files pass such on."""
    _asked.add(name)
    return os.environ.get(name, "").strip()


def whole_number(name: str, *, default: int, least: int = 0, most: int = 2**31 - 1) -> int:
    """NAME as a whole number."""
    text = given(name)
    if not text:
        return default
    if not text.removeprefix("-").isdecimal() or not least <= int(text) <= most:
        raise ImproperlyConfigured(f"{name} is '{text}'; it must be a whole number from {least} to {most}.")
    return int(text)


def seconds(name: str, *, default: float) -> float:
    """NAME as a number of seconds above 0."""
    text = given(name)
    if not text:
        return default
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= A_DAY_S:
        raise ImproperlyConfigured(f"{name} is '{text}'; it must be a number of seconds above 0, at most {A_DAY_S}.")
    return number


def switch(name: str) -> bool:
    """NAME as yes or no, and no without it. A word that is neither is refused: taken for `no`, it would leave a
    protection off that somebody believes to be on."""
    text = given(name).lower()
    if text and text not in ON and text not in OFF:
        raise ImproperlyConfigured(f"{name} is '{text}'; it must be true or false.")
    return text in ON


def one_of(name: str, choices: Collection[str], *, default: str, upper: bool = False) -> str:
    """NAME as one of these words; with `upper`, written in whatever case."""
    text = given(name) or default
    word = text.upper() if upper else text
    if word not in choices:
        raise ImproperlyConfigured(f"{name} is '{text}'; it must be one of {', '.join(sorted(choices))}.")
    return word


def host_names(name: str) -> list[str]:
    """NAME as what Django compares the name in `Host` with. Whatever could never be one is refused: every page would be
    a 400, and the reason for it far from here."""
    return _listed(
        name, HOST_NAME, "names of hosts without scheme, port or path, such as gateway.example.com or .example.com"
    )


def origins(name: str) -> list[str]:
    """NAME as what `Origin` is compared with, which browsers send in lower case. What has another form, as a bare host or
    with a path, would be trusted by nobody and say nothing."""
    found = _listed(name, ORIGIN, "origins with their scheme and no path, such as https://gateway.example.com")
    return [origin.lower() for origin in found]


def _listed(name: str, entry: re.Pattern[str], what: str) -> list[str]:
    """NAME as its entries between commas, each without the blanks around it."""
    text = given(name)
    found = [each for part in text.split(",") if (each := part.strip())]
    if not all(map(entry.fullmatch, found)):
        raise ImproperlyConfigured(f"{name} is '{text}'; it must be {what}, separated by commas.")
    return found


def data_directory(name: str, *, default: Path) -> Path:
    """NAME as a directory that this process can write to; made if need be, for nobody but its user: the database in it
    may hold prompts."""
    path = Path(given(name) or default).resolve()
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ImproperlyConfigured(f"{name} is {path}, which cannot be made: {error.strerror}.") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise ImproperlyConfigured(f"{name} is {path}, where this user cannot write.")
    return path


def redis_address(name: str) -> str:
    """NAME as the URL of a Redis; empty without one."""
    url = from_file_or_environment(name)
    if url and not url.startswith(("redis://", "rediss://", "unix://")):
        raise ImproperlyConfigured(f"{name} must begin with redis://, rediss:// or unix://.")
    return url


def proxy_address(name: str) -> str | None:
    """NAME as the URL of a proxy; None without one. As everywhere, its lower-case spelling comes first."""
    for spelling in (name.lower(), name):
        if not (url := from_file_or_environment(spelling).strip()):
            continue
        try:
            parse_proxy(url)
        except ProxyError as error:
            raise ImproperlyConfigured(f"{spelling} is no proxy that can be used: {error}.") from None
        return url
    return None


def base_url(name: str) -> str:
    """NAME as a provider's address; empty without one. It is not repeated: a password may stand in it."""
    url = given(name)
    if url and (why := base_url_fault(url)) is not None:
        raise ImproperlyConfigured(f"{name} is no address that a provider can have: {why}.")
    return url


def direct_hosts(name: str) -> DirectHosts:
    """NAME as the hosts that are called without a proxy."""
    return read_direct_hosts(given(name.lower()) or given(name))


def required_secret(name: str, *, data_dir: Path, embedded: bool) -> str:
    """A secret from the environment; in the embedded default, one generated once into the data directory (0600)."""
    what = f"a random value of at least {SHORTEST_SECRET} characters, as `openssl rand -base64 48` makes one"
    value = _shared(name, what, embedded=embedded)
    if value:
        check_secret(name, value)
        return value
    return generated_secret(data_dir / "secrets" / name.lower(), kind="text")


def encryption_keys(name: str, *, data_dir: Path, embedded: bool) -> list[str]:
    """NAME as keys of Fernet, the newest first; generated like any other secret. One that is none is refused here, and
    not by the first secret that is to be encrypted. It is not repeated."""
    what = "32 random bytes in base64, as `openssl rand -base64 32` makes them"
    text = _shared(name, what, embedded=embedded) or generated_secret(
        data_dir / "secrets" / name.lower(), kind="fernet"
    )
    keys = [key.strip() for key in text.split(",") if key.strip()]
    for position, key in enumerate(keys, start=1):
        try:
            Fernet(key)
        except ValueError:
            which = f"key {position} of {name}" if len(keys) > 1 else name
            raise ImproperlyConfigured(f"{which} is no encryption key; it must be {what}.") from None
    if not keys:
        raise ImproperlyConfigured(f"{name} holds no key; it must be {what}.")
    return keys


def _shared(name: str, what: str, *, embedded: bool) -> str:
    """NAME, which may be empty in the embedded default only."""
    value = from_file_or_environment(name)
    if not value and not embedded:
        raise ImproperlyConfigured(
            f"{name} is not set. With DATABASE_URL set, several processes must share it: "
            f"set {name} (or {name}_FILE) to {what}."
        )
    return value


def check_secret(name: str, value: str) -> None:
    if (
        value.lower() in KNOWN_BAD_SECRETS
        or value.lower().startswith("django-insecure")
        or len(value) < SHORTEST_SECRET
    ):
        raise ImproperlyConfigured(
            f"{name} is a default or too short; use a random value of at least {SHORTEST_SECRET} characters."
        )


def generated_secret(path: Path, *, kind: str) -> str:
    """Reads the secret at `path`, creating it first if need be; safe when several processes start at once."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        value = Fernet.generate_key().decode() if kind == "fernet" else secrets.token_urlsafe(48)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(value)
        # link() fails if another process was first; then its secret is the one that counts.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text(encoding="utf-8").strip()
