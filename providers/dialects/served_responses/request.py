"""The body of `POST /v1/responses` to the body of a chat completion. Pure.

What only a store of responses could do, or no chat completion can carry, is refused by name. A field that is not known
here goes on as it is, as those of a chat do.
"""

from collections.abc import Callable
from typing import Any, NoReturn

from providers.dialects.openai_chat import encode_request, fields
from providers.dialects.openai_responses.request import ENCRYPTED_REASONING, LOGPROBS, decode_request
from providers.dialects.served_chat import SEVERAL, refuse_fields_of_chats, renamed
from providers.dialects.served_responses.added_tools import without_searches
from providers.dialects.served_responses.input_items import WHO_DOES, check_input
from providers.dialects.served_responses.namespaces import flat_input
from providers.dialects.served_responses.tools import chat_tool_choice, check_tools, own_tools, search_options
from providers.errors import ClientFault
from providers.types import JsonObject

KEPT = "it would have to be stored, and responses are not stored here"
SEND_ALL = f"send the whole conversation as 'input', as {WHO_DOES}"
REFUSED = {
    "previous_response_id": f"{KEPT}: {SEND_ALL}",
    "conversation": f"{KEPT}: {SEND_ALL}",
    "background": f"{KEPT}: wait for the answer, or stream it",
    "prompt": "prompts are not stored here: send its text",
    "context_management": "it is not served here",
    "max_tool_calls": "it limits tools that the provider runs, which are not counted here",
}
MOVED = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "n_predict": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
    "functions": "tools",
    "function_call": "tool_choice",
    "logprobs": "include",
}
"""What chat completions call a field, and where it is here."""
MOST_TOP_LOGPROBS = 20
TRUNCATIONS = ("auto", "disabled")
REASONING = frozenset({"effort", "summary", "generate_summary", "context"})
"""`context` says which of the earlier turns' reasoning the model sees again: what a provider makes of it is its own here."""
FORMATS = ("text", "json_object", "json_schema")
STREAM_OPTIONS = frozenset({"include_obfuscation"})
INCLUDABLE = frozenset(
    {
        "file_search_call.results", "web_search_call.results", "web_search_call.action.sources",
        "message.input_image.image_url", "computer_call_output.output.image_url", "code_interpreter_call.outputs",
        ENCRYPTED_REASONING, LOGPROBS,
    }
)  # fmt: skip
"""All but the last ask for parts of what occurs in no answer here, or is in it anyway."""

CHECKS: dict[str, Callable[[JsonObject, str], Any]] = {
    "model": fields.required_text,
    "instructions": fields.text,
    "max_output_tokens": fields.integer,
    "temperature": fields.number,
    "top_p": fields.number,
    "top_logprobs": fields.integer,
    "parallel_tool_calls": fields.flag,
    "text": fields.mapping,
    "reasoning": fields.mapping,
    "include": fields.texts,
    "stream": fields.flag,
    "stream_options": fields.mapping,
    "store": fields.flag,
    "metadata": fields.mapping,
    "user": fields.text,
    "safety_identifier": fields.text,
    "prompt_cache_key": fields.text,
    "service_tier": fields.text,
    "truncation": fields.text,
}
SAME = ("safety_identifier", "prompt_cache_key")
"""Fields of both APIs that `decode_request` passes on."""
OF_CLIENTS = frozenset({"client_metadata"})
"""What Codex says of its session: OpenAI's chat completions refuse it, as any field that they do not know."""
TRANSLATED = frozenset({*CHECKS, *REFUSED, *SEVERAL, *OF_CLIENTS, "input", "tools", "tool_choice"})
ASKED_OF_CHAT = (
    "model", "instructions", "max_output_tokens", "temperature", "top_p", "user", "service_tier", "stream", *SAME,
)  # fmt: skip


