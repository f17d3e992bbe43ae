"""The body of `POST /v1/responses` to the body of a chat completion. Pure.

What only a store of responses could do, or no chat completion can carry, is refused by name. A field that is not known
here goes on as it is, as those of a chat do.
"""

from collections.abc import Callable
from typing import Any, NoReturn

from providers.dialects.openai_chat import fields
from providers.dialects.openai_chat.messages import encode_message
from providers.dialects.openai_responses.items import decode_items
from providers.dialects.openai_responses.request import ENCRYPTED_REASONING, LOGPROBS
from providers.dialects.served_chat import SEVERAL, refuse_fields_of_chats, renamed
from providers.dialects.served_responses.added_tools import without_searches
from providers.dialects.served_responses.input_items import WHO_DOES, check_input
from providers.dialects.served_responses.namespaces import flat_input
from providers.dialects.served_responses.tools import chat_tool_choice, chat_tools, check_tools, search_options
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
SAME = ("temperature", "top_p", "user", "service_tier", "safety_identifier", "prompt_cache_key")
OF_CLIENTS = frozenset({"client_metadata"})
"""What Codex says of its session: OpenAI's chat completions refuse it, as any field that they do not know."""
TRANSLATED = frozenset({*CHECKS, *REFUSED, *SEVERAL, *OF_CLIENTS, "input", "tools", "tool_choice"})


def to_chat(body: JsonObject) -> JsonObject:
    """Raises `ClientFault` naming the field."""
    _refuse(body)
    _check_fields(body)
    check_input(body.get("input"))
    check_tools(body)
    if not body["model"]:
        raise ClientFault("'model' is required.", param="model")
    chat: JsonObject = {"model": body["model"], "messages": _messages(body)}
    text, reasoning = body.get("text") or {}, body.get("reasoning") or {}
    chat |= fields.present(
        tools=chat_tools(body) or None,
        response_format=_response_format(text.get("format")),
        max_completion_tokens=body.get("max_output_tokens"),
        reasoning_effort=reasoning.get("effort"),
        reasoning_summary=reasoning.get("summary") or reasoning.get("generate_summary"),
        verbosity=text.get("verbosity"),
        tool_choice=chat_tool_choice(body),
        web_search_options=search_options(body),
        **{name: body.get(name) for name in SAME},
        **_logprobs(body),
    )
    if "tools" in chat:
        chat |= fields.present(parallel_tool_calls=body.get("parallel_tool_calls"))
    if body.get("stream"):
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    return chat | {name: value for name, value in body.items() if name not in TRANSLATED and value is not None}


def _messages(body: JsonObject) -> list[JsonObject]:
    instructions, given = body.get("instructions"), flat_input(without_searches(body["input"]))
    messages = [] if instructions is None else [{"role": "system", "content": instructions}]
    if isinstance(given, str):
        return [*messages, {"role": "user", "content": given}]
    return messages + [encode_message(message) for message in decode_items(given)]


def _logprobs(body: JsonObject) -> JsonObject:
    """Wanted by name or by their number."""
    top = body.get("top_logprobs")
    if not top and LOGPROBS not in (body.get("include") or ()):
        return {}
    return {"logprobs": True, "top_logprobs": top}


def _response_format(wanted: JsonObject | None) -> JsonObject | None:
    """Chat nests the schema below `json_schema`. Plain text is what is answered anyway."""
    if wanted is None or wanted["type"] == "text":
        return None
    if wanted["type"] == "json_object":
        return {"type": "json_object"}
    names = ("name", "description", "schema", "strict")
    return {"type": "json_schema", "json_schema": fields.present(**{name: wanted.get(name) for name in names})}


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
