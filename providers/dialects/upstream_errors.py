"""Reads the error of any provider (a status with a body, or an object inside a 200) into `providers.errors`.

Bodies in the field: OpenAI's `{"error": {"message", "type", "param", "code"}}`, Anthropic's with `"type": "error"`,
flat `{"code", "error": "text"}` (xAI), `{"message"}` (Cohere), `{"statusCode", "message"}` (Azure's gateway),
`{"detail"}` (FastAPI), a list of any of these (Gemini), HTML, plain text, nothing. Codes may be numbers. Pure.

Whatever an upstream was sent it may quote. So what has consequences for others than the caller (a credential put aside)
follows from the status, from names that machines read, or from a sentence of the vendor's own at the very beginning of
the message; words elsewhere in it decide only about the caller's own request.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from providers import errors
from providers.dialects.google_errors import reason_in, wait_s_in
from providers.dialects.overflow import find_overflow
from providers.dialects.redaction import redact
from providers.dialects.retry_after import retry_after_s
from providers.dialects.validation_errors import complaints_in, first_field, told
from providers.errors import UpstreamError
from providers.lenient import an_object
from providers.types import JsonObject

_STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "authentication": 401,
    "billing_error": 402,
    "payment_required": 402,
    "permission_error": 403,
    "permission_denied": 403,
    "not_found_error": 404,
    "not_found": 404,
    "timeout_error": 504,
    "timeout": 504,
    "request_too_large": 413,
    "payload_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "requests": 429,
    "tokens": 429,
    "overloaded_error": 529,
    "provider_overloaded": 529,
    "provider_unavailable": 503,
    "api_error": 500,
    "server_error": 500,
    "server": 500,
    "invalid_request": 400,
    "invalid_prompt": 400,
    "unprocessable": 422,
    "the service is currently unavailable": 503,
    "client specified an invalid argument": 400,
}
PROXY_REFUSES = "A proxy on the way to the provider wants a user and a password that it knows (status 407)."
_CODE = re.compile(r"[A-Za-z0-9_.:/ \-]{1,64}")
_FIELD = re.compile(r"[A-Za-z0-9_.$\[\]\-]{1,128}")
_QUOTA_CODES = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "payment_required",
        "enforced_spend_limit_reached",
        "contract_spend_limit_reached",
        "ramp_limit_exceeded",
        "linked_organization_spend_limit_reached",
    }
)
_QUOTA_TEXTS = (
    "exceeded your current quota",
    "spend limit",
    "credit balance is too low",
    "calls / month",
    "out of credits",
)
"""Of a 429: no service looks into a request that it does not let in."""
_QUOTA_SENTENCE = re.compile(
    r"(?:you exceeded your current quota|your credit balance is too low(?: to access the \w+ api)?"
    r"|billing hard limit has been reached|you are out of credits)(?=$|[.,;!])",
    re.IGNORECASE,
)
_TOO_LARGE_SENTENCE = re.compile(r"request too large for \S+ ", re.IGNORECASE)
_FILTER_CODES = frozenset(
    {
        "content_filter",
        "content_policy_violation",
        "responsibleaipolicyviolation",
        "invalid_prompt",
        "refusal",
        "moderation_blocked",
        "bio_policy",
    }
)
_FILTER_TEXTS = (
    "content management policy",
    "content filtering policy",
    "rejected as a result of our safety system",
    "failed as a result of our safety system",
    "the model produced invalid content",
    "requires moderation",
)
_MODEL_CODES = frozenset({"model_not_found", "deploymentnotfound", "model_not_available"})
_MISSING_TEXTS = ("not found", "not exist", "no such", "unknown", "not available", "have access", "not a valid")
_REFUSED_MODEL_TEXTS = ("access to model", "access to the model", "access to this model", "sample from this model")
_KEY_SENTENCE = re.compile(
    r"(?:incorrect api key|invalid api key|invalid api token|invalid x-api-key|no api key"
    r"|api key not valid|api key not found|api key expired)(?: provided| supplied)?"
    r"(?:$|[.,;!]|: \S+(?:$| (?-i:[A-Z])))",
    re.IGNORECASE,
)
"""A colon is followed by the key and then by nothing or another sentence; `FIELD: what is wrong with it` is no match."""
_KEY_CODES = frozenset({"invalid_api_key", "api_key_invalid", "account_deactivated"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorFacts:
    """What an error body says. `code`, `type` and `error_type` are texts, `message` is already free of secrets."""

    status: int
    message: str
    code: str | None = None
    type: str | None = None
    param: str | None = None
    error_type: str | None = None
    structured: bool = False
    moderated: bool = False
    wait_s: float | None = None
    """What the body says of when to come back."""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def words(self) -> frozenset[str]:
        """Every machine-readable name the error carries, in lower case."""
        return frozenset(word.lower() for word in (self.code, self.type, self.error_type) if word)

    def says(self, phrases: tuple[str, ...]) -> bool:
        """Anywhere, so perhaps in what the message quotes of the request."""
        text = self.message.lower()
        return any(phrase in text for phrase in phrases)

    def begins(self, sentence: re.Pattern[str]) -> bool:
        """Whether the vendor says so itself: a quotation comes later, and an error with `param` is about a field."""
        return self.param is None and sentence.match(self.message.lstrip()) is not None


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """The error of an answer whose status is 300 or more."""
    return classify(read_facts(status, headers, body))


def error_of_object(value: JsonObject) -> UpstreamError:
    """The error in a 200: inside a stream, or instead of an answer. Its status is what its code or type stands for."""
    return classify(facts_of_object(200, {}, value))


def read_facts(status: int, headers: Mapping[str, str], body: bytes) -> ErrorFacts:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ErrorFacts(status=status, message=_plain_message(status, body), headers=headers)
    if isinstance(value, list):
        value = next((item for item in value if isinstance(item, dict)), {})
    if isinstance(value, str):
        value = {"message": value}
    return facts_of_object(status, headers, an_object(value))


def facts_of_object(status: int, headers: Mapping[str, str], value: JsonObject) -> ErrorFacts:
    nested = value.get("error")
    source = nested if isinstance(nested, dict) else value
    metadata = an_object(source.get("metadata"))
    details = an_object(source.get("details"))
    code = _text(details.get("error_code")) or _text(source.get("code"))
    kind = _text(source.get("type")) if source is nested or value.get("type") != "error" else None
    message = _message(value, nested, source, metadata)
    error_type = _text(metadata.get("error_type")) or reason_in(source.get("details"))
    if status == 200:
        status = _implied_status(code, kind, error_type)
    return ErrorFacts(
        status=status,
        message=redact(message or f"The provider answered with status {status}."),
        code=code,
        type=kind,
        param=_field_name(_text(source.get("param")) or first_field(complaints_in(value, source))),
        error_type=error_type,
        structured=True,
        moderated="flagged_input" in metadata or "reasons" in metadata,
        wait_s=wait_s_in(source.get("details")),
        headers=headers,
    )


def classify(facts: ErrorFacts) -> UpstreamError:
    """First what the words say, then what the status says."""
    return _by_words(facts) or _by_status(facts)


def _by_words(facts: ErrorFacts) -> UpstreamError | None:
    found = (judge(facts) for judge in (_overflow, _too_large_for_rate, _quota, _moderation, _key, _refused_model))
    return next((error for error in found if error is not None), None)


def _overflow(facts: ErrorFacts) -> UpstreamError | None:
    if facts.status >= 500:
        return None
    overflow = find_overflow(status=facts.status, code=facts.code, message=facts.message, error_type=facts.error_type)
    if overflow is None:
        return None
    return errors.ContextOverflow(
        facts.message,
        upstream_status=facts.status,
        limit_tokens=overflow.limit_tokens,
        requested_tokens=overflow.requested_tokens,
    )


def _too_large_for_rate(facts: ErrorFacts) -> UpstreamError | None:
    """Groq answers 413 to it and OpenAI 429."""
    if "rate_limit_exceeded" not in facts.words:
        return None
    if facts.status != 413 and not (facts.status == 429 and facts.begins(_TOO_LARGE_SENTENCE)):
        return None
    return errors.TooLargeForRate(facts.message, status=413, upstream_status=facts.status, code="request_too_large")


def _quota(facts: ErrorFacts) -> UpstreamError | None:
    """Gemini calls a limit per minute a quota, too, but says when it is over."""
    limited = facts.status == 429 and facts.wait_s is None and facts.says(_QUOTA_TEXTS)
    said = limited or _may_be_ours(facts, _QUOTA_SENTENCE)
    return quota_exhausted(facts) if said or facts.words & _QUOTA_CODES else None


def _may_be_ours(facts: ErrorFacts, sentence: re.Pattern[str]) -> bool:
    """Of the statuses by which some vendors refuse a credential and others a request."""
    return facts.status in (400, 403, 500) and facts.begins(sentence)


def _moderation(facts: ErrorFacts) -> UpstreamError | None:
    if facts.status not in (400, 403, 422, 498):
        return None
    if not (facts.words & _FILTER_CODES or facts.moderated or facts.says(_FILTER_TEXTS)):
        return None
    return errors.ContentFiltered(facts.message, upstream_status=facts.status, param=facts.param)


def _key(facts: ErrorFacts) -> UpstreamError | None:
    coded = facts.status in (400, 403, 500) and facts.words & _KEY_CODES
    return _credential_rejected(facts) if coded or _may_be_ours(facts, _KEY_SENTENCE) else None


def _refused_model(facts: ErrorFacts) -> UpstreamError | None:
    """A credential that may not use one model may use the others."""
    if facts.status not in (400, 403):
        return None
    coded = bool(facts.words & _MODEL_CODES)
    if facts.status == 403:
        coded = coded or facts.param == "model" or facts.says(_REFUSED_MODEL_TEXTS)
    return errors.ModelNotFound(facts.message, upstream_status=facts.status, param="model") if coded else None


def _by_status(facts: ErrorFacts) -> UpstreamError:
    status = facts.status
    if status == 402:
        return quota_exhausted(facts)
    if status == 401 or (status == 403 and facts.param is None):
        return _credential_rejected(facts)
    if status == 429:
        wait_s = retry_after_s(facts.headers, facts.message)
        wait_s = facts.wait_s if wait_s is None else wait_s
        return errors.RateLimited(facts.message, upstream_status=status, retry_after_s=wait_s)
    if status in (503, 529) or (status == 498 and "capacity_exceeded" in facts.words):
        return errors.Overloaded(facts.message, upstream_status=status, retry_after_s=retry_after_s(facts.headers))
    if status == 498:
        return errors.ContentFiltered(facts.message, upstream_status=status)
    if status == 404:
        return _not_found(facts)
    if status in (400, 403, 413, 422):
        return _client_fault(facts)
    return _server_failed(facts)


def _client_fault(facts: ErrorFacts) -> UpstreamError:
    """A 403 that names a field is about what stands there; the caller must not take it for a word about its own key."""
    return errors.ClientFault(
        facts.message,
        status=400 if facts.status == 403 else facts.status,
        upstream_status=facts.status,
        code=_client_code(facts.code),
        param=facts.param,
    )


def _not_found(facts: ErrorFacts) -> UpstreamError:
    is_about_model = facts.says(("model", "deployment")) and facts.says(_MISSING_TEXTS)
    is_about_model = is_about_model or facts.message.startswith("model:")
    if facts.words & _MODEL_CODES or is_about_model:
        return errors.ModelNotFound(facts.message, upstream_status=404, param="model")
    return _client_fault(facts) if facts.structured else _server_failed(facts)


def _server_failed(facts: ErrorFacts) -> UpstreamError:
    """5xx, and what points to a wrong address rather than to the client's request (redirects, 405, 410, HTML)."""
    message = PROXY_REFUSES if facts.status == 407 else facts.message
    failed = errors.ServerFailed(message, upstream_status=facts.status, retry_after_s=retry_after_s(facts.headers))
    if facts.status in (408, 504, 524):
        failed.status, failed.code, failed.type = 504, "upstream_timeout", "timeout"
    return failed


