import orjson

from providers.adapters.model_list import read_model_list


def names(*rows: dict[str, str]) -> list[str]:
    return [model.id for model in read_model_list(orjson.dumps({"data": rows}))]


def test_googles_models_have_the_names_that_its_chats_are_called_with():
    assert names({"id": "models/gemini-2.5-flash", "owned_by": "google"}) == ["gemini-2.5-flash"]


def test_a_server_of_ones_own_may_have_a_folder_of_that_name():
    assert names({"id": "models/llama.gguf", "owned_by": "llamacpp"}) == ["models/llama.gguf"]
