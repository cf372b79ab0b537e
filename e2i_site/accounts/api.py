"""What every API view of E2I shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework import viewsets
from rest_framework.pagination import PageNumberPagination
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from e2i_site.accounts.idempotency import IdempotentMixin
from e2i_site.core.decision import ALLOWED, Decision, refuse
from e2i_site.core.renderers import CSVRenderer
from e2i_site.core.roles import roles_of

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from rest_framework.views import APIView


class HasRole(BasePermission):
    """Reading needs a role, whichever; actions check theirs themselves."""

    message = "Your account has no role yet; an administrator gives one."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return bool(roles_of(request.user))


class Pages(PageNumberPagination):
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500

    def paginate_queryset(
        self, queryset: QuerySet[Any], request: Request, view: APIView | None = None
    ) -> list[Any] | None:
        """CSV holds everything that the filter lets through, not one page."""
        if getattr(request.accepted_renderer, "format", "") == "csv":
            return None
        return super().paginate_queryset(queryset, request, view)


class ReadViewSet(IdempotentMixin, viewsets.ReadOnlyModelViewSet[Any]):
    """Lists and single objects; subclasses add governed writes as extra actions."""

    permission_classes = [HasRole]
    pagination_class = Pages
    renderer_classes = [JSONRenderer, CSVRenderer]


def decided_by_person(request: Request) -> Decision:
    """Decisions are made by people in a browser session; a token is a service and never decides."""
    if request.auth is not None:
        return refuse("A token cannot decide; a person has to log in.")
    return ALLOWED
