"""What providers, credentials and deployments may hold beside what `rows.bounds` says of every row. Pure."""

import re
from typing import Final

from rows.bounds import NOT_SEEN

SHORTEST_S: Final = 0.001
LONGEST_S: Final = 86_400.0
LONGEST_RETRY_DELAY_S: Final = 60.0
MOST_ATTEMPTS: Final = 20
MOST_CONNECTIONS: Final = 100_000
LONGEST_HEADER_NAME: Final = 100
LONGEST_HEADER: Final = 4000
LONGEST_SECRET: Final = 8192

OWN_SECRETS: Final = frozenset(
    {
        "DATABASE_URL",
        # The driver's own, for an address without a password; docker/compose.yaml uses it.
        "PGPASSWORD",
        "REDIS_URL",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "PROXY_API_SECRET_KEY",
        "PROXY_API_ENCRYPTION_KEYS",
        "PROXY_API_METRICS_TOKEN",
        # PROXY_API_ENV_FILE is the file that all of these may stand in.
        "PROXY_API_ENV",
    }
)
"""Variables that nothing may name whose value is sent somewhere: whoever names them also chooses the address."""

MODEL_NAME: Final = re.compile(rf"[^\s{NOT_SEEN}]{{1,200}}")


def is_own_secret(variable: str) -> bool:
    return variable.upper().removesuffix("_FILE") in OWN_SECRETS


def is_model_name(text: object) -> bool:
    return isinstance(text, str) and MODEL_NAME.fullmatch(text) is not None
