import pytest
from django.apps import apps
from django.contrib.auth.models import Group

from apps.staff.models import User
from emsp.roles import ROLES, grant
from tests.admin.furnished import found_company, make_card, make_partner


@pytest.fixture
def as_role(db, client):
    """The client, as somebody of a group; `admin` is a superuser, any other word somebody without a group."""

    def login(role):
        if not Group.objects.filter(name__in=ROLES).exists():
            grant(apps)  # a test that commits has swept what the migration made
        user = User.objects.create_user(role, is_staff=True, is_superuser=role == "admin")
        if role in ROLES:
            user.groups.add(Group.objects.get(name=role))
        client.force_login(user)
        return client

    return login


@pytest.fixture
def admin(as_role):
    return as_role("admin")


@pytest.fixture
def company(db):
    return found_company()


@pytest.fixture
def partner(db):
    return make_partner()


@pytest.fixture
def card(company):
    return make_card()
