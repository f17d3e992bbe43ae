"""One look at a provider as configured: can it be reached, does it accept the key, which models does it list.

For a person who waits in front of the page, so it takes at most `PATIENCE_S` and says what to do in words.
"""

import asyncio
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from providers.adapters import adapter_for
from providers.adapters.base import ModelInfo
from providers.aiohttp_transport import AiohttpTransport
from providers.errors import ConnectFailed, CredentialRejected, QuotaExhausted, UpstreamError, UpstreamTimeout
from providers.loading import provider_spec
from providers.models import Provider
from providers.secrets import UndecipherableSecret
from providers.specs import CredentialSpec, ProviderSpec
from providers.transport import Transport

PATIENCE_S = 10.0
LIST_LIMIT_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the result. `outcome` is ok, warn or bad; `remedy` says what to do about it."""

    outcome: str
    subject: str | Promise
    detail: str | Promise = ""
    remedy: str | Promise = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTest:
    findings: tuple[Finding, ...]
    models: tuple[ModelInfo, ...] = ()

    @property
    def passed(self) -> bool:
        return all(finding.outcome != "bad" for finding in self.findings)


def run(provider: Provider) -> LiveTest:
    """Blocks. Uses the first enabled credential that holds a secret."""
    try:
        secret = _secret(provider)
    except UndecipherableSecret as error:
        return LiveTest(findings=(Finding(outcome="bad", subject=_("Key"), detail=str(error)),))
    if secret is None and adapter_for(provider.kind).needs_credential:
        return LiveTest(
            findings=(
                Finding(
                    outcome="bad",
                    subject=_("Key"),
                    detail=_("There is no key, or its environment variable is not set."),
                    remedy=_("Go back and enter the key."),
                ),
            )
        )
    credentials = (CredentialSpec(id=0, name="test", secret=secret),) if secret else ()
    spec = provider_spec(
        provider, credentials, breaker_threshold=5, breaker_timeout_s=60.0, request_timeout_s=PATIENCE_S
    )
    return asyncio.run(_look(spec, secret or ""))


async def _look(spec: ProviderSpec, secret: str) -> LiveTest:
    transport = AiohttpTransport()
    try:
        return await look(transport, spec, secret)
    finally:
        await transport.aclose()


async def look(transport: Transport, spec: ProviderSpec, secret: str) -> LiveTest:
    adapter = adapter_for(spec.kind)
    try:
        request = adapter.models_request(spec, secret)
        if request is None:
            return LiveTest(findings=(_NO_LIST,))
        answer = await transport.send(spec.endpoint, request, timeout_s=PATIENCE_S)
        try:
            body = await answer.read(limit=LIST_LIMIT_BYTES, timeout_s=PATIENCE_S)
        finally:
            answer.close()
        if answer.status >= 300:
            raise adapter.read_error(answer.status, answer.headers, body)
        models = adapter.read_models(body)
    except UpstreamError as error:
        return LiveTest(findings=_failure(error))
    except ValueError as error:  # an adapter's word on options it cannot use
        return LiveTest(findings=(Finding(outcome="bad", subject=_("Options"), detail=str(error)),))
    return LiveTest(findings=(_REACHED, _ACCEPTED, _listed(models)), models=models)


_REACHED = Finding(outcome="ok", subject=_("Address"), detail=_("It answers."))
_ACCEPTED = Finding(outcome="ok", subject=_("Key"), detail=_("It was accepted."))
_NO_LIST = Finding(
    outcome="warn",
    subject=_("Models"),
    detail=_("This kind of provider has no list of models, so nothing could be asked without cost."),
    remedy=_("Type the model names in the next step."),
)


def _listed(models: tuple[ModelInfo, ...]) -> Finding:
    if models:
        detail = _("%(count)d are listed.") % {"count": len(models)}
        return Finding(outcome="ok", subject=_("Models"), detail=detail)
    return Finding(
        outcome="warn",
        subject=_("Models"),
        detail=_("The list is empty."),
        remedy=_("Type the model names in the next step."),
    )


def _failure(error: UpstreamError) -> tuple[Finding, ...]:
    if isinstance(error, ConnectFailed | UpstreamTimeout):
        remedy = _("Check the base URL, DNS, and whether this machine may reach it.")
        return (Finding(outcome="bad", subject=_("Address"), detail=error.message, remedy=remedy),)
    if isinstance(error, CredentialRejected):
        remedy = _("Paste the key again; make sure that it belongs to this provider and has not been revoked.")
        return (_REACHED, Finding(outcome="bad", subject=_("Key"), detail=error.message, remedy=remedy))
    if isinstance(error, QuotaExhausted):
        remedy = _("The key works, but its account has no credit or quota left.")
        return (_REACHED, Finding(outcome="warn", subject=_("Key"), detail=error.message, remedy=remedy))
    if error.upstream_status in (404, 405):
        remedy = _("Type the model names in the next step; check the base URL if you expected a list.")
        return (
            _REACHED,
            Finding(outcome="warn", subject=_("Models"), detail=_("There is no list here."), remedy=remedy),
        )
    remedy = _("Check the base URL and the kind: something answers there, but not as expected.")
    return (_REACHED, Finding(outcome="bad", subject=_("Answer"), detail=error.message, remedy=remedy))


def _secret(provider: Provider) -> str | None:
    secrets = (row.reveal() for row in provider.credentials.filter(enabled=True).order_by("pk"))
    return next(filter(None, secrets), None)
