"""One's inbox, and the count beside the bell."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST, require_safe

from e2i_site.core.http import go_to, safe_url
from e2i_site.core.paging import keyset_page
from e2i_site.core.partials import render_page
from e2i_site.notifications.models import InboxItem
from e2i_site.notifications.subscriptions import mark_read

ROWS = 50
MOST_COUNTED = 100


@require_safe
def inbox(request: HttpRequest) -> HttpResponse:
    """What one was told, newest first; `?show=unread` leaves out what was read."""
    mine = InboxItem.objects.filter(user=cast(User, request.user)).select_related("message")
    only_unread = request.GET.get("show") == "unread"
    page = keyset_page(
        mine.filter(read_at__isnull=True) if only_unread else mine, request, size=ROWS
    )
    context = {"page": page, "only_unread": only_unread}
    return render_page(request, "notifications/inbox.html", context)


@require_safe
def open_item(request: HttpRequest, pk: int) -> HttpResponse:
    """Go to what a message is about; it counts as read from then on."""
    mine = InboxItem.objects.filter(user=cast(User, request.user)).select_related("message")
    item = get_object_or_404(mine, pk=pk)
    mark_read(item.user, pk=item.pk)
    return go_to(request, safe_url(request, item.message.url) or "notifications:inbox")


@require_POST
def read_all(request: HttpRequest) -> HttpResponse:
    """Everything in one's inbox counts as read."""
    count = mark_read(cast(User, request.user))
    messages.success(request, f"Marked as read: {count}.")
    return go_to(request, "notifications:inbox")


@login_not_required
@require_safe
def unread(request: HttpRequest) -> HttpResponse:
    """The count beside the bell, asked for by each page after it is there: one query."""
    count = 0
    if request.user.is_authenticated:
        mine = InboxItem.objects.filter(user=request.user, read_at__isnull=True)
        count = mine.values("pk")[:MOST_COUNTED].count()
    response = render(request, "notifications/_unread.html", {"count": count, "most": MOST_COUNTED})
    response["Cache-Control"] = "no-store"
    return response
