"""Users and their roles. Group membership is what gives rights in E2I."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from e2i_site.accounts.models import IdempotencyRecord
from e2i_site.core.admin import ReadOnlyAdmin

admin.site.unregister(User)
admin.site.unregister(Group)


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
