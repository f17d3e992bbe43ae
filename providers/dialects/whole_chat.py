"""A complete chat answer, read for a front of another dialect. Pure."""

import orjson

from providers.dialects.upstream_errors import error_of_object
from providers.errors import BadAnswer
from providers.types import JsonObject


def whole_chat(body: bytes) -> JsonObject:
    """With a choice at least, and its message. Raises an `UpstreamError` for what is no answer."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadAnswer("The provider's answer is not JSON.") from None
    match answer:
        case {"choices": [{"message": dict()}, *_]}:
            return dict(answer)
        case {"error": error} if error:
            raise error_of_object(answer)
    raise BadAnswer("The provider's answer has no choices.")
