"""Which failures mean that a conversation does not fit, and into what it would have to. Pure.

What providers are known to say is recognised by `providers.dialects.overflow`; here come the operator's own
`error_keywords`, and requests that no candidate was even offered because their windows are too small.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from providers.dialects.overflow import only_looks_like_it
from providers.errors import BadAnswer, ClientFault, ContextOverflow, ModelNotFound, ServerFailed, UpstreamError
from routing.condensation.policy import target_tokens
from routing.configuration.document import Condensation
from routing.plan import RoutePlan, could_have_served

_MAY_MEAN_OVERFLOW = (ClientFault, ServerFailed, BadAnswer, ModelNotFound)
"""Errors about rates, quotas, credentials, time-outs and moderation are known for what they are."""
LEAST_CORRECTION, MOST_CORRECTION = 0.5, 4.0
"""A count that differs more from ours than this was not about the whole request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TooLong:
    """`window` tokens of the place that refused, None when nobody knows; `requested_tokens` as the upstream counted."""

    window: int | None
    requested_tokens: int | None = None


def aim(found: TooLong, settings: Condensation, *, estimated: int, output: int | None, failures: int) -> int:
    """Tokens, as we estimate them, to shorten a request of `estimated` tokens to. Where the upstream said how many it
    counted, our estimate is corrected by that; where nobody knows the window, the request itself stands for it."""
    window = found.window or found.requested_tokens or estimated
    target = target_tokens(settings, window=window, output=output, failures=failures)
    if not found.requested_tokens or not estimated:
        return target
    return int(target / min(max(found.requested_tokens / estimated, LEAST_CORRECTION), MOST_CORRECTION))


def overflow_by_keyword(error: UpstreamError, keywords: Sequence[str]) -> UpstreamError:
    """The error as `ContextOverflow` when it contains one of the keywords, in whatever case; else the error itself."""
    if not keywords or not isinstance(error, _MAY_MEAN_OVERFLOW):
        return error
    text = f"{error.code or ''}\n{error.message}".lower()
    known = any(keyword.lower() in text for keyword in keywords if keyword.strip())
    if not known or only_looks_like_it(error.message):
        return error
    return ContextOverflow(error.message, upstream_status=error.upstream_status)


def too_long(
    errors: Iterable[UpstreamError], windows: Iterable[int | None], plans: Sequence[RoutePlan]
) -> TooLong | None:
    """None when the failure was about something else. `errors` are those of the attempts made, with the context window
    of each one's deployment in `windows`; `plans` what candidates there were. Where it fits somebody who failed or
    rests, that is what it failed of, however small the others are."""
    found = None
    for error, window in zip(errors, windows, strict=False):
        if isinstance(error, ContextOverflow):
            found = TooLong(window=error.limit_tokens or window, requested_tokens=error.requested_tokens)
    if found is not None or could_have_served(plans):
        return found
    excluded = [
        candidate.deployment.context_window or 0
        for plan in plans
        for candidate, reason in zip(plan.candidates, plan.reasons, strict=True)
        if reason == "context_window"
    ]
    return TooLong(window=max(excluded)) if excluded else None
