from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "e2i_site.accounts"
    label = "accounts"
