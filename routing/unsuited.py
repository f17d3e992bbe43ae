"""What a client is told when its request suited nobody who has the model, so that nobody was asked: waiting would not
help, and no provider is to blame. Pure."""

from collections.abc import Sequence

from providers.types import Operation
from routing.errors import InvalidRequest
from routing.plan import RoutePlan, could_have_served

MISSING = "missing_capability:"
PARAMS = {Operation.CHAT: "messages", Operation.COMPLETIONS: "prompt", Operation.EMBEDDINGS: "input"}


def unsuited(plans: Sequence[RoutePlan]) -> InvalidRequest | None:
    """None when somebody could have served one of these plans, or when tags kept some out: which providers carry them is
    the operator's word and not the client's. Where it is too long for some and lacks something at others, it is too long.
    """
    if could_have_served(plans):
        return None
    reasons = {reason for plan in plans for reason in plan.reasons if reason is not None}
    if "context_window" in reasons:
        return _too_long(plans)
    missing = sorted(reason.removeprefix(MISSING) for reason in reasons if reason.startswith(MISSING))
    if not missing or len(missing) < len(reasons):
        return None
    return InvalidRequest(
        f"The model '{plans[0].query.model[:256]}' cannot serve this request: it lacks {', '.join(missing)}.",
        param="model",
        code="unsupported_by_model",
    )


def _too_long(plans: Sequence[RoutePlan]) -> InvalidRequest:
    """The first words are OpenAI's: clients that shorten by themselves look for them."""
    windows = [
        candidate.deployment.context_window or 0
        for plan in plans
        for candidate, reason in zip(plan.candidates, plan.reasons, strict=True)
        if reason == "context_window"
    ]
    query = plans[-1].query
    asked = f" and asks for up to {query.max_output_tokens} of output" if query.max_output_tokens else ""
    return InvalidRequest(
        f"This model's maximum context length is {max(windows)} tokens. However, this request has about "
        f"{query.input_tokens} tokens of input{asked}.",
        param=PARAMS[query.operation],
        code="context_length_exceeded",
    )
