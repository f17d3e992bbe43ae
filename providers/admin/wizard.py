"""The provider wizard: kind → address and key → live test → models → done.

From the second step on the provider is a row, disabled until its models are chosen: so the key lies nowhere but in
the encrypted credential, and an unfinished wizard can be taken up again. The list of models waits in the session.
"""

from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _

from providers.adapters import REGISTRY
from providers.adapters.model_list import ModelInfo
from providers.addresses import parse_base_url
from providers.admin import live_test
from providers.admin.forms import kind_choices
from providers.admin.wizard_forms import ConnectionForm, ModelsForm
from providers.catalog import is_listed
from providers.models import Provider
from providers.specs import Prices
from rows.admin_pages import asked_again
from rows.file_rows import in_file

if TYPE_CHECKING:
    from providers.admin.provider import ProviderAdmin

MOST_MODELS = 2000
WRITES = (
    "providers.add_provider",
    "providers.change_provider",
    "providers.add_credential",
    "providers.change_credential",
    "providers.add_deployment",
)
"""What a person needs for the wizard, which writes all of this; the test alone is for whoever may change the provider."""
FIRST_KINDS = ("openai", "anthropic")


def wizard_urls(model_admin: "ProviderAdmin") -> list[URLPattern]:
    wizard = Wizard(model_admin)
    view = model_admin.admin_site.admin_view
    return [
        path("wizard/", view(wizard.kind), name="providers_provider_wizard"),
        path("wizard/new/<str:kind>/", view(wizard.create), name="providers_provider_wizard_create"),
        path("wizard/<int:pk>/connection/", view(wizard.connection), name="providers_provider_wizard_connection"),
        path("wizard/<int:pk>/test/", view(wizard.test), name="providers_provider_wizard_test"),
        path("wizard/<int:pk>/models/", view(wizard.models), name="providers_provider_wizard_models"),
        path("wizard/<int:pk>/done/", view(wizard.done), name="providers_provider_wizard_done"),
    ]


class Wizard:
    def __init__(self, model_admin: "ProviderAdmin") -> None:
        self.model_admin = model_admin
        self.site = model_admin.admin_site

    # ----------------------------------------------------------------------------------------------------- steps

    def kind(self, request: HttpRequest) -> HttpResponse:
        self._check(request)
        choices = kind_choices()
        choices.sort(key=lambda choice: FIRST_KINDS.index(choice[0]) if choice[0] in FIRST_KINDS else len(FIRST_KINDS))
        kinds = [{"kind": kind, "label": label, "url": REGISTRY[kind].default_base_url} for kind, label in choices]
        return self._page(request, "kind", 1, kinds=kinds)

    @asked_again
    def create(self, request: HttpRequest, kind: str) -> HttpResponse:
        self._check(request)
        if kind not in REGISTRY:
            raise Http404
        return self._connection(request, Provider(kind=kind), kind)

    @asked_again
    def connection(self, request: HttpRequest, pk: int) -> HttpResponse:
        provider = self._provider(request, pk)
        return self._connection(request, provider, provider.kind)

    def test(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not self.model_admin.has_change_permission(request):
            raise PermissionDenied
        provider = self._changeable(pk)
        if request.method != "POST":
            return self._page(request, "test", 3, provider=provider)
        result = live_test.try_calls(provider) if "calls" in request.POST else live_test.run(provider)
        request.session[_key(provider)] = [
            (model.id, model.context_window, model.max_output_tokens) for model in result.models[:MOST_MODELS]
        ]
        return self._page(request, "test_result", 3, provider=provider, result=result)

    @asked_again
    def models(self, request: HttpRequest, pk: int) -> HttpResponse:
        provider = self._provider(request, pk)
        listed = [
            ModelInfo(id=name, context_window=window, max_output_tokens=most)
            for name, window, most in request.session.get(_key(provider), [])
        ]
        suggested = self._suggested(request, provider, listed)
        data = request.POST if request.method == "POST" else None
        form = ModelsForm(data, provider=provider, listed=listed, suggested=suggested)
        if data is not None and form.is_valid():
            form.save()
            request.session.pop(_key(provider), None)
            return self._to("done", provider)
        return self._page(request, "models", 4, provider=provider, form=form)

    def done(self, request: HttpRequest, pk: int) -> HttpResponse:
        provider = self._provider(request, pk)
        served = provider.deployments.filter(enabled=True).order_by("pk")
        first = served.exclude(model__icontains="embed").first() or served.first()
        address = f"{request.scheme}://{request.get_host()}"
        return self._page(request, "done", 5, provider=provider, first=first, address=address)

    # ----------------------------------------------------------------------------------------------------- parts

    def _connection(self, request: HttpRequest, provider: Provider, kind: str) -> HttpResponse:
        form = ConnectionForm(request.POST or None, instance=provider, kind=kind)
        if request.method == "POST" and form.is_valid():
            return self._to("test", form.save())
        return self._page(request, "connection", 2, form=form, provider=provider)

    def _suggested(self, request: HttpRequest, provider: Provider, listed: list[ModelInfo]) -> dict[str, Prices]:
        if request.method == "POST":
            return {}
        if not is_listed(provider.kind, parse_base_url(provider.base_url).host, provider.options):
            return {}
        return self.model_admin.suggested_prices(provider.kind, [model.id for model in listed])

    def _provider(self, request: HttpRequest, pk: int) -> Provider:
        self._check(request)
        return self._changeable(pk)

    def _changeable(self, pk: int) -> Provider:
        provider = get_object_or_404(Provider, pk=pk)
        if in_file(provider):
            raise PermissionDenied
        return provider

    def _check(self, request: HttpRequest) -> None:
        if not self.model_admin.has_wizard_permission(request):
            raise PermissionDenied

    def _to(self, step: str, provider: Provider) -> HttpResponse:
        return redirect(f"{self.site.name}:providers_provider_wizard_{step}", pk=provider.pk)

    def _page(self, request: HttpRequest, step: str, number: int, **context: Any) -> HttpResponse:
        names = [_("Kind"), _("Connection"), _("Test"), _("Models"), _("Done")]
        steps = [
            {"number": at, "name": name, "current": at == number, "past": at < number}
            for at, name in enumerate(names, 1)
        ]
        shared = {
            **self.site.each_context(request),
            "title": _("Add a provider"),
            "opts": self.model_admin.model._meta,
            "steps": steps,
            "may_go_on": self.model_admin.has_wizard_permission(request),
            **context,
        }
        return TemplateResponse(request, f"admin/wizard/{step}.html", shared)


def _key(provider: Provider) -> str:
    return f"wizard-models-{provider.pk}"
