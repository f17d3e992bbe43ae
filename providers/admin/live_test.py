"""One look at a provider as configured: can it be reached, does it accept the key, which models does it list.

For a person who waits in front of the page, so it takes at most `PATIENCE_S` and says what to do in words.
"""

from dataclasses import dataclass

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from providers.adapters import adapter_for
from providers.adapters.model_list import ModelInfo
from providers.conformance import Conformance
from providers.errors import (
    ConnectFailed,
    CredentialRejected,
    Misconfigured,
    QuotaExhausted,
    UpstreamError,
    UpstreamTimeout,
)
from providers.loading import UNREADABLE, provider_spec
from providers.models import Credential, Provider
from providers.onboarding import deployments_of, with_transport
from providers.own_models import NoModelList, ask_for_models
from providers.secrets import UndecipherableSecret
from providers.specs import CredentialSpec, ProviderSpec
from providers.transport import Transport

PATIENCE_S = 10.0

_OUTCOMES = {"passed": "ok", "failed": "bad", "unsupported": "warn", "skipped": "idle"}
_ABILITIES = {
    "reachability": _("Address"),
    "authentication": _("Key"),
    "model_list": _("List of models"),
    "chat": _("Chat"),
    "stream": _("Stream"),
    "usage_in_stream": _("Usage in a stream"),
    "tools": _("Tools"),
    "structured_output": _("Structured output"),
    "limit_error_shape": _("Error of a limit"),
    "cancel": _("Cancelling"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the result. `outcome` is ok, warn, bad or idle (not tried); `remedy` says what to do about it."""

    outcome: str
    subject: str | Promise
    detail: str | Promise = ""
    remedy: str | Promise = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTest:
    findings: tuple[Finding, ...]
    models: tuple[ModelInfo, ...] = ()
    tried_with: str = ""
    """The model that real calls went to; empty when none were made."""
    accepted: bool = False
    """An answer showed that address and key are right. Without one nothing is known, even if nothing failed."""

    @property
    def passed(self) -> bool:
        return all(finding.outcome != "bad" for finding in self.findings)

    @property
    def works(self) -> bool:
        return self.passed and self.accepted


def run(provider: Provider) -> LiveTest:
    """Blocks. Costs nothing: asks for the list of models. Uses the first enabled credential that holds a secret."""
    spec = _spec(provider)
    if isinstance(spec, Finding):
        return LiveTest(findings=(spec,))
    result = with_transport(lambda transport: look(transport, spec))
    _note_success(spec, result.passed and bool(result.models))
    return result


def try_calls(provider: Provider) -> LiveTest:
    """Blocks up to minutes. Real calls of every sort, which cost at most `DEFAULT_CAP_NANO_USD` of `providers.conformance`."""
    spec = _spec(provider)
    if isinstance(spec, Finding):
        return LiveTest(findings=(spec,))
    deployments = deployments_of(provider, spec)
    report = with_transport(lambda transport: Conformance(transport, spec, deployments).run())
    answered = any(result.name == "chat" and result.outcome == "passed" for result in report.results)
    _note_success(spec, answered)
    findings = tuple(
        Finding(
            outcome=_OUTCOMES[result.outcome], subject=_ABILITIES.get(result.name, result.name), detail=result.detail
        )
        for result in report.results
    )
    return LiveTest(findings=findings, models=report.models, tried_with=report.model, accepted=answered)


def _spec(provider: Provider) -> ProviderSpec | Finding:
    """The provider with the first of its credentials that holds a secret, or why there can be no test."""
    found: CredentialSpec | None = None
    try:
        for row in provider.credentials.filter(enabled=True).order_by("pk"):
            if secret := row.reveal():
                found = CredentialSpec(id=row.pk, name=row.name, secret=secret)
                break
    except UndecipherableSecret as error:
        return Finding(outcome="bad", subject=_("Key"), detail=str(error))
    if found is None and adapter_for(provider.kind).needs_credential:
        return Finding(
            outcome="bad",
            subject=_("Key"),
            detail=_("There is no key, or its environment variable is not set."),
            remedy=_("Go back and enter the key."),
        )
    credentials = (found,) if found else ()
    try:
        return provider_spec(provider, credentials)
    except UNREADABLE as error:
        return Finding(outcome="bad", subject=_("Settings"), detail=str(error))


def _note_success(spec: ProviderSpec, worked: bool) -> None:
    if worked and spec.credentials:
        Credential.objects.filter(pk=spec.credentials[0].id).update(last_worked_at=timezone.now())


async def look(transport: Transport, spec: ProviderSpec) -> LiveTest:
    try:
        models = await ask_for_models(transport, spec, timeout_s=PATIENCE_S)
    except NoModelList:
        return LiveTest(findings=(_NO_LIST,))
    except Misconfigured as error:
        return LiveTest(findings=(Finding(outcome="bad", subject=_("Options"), detail=error.message),))
    except UpstreamError as error:
        return LiveTest(findings=_failure(error))
    return LiveTest(findings=(_REACHED, _ACCEPTED, _listed(models)), models=models, accepted=True)


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
