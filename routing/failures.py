"""What a client is told when no candidate answered. Pure."""

from collections.abc import Iterable

from accounts.header_lines import HeaderLines
from providers.errors import ModelNotFound, RateLimited, UpstreamError, UpstreamTimeout
from routing.errors import ClientFacing, NoProviderAvailable

LONGEST_REASON = 200
UNAVAILABLE = "All providers are currently unavailable"
NOBODY = "this name leads to no model that is served"
"""An alias whose targets nobody has: of anybody else there is a reason."""
TAGS = "lacks a tag that was asked for"

NO_RETRY: HeaderLines = b"x-should-retry: false\r\n"
LONGEST_WAIT_S = 60
"""What a client may be let wait for by itself: Anthropic's waits however long it is told, others at most so long."""


class Failures:
    """The reasons of one call, by deployment name in the order they happened. Of a deployment the last error counts, or else
    the first reason it was passed over for."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}
        self.errors: list[UpstreamError] = []
        self.final: UpstreamError | None = None

    def skipped(self, deployment: str, reason: str) -> None:
        self.reasons.setdefault(deployment, _in_words(reason))

    def failed(self, deployment: str, error: UpstreamError) -> None:
        self.reasons[deployment] = error.message[:LONGEST_REASON].removesuffix(".")
        self.errors.append(error)
        forget_frames(error)

    def verdict(self) -> ClientFacing:
        """The error for the client: the upstream's own when it says more than that all are unavailable."""
        if self.final is not None:
            return self.final
        kinds = {type(error) for error in self.errors}
        if self.errors and (len(self.reasons) == 1 or kinds in ({RateLimited}, {UpstreamTimeout})):
            return self.errors[-1]
        if kinds == {ModelNotFound} and len(self.errors) == len(self.reasons):
            return self.errors[-1]
        listed = "; ".join(f"{name}: {reason}" for name, reason in self.reasons.items())
        return NoProviderAvailable(f"{UNAVAILABLE} ({listed or NOBODY}).")


def _in_words(reason: str) -> str:
    return TAGS if reason == "tags" else reason.replace("_", " ").replace(":", ": ", 1)


def forget_frames(error: BaseException | None) -> None:
    """Of an error that is kept. Its frames know it, and with it all that the call used would be left to the garbage
    collector, most of all when an upstream is down and there is most to do."""
    # One without frames has been here before, which also ends a chain that comes back to itself.
    while error is not None and error.__traceback__ is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def failure_headers(
    error: ClientFacing, errors: Iterable[UpstreamError] = (), rest_s: float | None = None
) -> HeaderLines:
    """The gateway has retried already, so a client's own retries would only multiply the load. A rate limit says when
    to come back: at the earliest time any of the upstreams named. So does 503 when everybody who could answer rests:
    `rest_s` is the time until the first of them may be called again, None unless all of them rest. Who comes back then
    asks nobody in vain, so it is not told to give up."""
    waits = [each.retry_after_s for each in errors if each.retry_after_s is not None] if error.status == 429 else []
    if rest_s is not None and not waits:
        waits.append(rest_s)
    if error.status not in (429, 503) or not waits:
        return NO_RETRY
    wait_s = max(1, -int(-min(waits) // 1))
    told = b"retry-after: %d\r\n" % wait_s
    return told if wait_s <= LONGEST_WAIT_S else NO_RETRY + told
