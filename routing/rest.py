"""`/api/model-aliases`, `/api/route-policies`, `/api/settings`, `/api/history`."""

from typing import Any, ClassVar

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, generics, viewsets
from rest_framework.decorators import action
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from routing.models import ConfigurationRevision, GatewaySettings, ModelAlias, RoutePolicy
from routing.rest_serializers import (
    GatewaySettingsSerializer,
    ModelAliasSerializer,
    RevisionSerializer,
    RollbackOrderSerializer,
    RollbackSerializer,
    RoutePolicySerializer,
)
from routing.rollback import RollbackRefused, roll_back
from rows.locks import locked
from rows.rest import AtomicWrites


class CannotRollBack(exceptions.APIException):
    status_code = 409
    default_code = "conflict"


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
    """Every change of the configuration, newest first, and the way back to any of them."""

    queryset = ConfigurationRevision.objects.select_related("author")
    serializer_class = RevisionSerializer
    needs = ""
    """For actions: the permission that a person has to have."""

    filterset_fields: ClassVar[dict[str, list[str]]] = {"source": ["exact"], "created_at": ["gte", "lt"]}
    search_fields: ClassVar[list[str]] = ["reason"]
    ordering_fields: ClassVar[list[str]] = ["id", "created_at"]

    @extend_schema(request=RollbackOrderSerializer, responses=RollbackSerializer)
    @action(detail=True, methods=["post"], filterset_fields=[], needs="routing.change_configurationrevision")
    def rollback(self, request: Request, pk: str | None = None) -> Response:
        """Restores what this revision left in force, as a new revision. API keys and money spent stay as they are."""
        order = RollbackOrderSerializer(data=request.data)
        order.is_valid(raise_exception=True)
        number = int(self.get_object().pk)
        author = request.user if request.user.is_authenticated else None
        try:
            made = roll_back(number, author=author, reason=order.validated_data["reason"])
        except RollbackRefused as refusal:
            raise CannotRollBack(str(refusal)) from None
        return Response({"rolled_back_to": number, "revision": made})


class SettingsView(generics.RetrieveUpdateAPIView[GatewaySettings]):
    """The gateway-wide settings: there is one row, and it cannot be deleted."""

    serializer_class = GatewaySettingsSerializer
    queryset = GatewaySettings.objects.all()

    def get_object(self) -> GatewaySettings:
        # Not for `OPTIONS`, which asks for the row as if to write it.
        if self.request.method not in SAFE_METHODS and transaction.get_connection().in_atomic_block:
            # Every column is written: what others changed since the row was read must not be undone.
            row: GatewaySettings = locked(GatewaySettings).get(pk=GatewaySettings.load().pk)
            return row
        return GatewaySettings.objects.filter(pk=1).first() or GatewaySettings()

    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with transaction.atomic():
            return super().update(request, *args, **kwargs)
