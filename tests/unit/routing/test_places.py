"""Which endpoint a path names."""

import pytest

from routing.endpoints.places import OPERATIONS, USUAL, place_of

CHAT = "chat/completions"


@pytest.mark.parametrize("name", [*OPERATIONS, "models", "models/gpt-4o", "models/first/gpt-4o", "anything"])
@pytest.mark.parametrize("before", ["/v1/", "//v1/", "/v1//", "/v1/v1/", "/", "//", "/openai/", "/openai/v1/"])
@pytest.mark.parametrize("after", ["", "/"])
def test_every_spelling_of_an_address_means_the_same(before: str, name: str, after: str) -> None:
    assert place_of(before + name + after) == (name, "")


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_usual_paths_are_those_that_a_closer_look_finds(name: str) -> None:
    assert USUAL[f"/v1/{name}"] == place_of(f"/v1/{name}")


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/openai/deployments/gpt/chat/completions", (CHAT, "gpt")),
        ("/openai/deployments/gpt/completions", ("completions", "gpt")),
        ("/openai/deployments/gpt/embeddings/", ("embeddings", "gpt")),
        ("/openai//deployments/first/gpt/chat/completions", (CHAT, "first/gpt")),
        ("/openai/deployments/embeddings/embeddings", ("embeddings", "embeddings")),
        ("/v1/deployments/gpt/chat/completions", (CHAT, "gpt")),
        ("/deployments/gpt/chat/completions", (CHAT, "gpt")),
        ("/openai/deployments//chat/completions", (CHAT, "")),
        ("/openai/deployments/gpt/images/generations", ("deployments/gpt/images/generations", "")),
        ("/openai/deployments/gpt/responses", ("deployments/gpt/responses", "")),
        ("/openai/deployments/chat/completions/x", ("deployments/chat/completions/x", "")),
        ("/openai/deployments", ("deployments", "")),
        ("/v1", ("", "")),
        ("/v1/chat/completions/chat/completions", ("chat/completions/chat/completions", "")),
    ],
)
def test_a_path_of_azures_names_the_model(path: str, place: tuple[str, str]) -> None:
    assert place_of(path) == place
