"""Whether every item of `input` can be said in a chat completion. Pure.

`openai_responses.items` then reads them without another look.
"""

from typing import Any

from providers.dialects.openai_chat import fields
from providers.dialects.openai_responses.carried_reasoning import unpack
from providers.dialects.served_responses.added_tools import ADDED, BY_CLIENT, FOUND, SEARCH_CALL
from providers.errors import ClientFault
from providers.types import JsonObject

WHO_DOES = "frameworks do when told not to store ('store': false)"
"""Whoever reads the refusal uses one, and has written none of what is refused."""
ROLES = ("user", "assistant", "system", "developer")
OUTPUTS = ("function_call_output", "custom_tool_call_output")
SEARCHES = (SEARCH_CALL, FOUND)
ITEMS = ("message", "function_call", "custom_tool_call", *OUTPUTS, "reasoning", *SEARCHES, ADDED)


def check_input(given: Any) -> None:
    """Raises `ClientFault` naming the item."""
    if not given or not isinstance(given, str | list):
        raise ClientFault("'input' is required: a non-empty string or array of items.", param="input")
    for position, item in enumerate(given if isinstance(given, list) else ()):
        place = f"input[{position}]"
        if not isinstance(item, dict):
            fields.refuse(place, "an object")
        _check_item(item, f"{place}.")


def _check_item(item: JsonObject, where: str) -> None:
    kind = fields.text(item, "type", where) or "message"
    if kind == "item_reference":
        message = f"'{where}type' is 'item_reference', but responses are not stored here: send the item itself, as {WHO_DOES}."
        raise ClientFault(message, param=f"{where}type", code="unsupported_value")
    if kind not in ITEMS:
        message = f"'{where}type' is '{kind[:100]}'; items here are {', '.join(ITEMS)}."
        raise ClientFault(message, param=f"{where}type", code="unsupported_value")
    if kind == "message":
        _check_message(item, where)
    elif kind == "reasoning":
        unpack(item.get("encrypted_content"), where)
    elif kind in SEARCHES:
        _check_search(item, where)
    elif kind != ADDED:
        # Tools that an item brings are looked at with the others.
        _check_call(item, kind, where)


def _check_message(item: JsonObject, where: str) -> None:
    if fields.required_text(item, "role", where) not in ROLES:
        fields.refuse(f"{where}role", f"one of {', '.join(ROLES)}")
    _check_parts(item.get("content"), f"{where}content")


def _check_call(item: JsonObject, kind: str, where: str) -> None:
    if not fields.required_text(item, "call_id", where):
        fields.refuse(f"{where}call_id", "a string that is not empty")
    if kind in OUTPUTS:
        _check_parts(item.get("output"), f"{where}output")
        return
    fields.required_text(item, "name", where)
    fields.text(item, "namespace", where)
    fields.required_text(item, "input" if kind == "custom_tool_call" else "arguments", where)


def _check_search(item: JsonObject, where: str) -> None:
    """One that a provider ran has no `call_id`."""
    if item.get("execution") not in (None, BY_CLIENT):
        fields.refuse(f"{where}execution", f"'{BY_CLIENT}': providers search for no tools here")
    if not fields.required_text(item, "call_id", where):
        fields.refuse(f"{where}call_id", "a string that is not empty")


def _check_parts(content: Any, where: str) -> None:
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        fields.refuse(where, "a string or an array of parts")
    for position, part in enumerate(content):
        place = f"{where}[{position}]"
        if not isinstance(part, dict):
            fields.refuse(place, "an object")
        _check_part(part, f"{place}.")


def _check_part(part: JsonObject, where: str) -> None:
    kind = fields.required_text(part, "type", where)
    if kind in ("input_text", "output_text", "text"):
        fields.required_text(part, "text", where)
    elif kind == "refusal":
        fields.required_text(part, "refusal", where)
    elif kind == "input_image":
        _refuse_part(part, "file_id", where)
        fields.required_text(part, "image_url", where)
    elif kind == "input_file":
        _check_file(part, where)
    elif kind == "input_audio":
        fields.required_mapping(part, "input_audio", where)
    else:
        message = f"'{where}type' is '{kind[:100]}', which no chat completion can carry."
        raise ClientFault(message, param=f"{where}type", code="unsupported_value")


def _check_file(part: JsonObject, where: str) -> None:
    _refuse_part(part, "file_url", where)
    for name in ("file_data", "file_id", "filename"):
        fields.text(part, name, where)
    if not part.get("file_data") and not part.get("file_id"):
        fields.refuse(where + "file_data", "a string, where there is no 'file_id'")


def _refuse_part(part: JsonObject, name: str, where: str) -> None:
    if part.get(name):
        message = f"'{where}{name}' is not supported: a chat completion cannot carry it. Send the content itself."
        raise ClientFault(message, param=where + name, code="unsupported_parameter")
