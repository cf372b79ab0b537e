from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "e2i_site.audit"
    label = "audit"
