"""Which endpoint a path names, however a client put its address together. Pure.

`/v1/NAME` is how it should be. Clients made for Azure OpenAI write `/openai/deployments/MODEL/NAME`, `/openai/NAME` or
`/openai/v1/NAME`; others double a slash or the `/v1`, or leave it out. Each of these can mean one thing only.
"""

from typing import NamedTuple

from providers.types import Operation

RESPONSES, MESSAGES = "responses", "messages"
"""Chats with another front: what their endpoints are called in records, too."""
COUNT_TOKENS = f"{MESSAGES}/count_tokens"
MODELS = "models"
OPERATIONS = {operation.value: operation for operation in Operation} | dict.fromkeys(
    (RESPONSES, MESSAGES), Operation.CHAT
)
BEFORE = ("v1", "openai")
DEPLOYMENTS = "deployments"
FIRST_PARTS = frozenset({*BEFORE, DEPLOYMENTS, MODELS, *(name.split("/")[0] for name in OPERATIONS)})
"""Nothing else of the site begins with these."""
BASE_URL = "A client's base_url is this gateway's address and /v1, and nothing else."
"""For those that ask where nothing is."""


class Place(NamedTuple):
    endpoint: str
    """What stands below `/v1/`, also where nothing is served."""
    deployment: str
    """The model that the path names; empty where the body does."""


USUAL = {f"/v1/{name}": Place(name, "") for name in OPERATIONS}
"""Paths as they should be, which need no closer look."""


def is_of_data_plane(path: str) -> bool:
    return path.lstrip("/").partition("/")[0] in FIRST_PARTS


def place_of(path: str) -> Place:
    parts = [part for part in path.split("/") if part]
    while parts and parts[0] in BEFORE:
        parts.pop(0)
    endpoint = "/".join(parts)
    if parts and parts[0] == DEPLOYMENTS:
        # Names of models have slashes, too. The operations come with the longest ending of each first.
        for operation in Operation:
            if endpoint.endswith(f"/{operation.value}"):
                return Place(operation.value, "/".join(parts[1 : -operation.value.count("/") - 1]))
    return Place(endpoint, "")
