from django.apps import AppConfig


class PartnerviewConfig(AppConfig):
    name = "apps.partnerview"
    label = "partnerview"