def quota_exhausted(facts: ErrorFacts) -> UpstreamError:
    return _credential_fault(errors.QuotaExhausted, "The provider's quota for this credential is used up.", facts)


def _credential_rejected(facts: ErrorFacts) -> UpstreamError:
    return _credential_fault(errors.CredentialRejected, "The provider rejected the configured credential.", facts)


def _credential_fault(kind: type[UpstreamError], message: str, facts: ErrorFacts) -> UpstreamError:
    """The upstream's words about our key go to the log only: the client must not take them for words about its own."""
    return kind(
        message,
        upstream_status=facts.status,
        retry_after_s=retry_after_s(facts.headers),
        detail={"upstream_message": facts.message, "upstream_code": facts.code},
    )


def _client_code(code: str | None) -> str | None:
    """A code is a word. What is longer is text, which may quote the credential or the prompt, and codes reach logs,
    metrics and the ledger."""
    return None if code is None or code.isdigit() or not _CODE.fullmatch(code) else redact(code)


def _field_name(param: str | None) -> str | None:
    return redact(param) if param is not None and _FIELD.fullmatch(param) else None


def _implied_status(*names: str | None) -> int:
    for name in names:
        if not name:
            continue
        if name.isdigit() and 400 <= int(name[:4]) < 600:
            return int(name)
        status = _STATUS_OF_TYPE.get(name.lower())
        if status is not None:
            return status
        if name.lower() in _QUOTA_CODES:
            return 429
        if name.lower() in _FILTER_CODES or name in ("context_length_exceeded", "token_limit_exceeded"):
            return 400
    return 500


def _message(value: JsonObject, nested: Any, source: JsonObject, metadata: JsonObject) -> str:
    message = _text(source.get("message")) or _text(nested) or _text(value.get("message"))
    message = message or _text(value.get("detail")) or _text(source.get("detail"))
    message = message or told(complaints_in(value, source))
    raw = _text(metadata.get("raw"))
    if raw and (not message or message.lower() in ("provider returned error", "provider error")):
        message = f"{message}: {raw}" if message else raw
    return message or ""


def _plain_message(status: int, body: bytes) -> str:
    text = body[:4000].decode("utf-8", "replace").strip()
    if not text or text.startswith("<"):
        return f"The provider answered with status {status}" + (" and an HTML page." if text else " and an empty body.")
    return redact(text)


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value if value and value != "None" else None
    if type(value) is int:
        return str(value)
    return None
