"""What of a message reaches whom, by model and host."""

from dataclasses import replace

import pytest

from providers.adapters.asked_as_message import as_chat
from providers.dialects.served_messages import to_chat
from providers.transport import Endpoint
from tests.unit.routing.pools import deployment

ASKED = to_chat(
    {
        "model": "m",
        "max_tokens": 32_000,
        "messages": [{"role": "user", "content": "Hi"}, {"role": "system", "content": "Be nice."}],
    }
)


@pytest.mark.parametrize(
    ("model", "known", "sent"),
    [
        ("gpt-4o", None, 16_384), ("gpt-4o-mini-2024-07-18", None, 16_384), ("gpt-4o-2024-05-13", None, 4096),
        ("openai/gpt-4.1-nano", None, 32_000), ("gpt-5.1", None, 32_000), ("gpt-4o", 9, 9), ("llama", 100_000, 32_000),
    ],
)  # fmt: skip
def test_the_limit_is_the_models_where_that_is_lower(model: str, known: int | None, sent: int) -> None:
    to = replace(deployment(), upstream_model=model, max_output_tokens=known)
    assert as_chat(ASKED, to)["max_tokens"] == sent


@pytest.mark.parametrize(
    ("host", "roles"),
    [("api.openai.com", ["user", "system"]), ("us.openai.azure.com", ["user", "system"]), ("vllm.example", ["user"])],
)
def test_instructions_stay_in_their_place_where_they_are_understood(host: str, roles: list[str]) -> None:
    to = deployment()
    to = replace(to, provider=replace(to.provider, endpoint=Endpoint(scheme="https", host=host, port=443)))
    assert [each["role"] for each in as_chat(ASKED, to)["messages"]] == roles
