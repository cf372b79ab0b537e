"""Signing in, and one's own account."""

from __future__ import annotations

from math import ceil
from typing import Any, cast

from axes.helpers import get_cool_off
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST
from knox.models import AuthToken

from e2i_site.accounts.forms import ChangePasswordForm, NameForm, TokenForm
from e2i_site.core.http import go_to
from e2i_site.core.roles import Role, roles_of

MAY_DO = {
    Role.VIEWER: "reads everything",
    Role.REQUESTER: "starts selections and trainings, asks for promotions",
    Role.REVIEWER: "comments, and says what must change",
    Role.APPROVER: "approves and rejects promotions of others",
    Role.DEPLOYER: "deploys, rolls back, cancels jobs",
    Role.AUDITOR: "runs audits, waives findings",
    Role.ADMINISTRATOR: "sets policies, deprecates versions, waives P0 findings",
}


@method_decorator(login_not_required, name="dispatch")
class SignIn(LoginView):
    """The login page; whoever is signed in already goes on."""

    template_name = "accounts/login.html"
    redirect_authenticated_user = True


class ChangePassword(PasswordChangeView):
    """One's own password, for whoever knows the old one."""

    form_class = ChangePasswordForm
    template_name = "accounts/password.html"
    success_url = reverse_lazy("accounts:profile")

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "request": self.request}


def locked_out(request: HttpRequest, credentials: object, *args: object) -> HttpResponse:
    """What somebody sees after too many failed logins."""
    cool_off = get_cool_off(request)
    minutes = ceil(cool_off.total_seconds() / 60) if cool_off else None
    return render(request, "accounts/locked.html", {"minutes": minutes}, status=429)


@require_http_methods(["GET"])
def profile(request: HttpRequest) -> HttpResponse:
    """One's own roles and API tokens."""
    return _profile(request, TokenForm())


@require_POST
def set_name(request: HttpRequest) -> HttpResponse:
    """Give the account its full name, once; a name that signatures carry is not one's to change."""
    user = cast(User, request.user)
    if user.get_full_name():
        messages.error(request, "Your name is set; an administrator can change it.")
        return go_to(request, "accounts:profile")
    form = NameForm(request.POST, instance=user)
    if not form.is_valid():
        user.refresh_from_db()
        return _profile(request, TokenForm(), name_form=form, status=400)
    form.save()
    messages.success(request, f"You sign as {user.get_full_name()} from now on.")
    return go_to(request, "accounts:profile")


@sensitive_post_parameters()
@require_POST
def create_token(request: HttpRequest) -> HttpResponse:
    """Make a token and show it, this once; only its digest is kept."""
    form = TokenForm(request.POST)
    if not form.is_valid():
        return _profile(request, form, status=400)
    _, token = AuthToken.objects.create(user=cast(User, request.user), expiry=form.lifetime)
    response = _profile(request, TokenForm(), new_token=token)
    response["Cache-Control"] = "no-store"
    return response


@require_POST
def revoke_token(request: HttpRequest, key: str) -> HttpResponse:
    """Delete one's own token; whoever uses it is refused from now on."""
    user = cast(User, request.user)
    get_object_or_404(AuthToken, user=user, token_key=key).delete()
    messages.success(request, f"Token {key}… was revoked.")
    return go_to(request, "accounts:profile")


def _profile(
    request: HttpRequest,
    form: TokenForm,
    *,
    name_form: NameForm | None = None,
    new_token: str = "",
    status: int = 200,
) -> HttpResponse:
    held = roles_of(request.user)
    user = cast(User, request.user)
    context = {
        "roles": [(role.label, MAY_DO[role], role.value in held) for role in Role],
        "has_role": bool(held),
        "tokens": AuthToken.objects.filter(user=user).order_by("-created"),
        "form": form,
        "name_form": None if user.get_full_name() else name_form or NameForm(),
        "new_token": new_token,
        "now": timezone.now(),
    }
    return render(request, "accounts/profile.html", context, status=status)
