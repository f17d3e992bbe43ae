"""The demo upstream speaks each dialect well enough for the vendor's own client, over a real socket."""

import asyncio
import base64
import json
import math
import struct

import anthropic
import cohere
import httpx
import openai
import pytest

from providers.demo import create_app
from providers.demo.cohere_dialect import PREAMBLE_TOKENS
from tests.upstreams.servers import run_asgi

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 3}, "note": {"type": "string"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
ARGUMENTS = {"city": "Lisbon", "days": 3}
QUESTION = [{"role": "user", "content": "What is the weather? 😀"}]
ANSWER = 'DEMO answer from demo-small: you asked "What is the weather? 😀".'
ANSWER_TOKENS = math.ceil(len(ANSWER.encode()) / 4)
QUESTION_TOKENS = math.ceil(len(QUESTION[0]["content"].encode()) / 4)
FUNCTION = {"name": "get_weather", "description": "Weather", "parameters": SCHEMA}
PIXEL = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n demo").decode()


@pytest.fixture(scope="module")
def openai_url():
    with run_asgi(create_app("openai")) as url:
        yield f"{url}/v1"


@pytest.fixture(scope="module")
def anthropic_url():
    with run_asgi(create_app("anthropic")) as url:
        yield url


@pytest.fixture(scope="module")
def cohere_url():
    with run_asgi(create_app("cohere")) as url:
        yield url


@pytest.fixture(scope="module")
def responses_url():
    with run_asgi(create_app("responses")) as url:
        yield f"{url}/v1"


@pytest.fixture
def openai_client(openai_url):
    with openai.OpenAI(base_url=openai_url, api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture
def anthropic_client(anthropic_url):
    with anthropic.Anthropic(base_url=anthropic_url, api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture
def cohere_client(cohere_url):
    with httpx.Client() as transport:
        yield cohere.ClientV2(api_key="any", base_url=cohere_url, httpx_client=transport)


@pytest.fixture
def responses_client(responses_url):
    with openai.OpenAI(base_url=responses_url, api_key="any", max_retries=0) as client:
        yield client


class TestOpenAI:
    def test_answers_a_chat(self, openai_client):
        answer = openai_client.chat.completions.create(model="demo-small", messages=QUESTION)
        assert answer.choices[0].message.content == ANSWER
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage.prompt_tokens == QUESTION_TOKENS
        assert answer.usage.completion_tokens == ANSWER_TOKENS
        assert answer.usage.total_tokens == QUESTION_TOKENS + ANSWER_TOKENS
        assert answer.usage.prompt_tokens_details.cached_tokens == 0
        assert answer._request_id.startswith("req_demo")

    @pytest.mark.parametrize("wanted", [True, False])
    def test_streams_a_chat_with_usage_only_when_asked(self, openai_client, wanted):
        more = {"stream_options": {"include_usage": True}} if wanted else {}
        chunks = list(openai_client.chat.completions.create(model="demo-small", messages=QUESTION, stream=True, **more))
        assert chunks[0].choices[0].delta.role == "assistant"
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert text == ANSWER
        assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
        if wanted:
            assert chunks[-1].choices == []
            assert chunks[-1].usage.completion_tokens == ANSWER_TOKENS
        else:
            assert all(chunk.usage is None and chunk.choices for chunk in chunks)

    def test_calls_a_tool_and_speaks_of_its_result(self, openai_client):
        tools = [{"type": "function", "function": FUNCTION}]
        with openai_client.chat.completions.stream(model="demo-small", messages=QUESTION, tools=tools) as stream:
            message = stream.get_final_completion().choices[0].message
        whole = openai_client.chat.completions.create(model="demo-small", messages=QUESTION, tools=tools).choices[0]
        assert whole.finish_reason == "tool_calls"
        assert whole.message.content is None
        for call in (message.tool_calls[0], whole.message.tool_calls[0]):
            assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", ARGUMENTS)
        history = [
            *QUESTION,
            whole.message.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": whole.message.tool_calls[0].id, "content": "sunny"},
        ]
        answer = openai_client.chat.completions.create(model="demo-small", messages=history, tools=tools)
        assert answer.choices[0].message.content == "DEMO answer from demo-small: the tool returned sunny"

    def test_honours_what_shapes_an_answer(self, openai_client):
        create = openai_client.chat.completions.create
        schema = {"type": "json_schema", "json_schema": {"name": "w", "schema": SCHEMA}}
        assert json.loads(_said(create(model="m", messages=QUESTION, response_format=schema))) == ARGUMENTS
        cut = create(model="demo-small", messages=QUESTION, max_tokens=3)
        assert (_said(cut), cut.choices[0].finish_reason) == (ANSWER[:12], "length")
        assert cut.usage.completion_tokens == 3
        assert _said(create(model="demo-small", messages=QUESTION, stop=["you", "from"])) == "DEMO answer "
        image = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
        seen = _said(create(model="m", messages=[{"role": "user", "content": image}]))
        assert seen.endswith("I received 1 image.")
        several = create(model="demo-small", messages=QUESTION, n=3, logprobs=True)
        assert [choice.index for choice in several.choices] == [0, 1, 2]
        assert several.usage.completion_tokens == 3 * ANSWER_TOKENS
        assert "".join(entry.token for entry in several.choices[0].logprobs.content) == ANSWER

    def test_completes_texts(self, openai_client):
        answer = openai_client.completions.create(model="demo-small", prompt=["a", "b"], max_tokens=100)
        assert [choice.text for choice in answer.choices] == [
            f'DEMO answer from demo-small: you asked "{prompt}".' for prompt in "ab"
        ]
        stream = openai_client.completions.create(model="demo-small", prompt="a", stream=True)
        assert "".join(chunk.choices[0].text for chunk in stream) == answer.choices[0].text

    def test_embeds_the_same_text_the_same_way_in_both_encodings(self, openai_client):
        packed = openai_client.embeddings.create(model="demo-embedding", input=["a", "b", "a"])
        plain = openai_client.embeddings.create(model="demo-embedding", input="a", encoding_format="float")
        vectors = [entry.embedding for entry in packed.data]
        assert list(struct.unpack("<256f", struct.pack("<256f", *vectors[0]))) == plain.data[0].embedding
        assert vectors[0] == vectors[2] != vectors[1]
        assert math.isclose(math.hypot(*vectors[0]), 1, rel_tol=1e-6)
        short = openai_client.embeddings.create(model="demo-embedding", input="a", dimensions=8)
        assert len(short.data[0].embedding) == 8

    def test_lists_its_models(self, openai_client):
        names = [entry.id for entry in openai_client.models.list()]
        assert names == ["demo-small", "demo-large", "demo-embedding"]
        assert openai_client.models.retrieve("demo-large").id == "demo-large"
        with pytest.raises(openai.NotFoundError):
            openai_client.models.retrieve("other/model")

    async def test_serves_the_asynchronous_client(self, openai_url):
        async with openai.AsyncOpenAI(base_url=openai_url, api_key="any", max_retries=0) as client:
            asked = {"model": "demo-small", "messages": QUESTION}
            answer, stream = await asyncio.gather(
                client.chat.completions.create(**asked), client.chat.completions.create(**asked, stream=True)
            )
            assert _said(answer) == ANSWER
            assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == ANSWER

    @pytest.mark.parametrize("version", ["2024-10-21", None])
    def test_stands_in_for_azure(self, openai_url, version):
        host = openai_url.removesuffix("/v1")
        if version is None:
            client = openai.OpenAI(base_url=f"{host}/openai/v1", api_key="any", max_retries=0)
        else:
            client = openai.AzureOpenAI(azure_endpoint=host, api_version=version, api_key="any", max_retries=0)
        with client:
            assert _said(client.chat.completions.create(model="demo-small", messages=QUESTION)) == ANSWER

    def test_refuses_as_the_service_does(self, openai_client):
        with pytest.raises(openai.BadRequestError) as refused:
            openai_client.chat.completions.create(model="demo-small", messages=[], temperature=3)
        assert (refused.value.param, refused.value.code) == ("messages", "empty_array")
        long = [{"role": "user", "content": "word " * 8000}]
        with pytest.raises(openai.BadRequestError) as refused:
            openai_client.chat.completions.create(model="demo-small", messages=long)
        assert refused.value.code == "context_length_exceeded"


def _said(answer):
    return answer.choices[0].message.content


class TestAnthropic:
    ASKED = {"model": "demo-small", "max_tokens": 2000, "messages": QUESTION}
    TOOLS = [{"name": "get_weather", "description": "Weather", "input_schema": SCHEMA}]

    def test_answers_a_message(self, anthropic_client):
        message = anthropic_client.messages.create(**self.ASKED)
        assert message.content[0].text == ANSWER
        assert message.stop_reason == "end_turn"
        assert (message.usage.input_tokens, message.usage.output_tokens) == (QUESTION_TOKENS, ANSWER_TOKENS)
        assert message._request_id.startswith("req_demo")

    def test_streams_a_message(self, anthropic_client):
        with anthropic_client.messages.stream(**self.ASKED) as stream:
            assert "".join(stream.text_stream) == ANSWER
            final = stream.get_final_message()
        assert final.usage.output_tokens == ANSWER_TOKENS
        assert final.usage.input_tokens == QUESTION_TOKENS

    def test_thinks_and_takes_its_own_thinking_back(self, anthropic_client):
        thinking = {"type": "enabled", "budget_tokens": 1024}
        with anthropic_client.messages.stream(**self.ASKED, thinking=thinking) as stream:
            final = stream.get_final_message()
        assert [block.type for block in final.content] == ["thinking", "text"]
        assert final.usage.output_tokens == ANSWER_TOKENS + final.usage.output_tokens_details.thinking_tokens
        again = [*QUESTION, {"role": "assistant", "content": _dumped(final)}, *QUESTION]
        anthropic_client.messages.create(**{**self.ASKED, "messages": again})
        again[1]["content"][0]["signature"] = "c2lnbmVkIGVsc2V3aGVyZQ=="
        with pytest.raises(anthropic.BadRequestError, match="Invalid `signature`"):
            anthropic_client.messages.create(**{**self.ASKED, "messages": again})

    def test_calls_a_tool_and_speaks_of_its_result(self, anthropic_client):
        with anthropic_client.messages.stream(**self.ASKED, tools=self.TOOLS) as stream:
            called = stream.get_final_message()
        assert called.stop_reason == "tool_use"
        assert (called.content[0].name, called.content[0].input) == ("get_weather", ARGUMENTS)
        result = {"type": "tool_result", "tool_use_id": called.content[0].id, "content": "sunny"}
        history = [*QUESTION, {"role": "assistant", "content": _dumped(called)}, {"role": "user", "content": [result]}]
        answer = anthropic_client.messages.create(**{**self.ASKED, "messages": history}, tools=self.TOOLS)
        assert answer.content[0].text.endswith("the tool returned sunny")

    def test_answers_in_the_schema_asked_for(self, anthropic_client):
        schema = {**SCHEMA, "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
        wanted = {"format": {"type": "json_schema", "schema": schema}}
        message = anthropic_client.messages.create(**self.ASKED, output_config=wanted)
        assert json.loads(message.content[0].text).keys() == {"city", "days"}

    def test_counts_tokens_and_lists_models(self, anthropic_client):
        counted = anthropic_client.messages.count_tokens(model="demo-small", messages=QUESTION)
        assert counted.input_tokens == QUESTION_TOKENS
        assert [entry.id for entry in anthropic_client.models.list()] == ["demo-small", "demo-large"]

    async def test_serves_the_asynchronous_client(self, anthropic_url):
        async with anthropic.AsyncAnthropic(base_url=anthropic_url, api_key="any", max_retries=0) as client:
            assert (await client.messages.create(**self.ASKED)).content[0].text == ANSWER
            async with client.messages.stream(**self.ASKED) as stream:
                assert "".join([text async for text in stream.text_stream]) == ANSWER

    def test_refuses_as_the_service_does(self, anthropic_client):
        prefilled = [*QUESTION, {"role": "assistant", "content": "The"}]
        long = [{"role": "user", "content": "word " * 8000}]
        with pytest.raises(anthropic.BadRequestError, match="prefill") as refused:
            anthropic_client.messages.create(**{**self.ASKED, "messages": prefilled})
        assert refused.value.request_id.startswith("req_demo")
        with pytest.raises(anthropic.BadRequestError, match=r"prompt is too long: \d+ tokens > 8192 maximum"):
            anthropic_client.messages.create(**{**self.ASKED, "messages": long})
        with pytest.raises(anthropic.NotFoundError):
            anthropic_client.models.retrieve("other")


def _dumped(message):
    return [block.model_dump(exclude_none=True, exclude={"parsed_output"}) for block in message.content]


class TestCohere:
    ASKED = {"model": "demo-small", "messages": QUESTION}
    TOOLS = [{"type": "function", "function": FUNCTION}]

    def test_answers_a_chat(self, cohere_client):
        answer = cohere_client.chat(**self.ASKED)
        assert answer.message.content[0].text == ANSWER
        assert answer.finish_reason == "COMPLETE"
        billed, read = answer.usage.billed_units, answer.usage.tokens
        assert (billed.input_tokens, billed.output_tokens) == (QUESTION_TOKENS, ANSWER_TOKENS)
        # With the preamble, which is not charged.
        assert (read.input_tokens, read.output_tokens) == (QUESTION_TOKENS + PREAMBLE_TOKENS, ANSWER_TOKENS)

    def test_streams_a_chat(self, cohere_client):
        events = list(cohere_client.chat_stream(**self.ASKED))
        assert [events[0].type, events[-1].type] == ["message-start", "message-end"]
        text = "".join(entry.delta.message.content.text for entry in events if entry.type == "content-delta")
        assert text == ANSWER
        assert events[-1].delta.usage.tokens.output_tokens == ANSWER_TOKENS

    def test_calls_a_tool_and_speaks_of_its_result(self, cohere_client):
        called = cohere_client.chat(**self.ASKED, tools=self.TOOLS)
        assert called.finish_reason == "TOOL_CALL"
        call = called.message.tool_calls[0]
        assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", ARGUMENTS)
        events = list(cohere_client.chat_stream(**self.ASKED, tools=self.TOOLS))
        pieces = [entry.delta.message.tool_calls for entry in events if entry.type == "tool-call-delta"]
        assert json.loads("".join(piece.function.arguments for piece in pieces)) == ARGUMENTS
        history = [
            *QUESTION,
            called.message.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
        ]
        answer = cohere_client.chat(model="demo-small", messages=history, tools=self.TOOLS)
        assert answer.message.content[0].text.endswith("the tool returned sunny")

    def test_embeds_texts(self, cohere_client):
        asked = {"model": "demo-embedding", "texts": ["a", "b"], "input_type": "search_query"}
        answer = cohere_client.embed(**asked, embedding_types=["float", "int8", "base64"])
        assert math.isclose(math.hypot(*answer.embeddings.float_[0]), 1, rel_tol=1e-6)
        assert max(map(abs, answer.embeddings.int8[1])) == 127
        assert base64.b64decode(answer.embeddings.base64[0]) == struct.pack("<256f", *answer.embeddings.float_[0])

    def test_lists_its_models(self, cohere_client):
        assert [entry.name for entry in cohere_client.models.list(endpoint="embed").models] == ["demo-embedding"]

    async def test_serves_the_asynchronous_client(self, cohere_url):
        async with httpx.AsyncClient() as transport:
            client = cohere.AsyncClientV2(api_key="any", base_url=cohere_url, httpx_client=transport)
            assert (await client.chat(**self.ASKED)).message.content[0].text == ANSWER
            kinds = [entry.type async for entry in client.chat_stream(**self.ASKED)]
            assert kinds[-1] == "message-end"

    def test_refuses_as_the_service_does(self, cohere_client):
        with pytest.raises(cohere.BadRequestError) as refused:
            cohere_client.chat(**self.ASKED, temperature=1.2)
        assert refused.value.body["message"] == "temperature must be between 0 and 1.0 inclusive"
        with pytest.raises(cohere.BadRequestError) as refused:
            cohere_client.chat(model="demo-small", messages=[{"role": "user", "content": "word " * 8000}])
        assert refused.value.body["message"].startswith("too many tokens:")


class TestResponses:
    ASKED = {"model": "demo-small", "input": QUESTION[0]["content"]}
    TOOLS = [{"type": "function", **FUNCTION}]

    def test_answers(self, responses_client):
        response = responses_client.responses.create(**self.ASKED)
        assert response.output_text == ANSWER
        assert response.status == "completed"
        assert (response.usage.input_tokens, response.usage.output_tokens) == (QUESTION_TOKENS, ANSWER_TOKENS)

    def test_streams(self, responses_client):
        with responses_client.responses.stream(**self.ASKED) as stream:
            events = list(stream)
            assert stream.get_final_response().output_text == ANSWER
        assert "".join(entry.delta for entry in events if entry.type == "response.output_text.delta") == ANSWER
        assert events[-1].type == "response.completed"

    def test_says_when_it_was_cut(self, responses_client):
        cut = responses_client.responses.create(**self.ASKED, max_output_tokens=3)
        assert (cut.output_text, cut.status) == (ANSWER[:12], "incomplete")
        assert cut.incomplete_details.reason == "max_output_tokens"

    def test_calls_a_tool_and_speaks_of_its_result(self, responses_client):
        with responses_client.responses.stream(**self.ASKED, tools=self.TOOLS) as stream:
            for _ in stream:
                pass
            call = stream.get_final_response().output[0]
        assert (call.name, json.loads(call.arguments)) == ("get_weather", ARGUMENTS)
        history = [
            {"type": "message", **QUESTION[0]},
            {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments},
            {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"},
        ]
        answer = responses_client.responses.create(model="demo-small", input=history, tools=self.TOOLS)
        assert answer.output_text.endswith("the tool returned sunny")

    def test_cites_when_it_searches(self, responses_client):
        response = responses_client.responses.create(**self.ASKED, tools=[{"type": "web_search"}])
        assert [item.type for item in response.output] == ["search_results", "message"]
        assert response.output[1].content[0].annotations[0].url == "https://example.com/demo"

    async def test_serves_the_asynchronous_client(self, responses_url):
        async with openai.AsyncOpenAI(base_url=responses_url, api_key="any", max_retries=0) as client:
            assert (await client.responses.create(**self.ASKED)).output_text == ANSWER
            events = [entry async for entry in await client.responses.create(**self.ASKED, stream=True)]
            assert [entry.sequence_number for entry in events] == list(range(len(events)))

    @pytest.mark.parametrize(
        "wrong", [{"metadata": {"a": "b"}}, {"input": [{"role": "user", "content": "hi"}]}, {"top_p": 2}]
    )
    def test_refuses_what_the_agent_api_does_not_know(self, responses_client, wrong):
        with pytest.raises(openai.BadRequestError):
            responses_client.responses.create(**{**self.ASKED, **wrong})
