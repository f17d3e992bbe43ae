"""Looks at one provider with the cheapest thing that proves something:

    traffic      real calls of the last minute: free, and the only proof that inference works
    models       the provider's model list: free, proves address, credential and that somebody is at home
    completion   one token from the cheapest model: only when the operator allowed it, within a cap per day
    reachable    any answer at all, for providers without a list

A probe never raises: whatever goes wrong is its result. It uses the adapters and the address policy of real calls.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import orjson

from monitoring.health import CheckResult, Evidence
from monitoring.passive import Traffic
from providers.adapters import adapter_for
from providers.control_plane import Answer, ControlPlaneClient
from providers.dialects.redaction import conceal, redact
from providers.errors import (
    ClientFault,
    CredentialRejected,
    Misconfigured,
    RateLimited,
    Unsupported,
    UpstreamError,
)
from providers.own_models import read_models
from providers.specs import DeploymentSpec, ProviderSpec
from providers.transport import UpstreamRequest
from providers.types import ClientRequest, Operation

logger = logging.getLogger("llm_proxy.monitoring.probes")

CREDENTIALS_TRIED = 3
PROBE_PROMPT = "Hi"
PROBE_TOKENS = 16
"""What a paid probe is charged as when it is reserved: a short prompt and one token, generously."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A provider to look at; `cheapest` is the deployment that a paid probe may use."""

    provider: ProviderSpec
    cheapest: DeploymentSpec | None = None
    traffic: Traffic | None = None


Spend = Callable[[DeploymentSpec], Awaitable[bool]]
"""Reserves a paid probe's cost; False when it would exceed the day's cap."""


async def never_spend(deployment: DeploymentSpec) -> bool:
    return False


class Prober:
    """`clock` is Unix time, `timer` a monotonic clock for response times."""

    def __init__(
        self,
        client: ControlPlaneClient,
        *,
        clock: Callable[[], float],
        timer: Callable[[], float],
        spend: Spend = never_spend,
    ) -> None:
        self._client = client
        self._clock = clock
        self._timer = timer
        self._spend = spend

    async def check(self, target: Target) -> CheckResult:
        traffic = target.traffic
        if traffic is not None and traffic.proves_health:
            return self._from_traffic(traffic)
        result = await self._look(target)
        if traffic is not None:
            result = replace(result, last_success_at=traffic.last_success_at)
        if result.passed and traffic is not None and traffic.proves_failure:
            # The list answers and calls do not: calls are what counts.
            return self._from_traffic(traffic)
        if result.passed and result.evidence != "completion" and target.cheapest is not None:
            result = await self._complete_if_allowed(target.cheapest, result)
        return result

    def _from_traffic(self, traffic: Traffic) -> CheckResult:
        return traffic.result(at=self._clock())

    async def _look(self, target: Target) -> CheckResult:
        provider = target.provider
        if provider.needs_credential and not provider.credentials:
            return self._failed("none", "no_credential", "no credential can be used")
        secrets = [credential.secret for credential in provider.credentials[:CREDENTIALS_TRIED]] or [""]
        result = self._failed("none", "error", "nothing was tried")
        for secret in secrets:
            result = await self._list_models(provider, secret)
            if result.reason != CredentialRejected.reason:
                break
        return result

    async def _list_models(self, provider: ProviderSpec, secret: str) -> CheckResult:
        adapter = adapter_for(provider.kind)

        def read(answer: Answer) -> None:
            read_models(provider, secret, answer.status, answer.headers, answer.body)

        def ignore(answer: Answer) -> None:
            if answer.status >= 500:
                raise adapter.read_error(answer.status, answer.headers, answer.body, provider=provider.name)

        try:
            request = adapter.models_request(provider, secret)
        except Misconfigured as error:
            return self._failed("none", error.reason, error.message)
        if request is not None:
            return await self._try("models", provider, request, read)
        # Without a list nothing free proves the credential; it is not sent to an address that does not ask for it.
        nothing = UpstreamRequest(method="GET", path=provider.base_path or "/")
        return await self._try("reachable", provider, nothing, ignore)

    async def _complete_if_allowed(self, deployment: DeploymentSpec, before: CheckResult) -> CheckResult:
        if not await self._spend(deployment):
            return before
        body = {"model": deployment.model, "messages": [{"role": "user", "content": PROBE_PROMPT}], "max_tokens": 1}
        request = ClientRequest(operation=Operation.CHAT, model=deployment.model, body=body)
        adapter = adapter_for(deployment.provider.kind).serving(request, deployment)
        try:
            prepared = adapter.prepare(request, deployment, deployment.provider.first_secret)
        except (Misconfigured, Unsupported):
            # Of this one deployment, which tells nothing of the provider's others.
            return before

        def read(answer: Answer) -> None:
            if answer.status >= 300:
                raise adapter.read_error(answer.status, answer.headers, answer.body, provider=deployment.provider.name)
            adapter.read_answer(request, deployment, answer.headers, answer.body)

        return await self._try("completion", deployment.provider, prepared, read)

    async def _try(
        self, evidence: Evidence, provider: ProviderSpec, request: UpstreamRequest, read: Callable[[Answer], None]
    ) -> CheckResult:
        started = self._timer()
        try:
            read(await self._client.send(provider.endpoint, request))
        except UpstreamError as error:
            conceal(error, provider.secrets)
            if isinstance(error, RateLimited | ClientFault):
                # Somebody is at home: busy, or without this very route.
                return self._passed(evidence, self._timer() - started, redact(error.message, limit=200))
            return self._failed(evidence, error.reason, redact(error.message, limit=280))
        except (ValueError, TypeError, KeyError, AttributeError, orjson.JSONDecodeError) as error:
            # A probe cannot take its worker down: an answer nobody foresaw is the provider's failure.
            logger.debug("the answer of %s cannot be read", provider.name, exc_info=True)
            return self._failed(evidence, "bad_answer", f"the answer cannot be read: {type(error).__name__}")
        return self._passed(evidence, self._timer() - started)

    def _passed(self, evidence: Evidence, seconds: float, message: str = "") -> CheckResult:
        return CheckResult(
            passed=True, evidence=evidence, at=self._clock(), response_time_s=seconds, message=message
        )  # fmt: skip

    def _failed(self, evidence: Evidence, reason: str, message: str) -> CheckResult:
        return CheckResult(passed=False, evidence=evidence, at=self._clock(), reason=reason, message=message)
