"""The objects of Anthropic's Messages API as the demo knows them; every other field is refused, as there."""

from providers.demo.shapes import Field, Shape

VERSIONS = ("2023-06-01", "2026-10-21")
SAMPLING = ("temperature", "top_p", "top_k")
IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")

REQUEST: Shape = {
    "model": Field("string", required=True),
    "messages": Field("array", required=True),
    "max_tokens": Field("integer", required=True, low=0),
    "system": Field("text or parts"),
    "stop_sequences": Field("array"),
    "stream": Field("boolean"),
    "temperature": Field("number", low=0, high=1),
    "top_p": Field("number", low=0, high=1),
    "top_k": Field("integer", low=0),
    "tools": Field("array"),
    "tool_choice": Field("object"),
    "thinking": Field("object"),
    "output_config": Field("object"),
    "metadata": Field("object"),
    "service_tier": Field("string", choices=("auto", "standard_only")),
    "cache_control": Field("object"),
    "container": Field("any"),
    "context_management": Field("object"),
    "inference_geo": Field("string"),
    "speed": Field("string"),
}
COUNT_TOKENS: Shape = {name: field for name, field in REQUEST.items() if name not in ("max_tokens", "stream")}
MESSAGE: Shape = {
    "role": Field("string", required=True, choices=("user", "assistant", "system")),
    "content": Field("text or parts", required=True),
}
METADATA: Shape = {"user_id": Field("string")}
TOOL: Shape = {
    "name": Field("string", required=True),
    "input_schema": Field("object", required=True),
    "type": Field("string", choices=("custom",)),
    "description": Field("string"),
    "strict": Field("boolean"),
    "cache_control": Field("object"),
    "eager_input_streaming": Field("boolean"),
    "defer_loading": Field("boolean"),
    "input_examples": Field("array"),
}
TOOL_CHOICES: dict[str, Shape] = {
    "auto": {"disable_parallel_tool_use": Field("boolean")},
    "any": {"disable_parallel_tool_use": Field("boolean")},
    "none": {},
    "tool": {"name": Field("string", required=True), "disable_parallel_tool_use": Field("boolean")},
}
THINKING: dict[str, Shape] = {
    "adaptive": {"display": Field("string", choices=("summarized", "omitted"))},
    "enabled": {
        "budget_tokens": Field("integer", required=True, low=1024),
        "display": Field("string", choices=("summarized", "omitted")),
    },
    "disabled": {},
    "between_tools": {},
}
OUTPUT_CONFIG: Shape = {
    "effort": Field("string", choices=("low", "medium", "high", "xhigh", "max")),
    "format": Field("object"),
}
OUTPUT_FORMAT: dict[str, Shape] = {"json_schema": {"schema": Field("object", required=True)}}

_CACHED = {"cache_control": Field("object")}
BLOCKS: dict[str, Shape] = {
    "text": {"text": Field("string", required=True), "citations": Field("array"), **_CACHED},
    "image": {"source": Field("object", required=True), **_CACHED},
    "document": {
        "source": Field("object", required=True),
        "title": Field("string"),
        "context": Field("string"),
        "citations": Field("object"),
        **_CACHED,
    },
    "tool_use": {
        "id": Field("string", required=True),
        "name": Field("string", required=True),
        "input": Field("object", required=True),
        "caller": Field("object"),
        **_CACHED,
    },
    "tool_result": {
        "tool_use_id": Field("string", required=True),
        "content": Field("text or parts"),
        "is_error": Field("boolean"),
        **_CACHED,
    },
    "thinking": {"thinking": Field("string", required=True), "signature": Field("string", required=True)},
    "redacted_thinking": {"data": Field("string", required=True)},
    "tool_reference": {"tool_name": Field("string", required=True), **_CACHED},
}
BLOCKS_OF = {
    "user": ("text", "image", "document", "tool_result"),
    "assistant": ("text", "tool_use", "thinking", "redacted_thinking", "document"),
    "system": ("text",),
    "tool_result": ("text", "image", "document", "tool_reference"),
}
SOURCES: dict[str, Shape] = {
    "base64": {"media_type": Field("string", required=True), "data": Field("string", required=True)},
    "url": {"url": Field("string", required=True)},
    "file": {"file_id": Field("string", required=True)},
    "text": {"media_type": Field("string", required=True), "data": Field("string", required=True)},
    "content": {"content": Field("text or parts", required=True)},
}
REFUSED_KEYWORDS = frozenset(
    {"maxItems", "uniqueItems", "contains", "prefixItems", "minimum", "maximum", "exclusiveMinimum"}
    | {"exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minProperties", "maxProperties"}
    | {"patternProperties", "propertyNames", "dependentRequired", "dependentSchemas", "unevaluatedProperties"}
    | {"if", "then", "else", "not", "oneOf"}
)
