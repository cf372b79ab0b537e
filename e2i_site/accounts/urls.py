"""Addresses of one's own account, below /accounts/."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path

from e2i_site.accounts import views

app_name = "accounts"
urlpatterns = [
    path("login/", views.SignIn.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("profile/", views.profile, name="profile"),
    path("profile/name/", views.set_name, name="set_name"),
    path("password/", views.ChangePassword.as_view(), name="password"),
    path("tokens/", views.create_token, name="create_token"),
    path("tokens/<slug:key>/revoke/", views.revoke_token, name="revoke_token"),
]
