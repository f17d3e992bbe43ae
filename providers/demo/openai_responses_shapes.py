"""The objects of OpenAI's Responses API as the demo knows them; every other field is refused, as there."""

from providers.demo.shapes import Field, Shape

ENCRYPTED_REASONING = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"
INCLUDABLE = (
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    ENCRYPTED_REASONING,
    LOGPROBS,
)
MOVED = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
}
"""What chat completions call a field, and where it is here: the service says so itself."""

REQUEST: Shape = {
    "model": Field("string", required=True),
    "input": Field("text or parts"),
    "instructions": Field("string"),
    "max_output_tokens": Field("integer", low=16),
    "max_tool_calls": Field("integer", low=1),
    "temperature": Field("number", low=0, high=2),
    "top_p": Field("number", low=0, high=1),
    "top_logprobs": Field("integer", low=0, high=20),
    "tools": Field("array"),
    "tool_choice": Field("any"),
    "parallel_tool_calls": Field("boolean"),
    "text": Field("object"),
    "reasoning": Field("object"),
    "include": Field("array"),
    "stream": Field("boolean"),
    "stream_options": Field("object"),
    "store": Field("boolean"),
    "background": Field("boolean"),
    "previous_response_id": Field("string"),
    "conversation": Field("any"),
    "prompt": Field("object"),
    "truncation": Field("string", choices=("auto", "disabled")),
    "context_management": Field("array"),
    "metadata": Field("object"),
    "moderation": Field("object"),
    "user": Field("string"),
    "safety_identifier": Field("string"),
    "prompt_cache_key": Field("string"),
    "prompt_cache_options": Field("object"),
    "prompt_cache_retention": Field("string"),
    "service_tier": Field("string", choices=("auto", "default", "flex", "scale", "priority")),
}

_ITEM = {"id": Field("string"), "status": Field("string", choices=("in_progress", "completed", "incomplete"))}
_CALL_ID = {"call_id": Field("string", required=True)}
_NAME = {"name": Field("string", required=True)}
_OUTPUT = {"output": Field("text or parts", required=True)}
ITEMS: dict[str, Shape] = {
    "message": {
        "role": Field("string", required=True, choices=("user", "assistant", "system", "developer")),
        "content": Field("text or parts", required=True),
        **_ITEM,
    },
    "function_call": {**_CALL_ID, **_NAME, "arguments": Field("string", required=True), **_ITEM},
    "function_call_output": {**_CALL_ID, **_OUTPUT, **_ITEM},
    "custom_tool_call": {**_CALL_ID, **_NAME, "input": Field("string", required=True), **_ITEM},
    "custom_tool_call_output": {**_CALL_ID, **_OUTPUT, **_ITEM},
    "reasoning": {
        "summary": Field("array", required=True),
        "content": Field("array"),
        "encrypted_content": Field("string"),
        **_ITEM,
    },
    "web_search_call": {"action": Field("object"), **_ITEM},
    "item_reference": {"id": Field("string", required=True)},
}
ID_BEGINS = {
    "message": "msg",
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "reasoning": "rs",
    "web_search_call": "ws",
}
OUTPUT_OF = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}

PARTS: dict[str, Shape] = {
    "input_text": {"text": Field("string", required=True)},
    "input_image": {
        "image_url": Field("string"),
        "file_id": Field("string"),
        "detail": Field("string", choices=("low", "high", "auto", "original")),
    },
    "input_file": {name: Field("string") for name in ("file_data", "file_id", "file_url", "filename", "detail")},
    "output_text": {"text": Field("string", required=True), "annotations": Field("array"), "logprobs": Field("array")},
    "refusal": {"refusal": Field("string", required=True)},
}
INPUT_PARTS = ("input_text", "input_image", "input_file")
OUTPUT_PARTS = ("output_text", "refusal")
SUMMARY: dict[str, Shape] = {"summary_text": {"text": Field("string", required=True)}}

_SEARCH: Shape = {
    "filters": Field("object"),
    "search_context_size": Field("string", choices=("low", "medium", "high")),
    "user_location": Field("object"),
}
SEARCH_TOOLS = ("web_search", "web_search_preview")
TOOLS: dict[str, Shape] = {
    "function": {**_NAME, "description": Field("string"), "parameters": Field("object"), "strict": Field("boolean")},
    "custom": {**_NAME, "description": Field("string"), "format": Field("object")},
    **dict.fromkeys(SEARCH_TOOLS, _SEARCH),
}
REASONING: Shape = {
    "effort": Field("string", choices=("none", "minimal", "low", "medium", "high", "xhigh")),
    "summary": Field("string", choices=("auto", "concise", "detailed")),
    "context": Field("string"),
    "mode": Field("string"),
}
TEXT: Shape = {"format": Field("object"), "verbosity": Field("string", choices=("low", "medium", "high"))}
FORMATS: dict[str, Shape] = {
    "text": {},
    "json_object": {},
    "json_schema": {
        **_NAME,
        "schema": Field("object", required=True),
        "description": Field("string"),
        "strict": Field("boolean"),
    },
}
