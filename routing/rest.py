"""`/api/model-aliases`, `/api/route-policies`, `/api/settings`, `/api/history`."""

from typing import Any, ClassVar

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import viewsets
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.rest import AtomicWrites
from routing.models import ConfigurationRevision, GatewaySettings, ModelAlias, RoutePolicy
from routing.rest_serializers import (
    GatewaySettingsSerializer,
    ModelAliasSerializer,
    RevisionSerializer,
    RoutePolicySerializer,
)


class ModelAliasViewSet(AtomicWrites, viewsets.ModelViewSet[ModelAlias]):
    queryset = ModelAlias.objects.all()
    serializer_class = ModelAliasSerializer
    filterset_fields: ClassVar[list[str]] = ["name", "strategy", "enabled", "source"]
    search_fields: ClassVar[list[str]] = ["name"]
    ordering_fields: ClassVar[list[str]] = ["name", "strategy"]


class RoutePolicyViewSet(AtomicWrites, viewsets.ModelViewSet[RoutePolicy]):
    queryset = RoutePolicy.objects.all()
    serializer_class = RoutePolicySerializer
    filterset_fields: ClassVar[list[str]] = ["name", "strategy", "enabled", "sticky", "source"]
    search_fields: ClassVar[list[str]] = ["name", "pattern"]
    ordering_fields: ClassVar[list[str]] = ["position", "name"]


class HistoryViewSet(viewsets.ReadOnlyModelViewSet[ConfigurationRevision]):
    """Every change of the configuration, newest first."""

    queryset = ConfigurationRevision.objects.select_related("author")
    serializer_class = RevisionSerializer
    filterset_fields: ClassVar[dict[str, list[str]]] = {"source": ["exact"], "created_at": ["gte", "lt"]}
    search_fields: ClassVar[list[str]] = ["reason"]
    ordering_fields: ClassVar[list[str]] = ["id", "created_at"]


class SettingsView(APIView):
    """The gateway-wide settings: there is one row, and it cannot be deleted."""

    serializer_class = GatewaySettingsSerializer

    @extend_schema(responses=GatewaySettingsSerializer)
    def get(self, request: Request) -> Response:
        return Response(
            GatewaySettingsSerializer(GatewaySettings.objects.filter(pk=1).first() or GatewaySettings()).data
        )

    @extend_schema(request=GatewaySettingsSerializer(partial=True), responses=GatewaySettingsSerializer)
    def patch(self, request: Request) -> Response:
        return self._write(request, partial=True)

    @extend_schema(request=GatewaySettingsSerializer, responses=GatewaySettingsSerializer)
    def put(self, request: Request) -> Response:
        return self._write(request, partial=False)

    @staticmethod
    def _write(request: Request, **options: Any) -> Response:
        with transaction.atomic():
            row = GatewaySettings.load()
            serializer = GatewaySettingsSerializer(row, data=request.data, **options)
            serializer.is_valid(raise_exception=True)
            serializer.save()
        return Response(serializer.data)
