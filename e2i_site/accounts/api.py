"""What every API view of E2I shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib.auth.models import User
from django.http import HttpResponseBase
from rest_framework import status, viewsets
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer, Serializer
from rest_framework.throttling import UserRateThrottle

from e2i_site.accounts.idempotency import IdempotentMixin
from e2i_site.core.decision import ALLOWED, Decision, refuse
from e2i_site.core.listing import Filters, Ordering, Pages
from e2i_site.core.renderers import CSVRenderer, Formats, JSONBody, csv_list
from e2i_site.core.roles import roles_of
from e2i_site.core.schema import Schema

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from rest_framework.views import APIView


class HasRole(BasePermission):
    """Reading needs a role, whichever; actions check theirs themselves."""

    message = "Your account has no role yet; an administrator gives one."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return bool(roles_of(request.user))


class Pace(UserRateThrottle):
    """Ten calls a second, a user and web process: no script slows the site for people."""

    rate = "600/min"


class ReadViewSet(IdempotentMixin, viewsets.ReadOnlyModelViewSet[Any]):
    """Lists and single objects; subclasses add governed writes as actions.

    `list_serializer_class` is for lists whose rows are shorter than the object.
    """

    permission_classes = [HasRole]
    throttle_classes = [Pace]
    pagination_class = Pages
    filter_backends = [Filters, Ordering]
    parser_classes = [JSONBody]
    content_negotiation_class = Formats
    schema = Schema()
    list_serializer_class: type[BaseSerializer[Any]] | None = None

    def get_renderers(self) -> list[BaseRenderer]:
        return [JSONRenderer(), CSVRenderer()] if self.action == "list" else [JSONRenderer()]

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        if self.action == "list" and self.list_serializer_class is not None:
            return self.list_serializer_class
        return super().get_serializer_class()

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filters narrow lists; one object is what its address says."""
        return super().filter_queryset(queryset) if self.action == "list" else queryset

    def list(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]
        """As CSV: everything that the filter lets through, not one page."""
        if request.accepted_renderer.format == "csv":
            rows = self.filter_queryset(self.get_queryset())
            return csv_list(self.basename or "list", rows, self.get_serializer())
        return super().list(request, *args, **kwargs)

    def shown(self, pk: int, status_code: int = status.HTTP_200_OK) -> Response:
        """The object as it is now, as an answer."""
        fresh = self.get_queryset().get(pk=pk)
        return Response(self.get_serializer(fresh).data, status=status_code)


def asked(form: type[Serializer[Any]], request: Request) -> dict[str, Any]:
    """The body in the form of the serializer; what it means is judged by the action."""
    body = form(data=request.data)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


def person(request: Request) -> User:
    """Whoever calls; anonymous callers came no further than `HasRole`."""
    return cast(User, request.user)


def decided_by_person(request: Request) -> Decision:
    """Decisions are made by people in a browser session; a token is a service and never decides."""
    if request.auth is not None:
        return refuse("A token cannot decide; a person has to log in.")
    return ALLOWED
