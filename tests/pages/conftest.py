"""Fixtures of the page tests."""

import pytest

from tests.pages.people import People, make_people


@pytest.fixture
def people(db: None, redis_client: object) -> People:
    return make_people()
