"""The trash: what is in it, what can come back, what goes for good."""

import uuid
from datetime import timedelta

import pytest
from django.apps import apps
from django.utils import timezone

from connections.models import Connection
from core import soft_delete
from core.soft_delete import PERIOD, UNDO, SoftDeleted, TrashQuerySet
from exports.models import Export, ExportSchedule
from projects.models import Project
from tests import factories

MINUTE = timedelta(minutes=1)


def test_every_model_with_a_trash_shares_this_one() -> None:
    models = {
        model
        for model in apps.get_models()
        if any(field.name == "deleted_at" for field in model._meta.concrete_fields)
    }
    assert {Connection, Project, Export, ExportSchedule} <= models
    for model in models:
        assert issubclass(model, SoftDeleted), model
        assert isinstance(model._default_manager.all(), TrashQuerySet), model


@pytest.mark.django_db
def test_a_row_goes_to_the_trash_comes_back_and_changes_nothing_else() -> None:
    row = factories.make_connection(name="spark")
    Connection.objects.filter(pk=row.pk).update(name="renamed by somebody else")
    row.move_to_trash()
    assert not Connection.objects.living().exists()
    assert Connection.objects.in_trash().get().name == "renamed by somebody else"
    row.take_from_trash()
    assert Connection.objects.living().get().deleted_at is None
    assert not Connection.objects.in_trash().exists()


@pytest.mark.django_db
def test_after_30_days_a_row_does_not_come_back_and_is_due() -> None:
    now = timezone.now()
    lately, long_ago = now - PERIOD + MINUTE, now - PERIOD - MINUTE
    fresh = factories.make_connection(deleted_at=lately)
    due = factories.make_connection(deleted_at=long_ago)
    factories.make_connection()
    assert list(Connection.objects.in_trash()) == [fresh]
    assert list(Connection.objects.expired(now)) == [due]
    assert soft_delete.last_days([fresh]) == [(fresh, lately + PERIOD)]


@pytest.mark.django_db
def test_what_was_deleted_a_moment_ago_can_be_taken_back() -> None:
    now = timezone.now()
    row = factories.make_connection(deleted_at=now)
    old = factories.make_connection(deleted_at=now - UNDO - MINUTE)
    rows = Connection.objects.all()
    assert rows.just_deleted(str(row.pk)) == row
    for other in (str(old.pk), str(factories.make_connection().pk), str(uuid.uuid4()), "", "x'"):
        assert rows.just_deleted(other) is None