def to_chat(body: JsonObject) -> JsonObject:
    """Raises `ClientFault` naming the field."""
    _refuse(body)
    _check_fields(body)
    check_input(body.get("input"))
    check_tools(body)
    asked: JsonObject = {name: body[name] for name in ASKED_OF_CHAT if name in body}
    asked |= {"input": flat_input(without_searches(body["input"])), "tools": own_tools(body), **_told_how(body)}
    chat = encode_request(decode_request(asked))
    reasoning = body.get("reasoning") or {}
    chat |= fields.present(
        tool_choice=chat_tool_choice(body),
        web_search_options=search_options(body),
        reasoning_summary=reasoning.get("summary") or reasoning.get("generate_summary"),
    )
    if chat.get("tools"):
        chat |= fields.present(parallel_tool_calls=body.get("parallel_tool_calls"))
    unknown = {name: value for name, value in body.items() if name not in TRANSLATED and value is not None}
    return chat | unknown


def _told_how(body: JsonObject) -> JsonObject:
    """How the answer is to be made and written."""
    told: JsonObject = {}
    if LOGPROBS in (body.get("include") or ()):
        told["include"] = [LOGPROBS]
    if body.get("top_logprobs") or told:
        told["top_logprobs"] = body.get("top_logprobs")
    effort = (body.get("reasoning") or {}).get("effort")
    if effort is not None:
        told["reasoning"] = {"effort": effort}
    text = body.get("text") or {}
    wanted = text.get("format")
    is_plain = wanted is None or wanted["type"] == "text"
    told["text"] = fields.present(verbosity=text.get("verbosity"), format=None if is_plain else wanted)
    return told


def _refuse(body: JsonObject) -> None:
    for name, why in REFUSED.items():
        if body.get(name):
            raise ClientFault(f"'{name}' is not supported: {why}.", param=name, code="unsupported_parameter")
    refuse_fields_of_chats(body, MOVED, api="Responses", answer="a response has one answer")


def _check_fields(body: JsonObject) -> None:
    for name, check in CHECKS.items():
        check(body, name)
    limit, top = body.get("max_output_tokens"), body.get("top_logprobs")
    if limit is not None and limit < 1:
        fields.refuse("max_output_tokens", "an integer of at least 1")
    if top is not None and not 0 <= top <= MOST_TOP_LOGPROBS:
        fields.refuse("top_logprobs", f"an integer from 0 to {MOST_TOP_LOGPROBS}")
    if body.get("truncation") not in (None, *TRUNCATIONS):
        fields.refuse("truncation", f"one of {', '.join(TRUNCATIONS)}")
    for name in fields.texts(body, "include"):
        if name not in INCLUDABLE:
            fields.refuse("include", f"an array of {', '.join(sorted(INCLUDABLE))}")
    _check_reasoning(body.get("reasoning") or {})
    _check_text(body.get("text") or {})
    if body.get("stream_options") and not body.get("stream"):
        message = "'stream_options' is only allowed when 'stream' is true."
        raise ClientFault(message, param="stream_options")
    _only_known(body.get("stream_options") or {}, STREAM_OPTIONS, "stream_options")


def _only_known(given: JsonObject, known: frozenset[str], where: str) -> None:
    for name, value in given.items():
        if name not in known and value is not None:
            _unsupported(f"{where}.{name}")


def _unsupported(param: str) -> NoReturn:
    raise ClientFault(f"'{param}' is not supported here.", param=param, code="unsupported_parameter")


def _check_reasoning(reasoning: JsonObject) -> None:
    _only_known(reasoning, REASONING, "reasoning")
    for name in sorted(REASONING):
        fields.text(reasoning, name, "reasoning.")


def _check_text(text: JsonObject) -> None:
    _only_known(text, frozenset({"format", "verbosity"}), "text")
    fields.text(text, "verbosity", "text.")
    wanted = fields.mapping(text, "format", "text.")
    if wanted is None:
        return
    where = "text.format."
    if fields.required_text(wanted, "type", where) not in FORMATS:
        fields.refuse("text.format.type", f"one of {', '.join(FORMATS)}")
    if wanted["type"] == "json_schema":
        fields.required_text(wanted, "name", where)
        fields.required_mapping(wanted, "schema", where)
        fields.text(wanted, "description", where)
        fields.flag(wanted, "strict", where)


NAMES = {chat: here for chat, here in MOVED.items() if chat != "logprobs"} | {
    "web_search_options": "tools",
    "reasoning_summary": "reasoning.summary",
}


def name_of_field(param: str | None) -> str | None:
    return renamed(param, NAMES)
