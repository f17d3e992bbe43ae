"""`/api/teams`, `/api/api-keys`, `/api/limits`, `/api/budgets`, `/api/prices`."""

from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import keys, provisioning
from accounts.budget_spending import with_spending
from accounts.models import ApiKey, Budget, Limit, Price, Team
from accounts.rest_serializers import (
    ApiKeySerializer,
    BudgetSerializer,
    LimitSerializer,
    NewApiKeySerializer,
    PriceSerializer,
    RotationSerializer,
    TeamSerializer,
)
from rows.rest import AtomicWrites


class TeamViewSet(AtomicWrites, viewsets.ModelViewSet[Team]):
    queryset = Team.objects.all()
    serializer_class = TeamSerializer
    filterset_fields: ClassVar[list[str]] = ["name", "enabled", "managed_by"]
    search_fields: ClassVar[list[str]] = ["name"]
    ordering_fields: ClassVar[list[str]] = ["name", "created_at", "updated_at"]


class NotRotatable(APIException):
    status_code = 409


class ApiKeyViewSet(AtomicWrites, viewsets.ModelViewSet[ApiKey]):
    queryset = ApiKey.objects.select_related("team")
    serializer_class = ApiKeySerializer
    needs = ""
    """For actions: the permission that a person has to have."""

    filterset_fields: ClassVar[list[str]] = ["name", "team", "enabled", "public_id", "managed_by"]
    search_fields: ClassVar[list[str]] = ["name", "public_id", "team__name"]
    ordering_fields: ClassVar[list[str]] = ["name", "team", "created_at", "last_used_at", "expires_at"]

    @extend_schema(request=ApiKeySerializer, responses={201: NewApiKeySerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        expires_at = serializer.validated_data.get("expires_at")
        if expires_at is not None and expires_at <= timezone.now():
            raise ValidationError({"expires_at": _("This moment has passed; the key would be refused at once.")})
        fresh = keys.new_key(str(settings.KEY_PEPPER).encode())
        # Without a scope it could do nothing: the same default as `create_api_key`. An empty list is somebody's word.
        scopes = serializer.validated_data.get("scopes", list(provisioning.USUAL_SCOPES))
        with transaction.atomic():
            row = serializer.save(scopes=scopes, public_id=fresh.public_id, digest=fresh.digest, hint=fresh.hint)
        return Response({**ApiKeySerializer(row).data, "key": fresh.token}, status=201)

    @extend_schema(request=RotationSerializer, responses=NewApiKeySerializer)
    @action(detail=True, methods=["post"], filterset_fields=[], needs="accounts.change_apikey")
    def rotate(self, request: Request, pk: str | None = None) -> Response:
        """A new secret; the one before works for `overlap_s` more, so that clients can change over."""
        order = RotationSerializer(data=request.data)
        order.is_valid(raise_exception=True)
        overlap = timedelta(seconds=order.validated_data["overlap_s"])
        try:
            issued = provisioning.rotate_key(self.get_object().pk, overlap=overlap)
        except provisioning.NotRotatable as error:
            raise NotRotatable(str(error)) from None
        return Response({**ApiKeySerializer(issued.key).data, "key": issued.token})

    @extend_schema(request=None, responses=ApiKeySerializer)
    @action(detail=True, methods=["post"], filterset_fields=[], needs="accounts.change_apikey")
    def revoke(self, request: Request, pk: str | None = None) -> Response:
        """For good: every worker refuses the key within a second."""
        return Response(ApiKeySerializer(provisioning.revoke_key(self.get_object().pk)).data)


class LimitViewSet(AtomicWrites, viewsets.ModelViewSet[Limit]):
    queryset = Limit.objects.select_related("key", "team")
    serializer_class = LimitSerializer
    filterset_fields: ClassVar[list[str]] = ["scope", "key", "team", "strict", "managed_by"]
    ordering_fields: ClassVar[list[str]] = ["scope", "created_at", "updated_at"]


class BudgetViewSet(AtomicWrites, viewsets.ModelViewSet[Budget]):
    queryset = Budget.objects.select_related("key", "team")
    serializer_class = BudgetSerializer

    def get_queryset(self) -> QuerySet[Budget]:
        # Here and not above: what period it is now changes while the process runs.
        return with_spending(super().get_queryset())

    filterset_fields: ClassVar[list[str]] = ["scope", "key", "team", "period", "enabled", "managed_by"]
    search_fields: ClassVar[list[str]] = ["name"]
    ordering_fields: ClassVar[list[str]] = ["scope", "name", "created_at", "updated_at"]


class PriceViewSet(AtomicWrites, viewsets.ModelViewSet[Price]):
    """Own prices with the moment from which they hold; for deployments without prices, before the catalogue's."""

    queryset = Price.objects.all()
    serializer_class = PriceSerializer
    filterset_fields: ClassVar[list[str]] = ["model", "provider", "managed_by"]
    search_fields: ClassVar[list[str]] = ["model", "provider", "note"]
    ordering_fields: ClassVar[list[str]] = ["model", "provider", "effective_from"]
