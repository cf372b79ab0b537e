"""A person at the list of models."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.factories.people import UserFactory


@pytest.fixture
def as_viewer(db: None) -> Client:
    client = Client()
    client.force_login(UserFactory(roles=["viewer"]))
    return client
