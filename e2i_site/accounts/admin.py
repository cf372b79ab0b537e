"""Users and their roles. Group membership is what gives rights in E2I."""

from __future__ import annotations

from axes.admin import AccessAttemptAdmin as AxesAttemptAdmin
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from knox.models import AuthToken
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from e2i_site.accounts.models import IdempotencyRecord
from e2i_site.core.admin import ReadOnlyAdmin

admin.site.unregister(User)
admin.site.unregister(Group)
admin.site.unregister([AccessAttempt, AccessFailureLog, AccessLog, AuthToken])


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "first_name", "last_name", "is_active", "last_login")


@admin.register(Group)
class GroupAdmin(ReadOnlyAdmin):
    """The roles are fixed; see who has them."""

    search_fields = ("name",)


@admin.register(IdempotencyRecord)
class IdempotencyAdmin(ReadOnlyAdmin):
    list_display = ("key", "user", "status_code", "created_at")
    search_fields = ("key", "user__username")


@admin.register(AccessAttempt)
class AccessAttemptAdmin(AxesAttemptAdmin, ModelAdmin):
    """Deleting an attempt lets somebody try again. Axes' own action fails on the admin's pages."""

    actions: list[str] = []


@admin.register(AccessLog, AccessFailureLog)
class AccessLogAdmin(ReadOnlyAdmin):
    """Who logged in, and who failed to: a record that nobody changes."""

    list_display = ("attempt_time", "username", "ip_address")
    search_fields = ("username", "ip_address")


@admin.register(AuthToken)
class TokenAdmin(ReadOnlyAdmin):
    """Everybody makes tokens for themselves only; here they can be taken away."""

    list_display = ("token_key", "user", "created", "expiry")
    search_fields = ("user__username",)

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return bool(request.user.is_superuser)
