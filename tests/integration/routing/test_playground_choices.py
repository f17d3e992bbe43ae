"""What the playground offers, and in which order."""

import pytest

from providers.models import Deployment, Provider
from routing.models import ModelAlias
from routing.playground import choices

pytestmark = pytest.mark.django_db


def test_what_does_not_chat_is_not_the_first_that_is_offered() -> None:
    provider = Provider.objects.create(name="p", kind="openai", base_url="http://127.0.0.1:9/v1", enabled=True)
    for name in ("an-embedding-model", "chat", "only-vectors"):
        capabilities = ["embeddings"] if name == "only-vectors" else []
        Deployment.objects.create(provider=provider, model=name, capabilities=capabilities)
    ModelAlias.objects.create(name="a-vectors", targets=["an-embedding-model"])
    ModelAlias.objects.create(name="b-chat", targets=["chat", "an-embedding-model"])
    offered = choices()
    assert [alias["name"] for alias in offered["aliases"]] == ["b-chat", "a-vectors"]
    assert [model["name"] for model in offered["models"]] == ["chat", "an-embedding-model"]
