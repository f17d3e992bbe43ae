"""`/api/providers`, `/api/credentials`, `/api/deployments`. Who may come in is decided by the site's REST defaults."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from providers import onboarding
from providers.dialects.redaction import redact
from providers.errors import UpstreamError
from providers.models import ConformanceReport, Credential, Deployment, Provider
from providers.rest_serializers import (
    AdoptedSerializer,
    AdoptionSerializer,
    ConformanceReportSerializer,
    CredentialSerializer,
    DeploymentSerializer,
    ListedModelsSerializer,
    ProviderSerializer,
    TestOrderSerializer,
)
from rows.rest import AtomicWrites


class ProviderFailed(APIException):
    status_code = 502
    default_code = "upstream_error"


class ProviderViewSet(AtomicWrites, viewsets.ModelViewSet[Provider]):
    queryset = Provider.objects.all()
    serializer_class = ProviderSerializer
    runs_only = False
    """True for actions that leave the provider itself as it is: they work for one that a file manages, too."""
    needs = ""
    """For actions: the permission that a person has to have."""

    filterset_fields: ClassVar[list[str]] = ["name", "kind", "enabled", "priority", "source"]
    search_fields: ClassVar[list[str]] = ["name", "base_url"]
    ordering_fields: ClassVar[list[str]] = ["name", "priority", "kind", "created_at", "updated_at"]

    @extend_schema(request=TestOrderSerializer, responses=ConformanceReportSerializer)
    @action(
        detail=True,
        methods=["post"],
        url_path="test",
        filterset_fields=[],
        runs_only=True,
        needs="providers.change_provider",
    )
    def test(self, request: Request, pk: str | None = None) -> Response:
        """Runs the conformance test now; it takes seconds and costs at most `max_cost_usd`."""
        order = TestOrderSerializer(data=request.data)
        order.is_valid(raise_exception=True)
        cap = round(order.validated_data["max_cost_usd"] * 1e9)
        with _provider_errors():
            kept, _ = onboarding.run_test(self.get_object(), model=order.validated_data["model"], cap_nano_usd=cap)
        return Response(ConformanceReportSerializer(kept).data)

    @extend_schema(responses=ConformanceReportSerializer(many=True))
    @action(detail=True, methods=["get"], filterset_fields=[], search_fields=[], ordering_fields=[])
    def reports(self, request: Request, pk: str | None = None) -> Response:
        """Former conformance tests, newest first."""
        rows: Any = ConformanceReport.objects.filter(provider=self.get_object())
        page: Any = self.paginate_queryset(rows)
        return self.get_paginated_response(ConformanceReportSerializer(page, many=True).data)

    @extend_schema(responses=ListedModelsSerializer)
    @action(detail=True, methods=["get"], url_path="models", pagination_class=None, filterset_fields=[])
    def models(self, request: Request, pk: str | None = None) -> Response:
        """The provider's own list of models, with context windows and prices where they are known."""
        with _provider_errors():
            found = onboarding.listed_models(self.get_object())
        return Response(ListedModelsSerializer({"models": found}).data)

    @extend_schema(request=AdoptionSerializer, responses={201: AdoptedSerializer})
    @action(
        detail=True,
        methods=["post"],
        url_path="adopt-models",
        filterset_fields=[],
        runs_only=True,
        needs="providers.add_deployment",
    )
    def adopt_models(self, request: Request, pk: str | None = None) -> Response:
        """Makes deployments of models in the provider's list; those that exist are left as they are."""
        order = AdoptionSerializer(data=request.data)
        order.is_valid(raise_exception=True)
        with _provider_errors():
            rows = onboarding.adopt_models(self.get_object(), order.validated_data.get("models"))
        return Response(AdoptedSerializer({"adopted": rows}).data, status=status.HTTP_201_CREATED)


class CredentialViewSet(AtomicWrites, viewsets.ModelViewSet[Credential]):
    queryset = Credential.objects.select_related("provider")
    serializer_class = CredentialSerializer
    filterset_fields: ClassVar[list[str]] = ["provider", "name", "enabled"]
    search_fields: ClassVar[list[str]] = ["name", "provider__name"]
    ordering_fields: ClassVar[list[str]] = ["name", "provider", "last_worked_at"]


class DeploymentViewSet(AtomicWrites, viewsets.ModelViewSet[Deployment]):
    queryset = Deployment.objects.select_related("provider")
    serializer_class = DeploymentSerializer
    filterset_fields: ClassVar[list[str]] = ["provider", "model", "upstream_model", "enabled", "reasoning", "source"]
    search_fields: ClassVar[list[str]] = ["model", "upstream_model", "provider__name"]
    ordering_fields: ClassVar[list[str]] = ["model", "provider", "priority", "created_at", "updated_at"]


@contextmanager
def _provider_errors() -> Iterator[None]:
    """What went wrong at the provider, as 502 with its words."""
    try:
        yield
    except UpstreamError as error:
        raise ProviderFailed(redact(error.message, limit=300)) from None
