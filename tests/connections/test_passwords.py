"""A stored password goes to the place it was given for, by whatever way its row was changed."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import Role, Team
from accounts.policy import Caller
from connections import diagnose, services, ssh
from connections.credentials import places
from connections.models import Connection
from connections.ssh import targets
from core.errors import Invalid
from tests import factories
from tests.api.client import Api, fields_of
from tests.markup import flat

FIRST, SECOND = "SHA256:" + "A" * 43, "SHA256:" + "B" * 43


@pytest.fixture
def team(db: None) -> Team:
    return factories.make_team()


@pytest.fixture
def caller(team: Team) -> Caller:
    user = factories.make_user()
    factories.join(user, team, Role.ADMINISTRATOR)
    return Caller(user)


def machine(team: Team, **fields: Any) -> Connection:
    row = factories.make_connection(team, **({"auth_method": "password"} | fields))
    row.set_secret("password", "s3cret")
    row.save()
    return row


def again(row: Connection) -> Connection:
    return Connection.objects.get(pk=row.pk)


def sent_by(row: Connection) -> str:
    """What a log-in would send now, or why it would send nothing."""
    try:
        return targets.credentials_of(again(row)).password or ""
    except ssh.ConnectError as error:
        return error.reason


def changes(team: Team) -> dict[str, Any]:
    """Each field of the place, with another value."""
    return {
        "hostname": "192.0.2.99",
        "port": 2222,
        "username": "root",
        "jump_connection_id": factories.make_connection(team).pk,
        "host_key": SECOND,
    }


FIELDS = ("hostname", "port", "username", "jump_connection_id", "host_key")


@pytest.mark.parametrize("field", FIELDS)
def test_a_change_of_the_place_asks_for_the_password(
    team: Team, caller: Caller, field: str
) -> None:
    row, change = machine(team, host_key=FIRST), {field: changes(team)[field]}
    with pytest.raises(Invalid) as caught:
        services.change(caller, row.pk, change)
    assert [error.field for error in caught.value.errors] == ["password"]
    assert places.of(again(row)) == places.of(row)
    services.change(caller, row.pk, change | {"password": "given again"})
    assert sent_by(row) == "given again"


@pytest.mark.parametrize("field", FIELDS)
def test_a_row_that_was_changed_behind_our_back_sends_nothing(team: Team, field: str) -> None:
    row = machine(team, host_key=FIRST)
    Connection.objects.filter(pk=row.pk).update(**{field: changes(team)[field]})
    assert sent_by(row) == "key_unusable"
    Connection.objects.filter(pk=row.pk).update(**{field: getattr(row, field)})
    assert sent_by(row) == "s3cret", "back where it was given for"


def test_every_field_by_which_a_session_is_led_is_part_of_the_place() -> None:
    """A new field that leads elsewhere has to be thought of here, and in `places.Hop`."""
    credentials = {"auth_method", "ssh_key_path", *Connection.encrypted_names()}
    leads = Connection.SESSION_FIELDS - credentials - {"transport", "jump_connection"}
    assert leads == set(places.Hop._fields) - {"id"}


def test_taking_a_key_off_is_a_change_too(team: Team, caller: Caller) -> None:
    """Else the next one would be accepted as if it were the first."""
    row = machine(team, host_key=FIRST)
    with pytest.raises(Invalid):
        services.change(caller, row.pk, {"host_key": ""})
    Connection.objects.filter(pk=row.pk).update(host_key="")
    services.change(caller, row.pk, {"name": "other name"})
    with pytest.raises(Invalid):
        services.accept_host_key(caller, row.pk, SECOND)
    assert sent_by(row) == "key_unusable"


def test_a_first_acceptance_is_no_change(team: Team, caller: Caller) -> None:
    by_key, by_patch = machine(team), machine(team)
    services.accept_host_key(caller, by_key.pk, FIRST)
    services.change(caller, by_patch.pk, {"host_key": FIRST})
    for row in (by_key, by_patch):
        assert (again(row).host_key, sent_by(row)) == (FIRST, "s3cret")


def test_a_changed_key_takes_the_password_beside_it(team: Team, caller: Caller) -> None:
    row = machine(team, host_key=FIRST)
    with pytest.raises(Invalid) as caught:
        services.accept_host_key(caller, row.pk, SECOND)
    assert [error.field for error in caught.value.errors] == ["password"]
    assert again(row).host_key == FIRST
    services.accept_host_key(caller, row.pk, SECOND, "given again")
    assert (again(row).host_key, sent_by(row)) == (SECOND, "given again")
    services.accept_host_key(caller, row.pk, SECOND)


def test_private_keys_stay_usable_and_an_unused_password_is_forgotten(
    team: Team, caller: Caller
) -> None:
    row = machine(team, auth_method="key", host_key=FIRST)
    row.set_secret("private_key", "stays")
    row.save()
    services.change(caller, row.pk, {"hostname": "192.0.2.99"})
    services.accept_host_key(caller, row.pk, SECOND)
    assert (again(row).secret("private_key"), again(row).password_encrypted) == ("stays", "")
    with pytest.raises(Invalid, match="Give the password"):
        services.change(caller, row.pk, {"auth_method": "password"})


def test_back_where_it_was_given_for_needs_no_password(team: Team, caller: Caller) -> None:
    row = machine(team)
    Connection.objects.filter(pk=row.pk).update(port=2222)
    services.change(caller, row.pk, {"port": 22})
    assert sent_by(row) == "s3cret"


# --- Behind a jump host ---


@pytest.mark.parametrize("field", ["hostname", "port", "username", "host_key"])
def test_a_jump_host_that_leads_elsewhere_takes_no_password_along(
    team: Team, caller: Caller, field: str
) -> None:
    jump = factories.make_connection(team, host_key=FIRST)
    jump.set_secret("private_key", "of the jump host")
    jump.save()
    near = machine(team, jump_connection=jump)
    far = machine(team, jump_connection=near)
    services.change(caller, jump.pk, {field: changes(team)[field]})
    for row in (near, far):
        assert sent_by(row) == "key_unusable"
        services.change(caller, row.pk, {"name": f"renamed {row.pk}"})
        services.change(caller, row.pk, {"password": "given again"})
        assert sent_by(row) == "given again"


def test_the_first_key_of_a_jump_host_is_no_change_for_those_behind(
    team: Team, caller: Caller
) -> None:
    jump = factories.make_connection(team)
    near = machine(team, jump_connection=jump)
    far = machine(team, jump_connection=near)
    binned = machine(team, jump_connection=jump, deleted_at="2026-01-01T00:00Z")
    astray = machine(team, jump_connection=jump)
    Connection.objects.filter(pk=astray.pk).update(port=2222)
    services.accept_host_key(caller, jump.pk, FIRST)
    services.accept_host_key(caller, near.pk, FIRST)
    assert [sent_by(row) for row in (near, far, binned)] == ["s3cret"] * 3
    assert sent_by(astray) == "key_unusable"
    with pytest.raises(Invalid):
        services.accept_host_key(caller, near.pk, SECOND)


def lost(team: Team) -> dict[str, Callable[[Connection], Any]]:
    """What may become of a jump host, without a word to those behind it."""

    def update(**fields: Any) -> Callable[[Connection], Any]:
        return lambda jump: Connection.objects.filter(pk=jump.pk).update(**fields)

    return {
        "trash": update(deleted_at="2026-01-01T00:00Z"),
        "another team": update(team=factories.make_team()),
        "not reached over SSH": update(transport="local"),
    }


@pytest.mark.parametrize("fate", ["trash", "another team", "not reached over SSH"])
def test_both_ends_of_a_jump_are_looked_at_when_it_is_used(team: Team, fate: str) -> None:
    jump = factories.make_connection(team)
    row = machine(team, jump_connection=jump)
    lost(team)[fate](jump)
    with pytest.raises(ssh.ConnectError, match=fate):
        targets.target_of(again(row))


def test_a_machine_does_not_come_back_behind_another_teams_jump_host(
    team: Team, caller: Caller
) -> None:
    other = factories.make_team()
    factories.join(caller.user, other, Role.ADMINISTRATOR)
    jump = factories.make_connection(team)
    jump.set_secret("private_key", "of the jump host")
    jump.save()
    row = machine(team, jump_connection=jump)
    services.delete(caller, row.pk)
    services.change(caller, jump.pk, {"team_id": other.pk})
    with pytest.raises(Exception, match="another team"):
        services.restore(caller, row.pk)
    services.change(caller, jump.pk, {"team_id": team.pk})
    services.restore(caller, row.pk)
    assert sent_by(row) == "s3cret"


def test_a_forbidden_address_behind_a_jump_host_is_refused_at_use(team: Team) -> None:
    jump = factories.make_connection(team, auth_method="password")
    row = factories.make_connection(team, jump_connection=jump, hostname="169.254.169.254")
    row.set_secret("private_key", "k")
    row.save()
    with pytest.raises(ssh.ConnectError) as caught:
        targets._address(row, is_behind=True)
    assert caught.value.reason == "refused_address"


# --- What the person sees ---


def test_a_test_of_the_stored_machine_says_what_to_do(team: Team, settings: Any) -> None:
    settings.ALLOW_LOOPBACK = True
    row = machine(team, hostname="127.0.0.1", port=9)
    Connection.objects.filter(pk=row.pk).update(username="other")
    steps = list(diagnose._over_ssh(again(row), 1e9))
    assert [(step.name, step.ok) for step in steps] == [("auth", False)]
    assert "Enter the password again" in (steps[0].detail or "")


def test_the_page_of_a_changed_key_asks_for_the_password(team: Team, caller: Caller) -> None:
    row = machine(team, host_key=FIRST, reason="host_key_changed", offered_host_key=SECOND)
    client, path = Client(), f"/machines/{row.pk}/"
    client.force_login(caller.user)
    page = client.get(path, {"tab": "connection"}).content.decode()
    assert 'type="password" name="password"' in flat(page)
    told = client.post(f"{path}host-key", {"fingerprint": SECOND}, follow=True).content.decode()
    assert "Give the password again" in told
    assert again(row).host_key == FIRST
    long = client.post(f"{path}host-key", {"fingerprint": SECOND, "password": "x" * 2000})
    assert (long.status_code, again(row).host_key) == (302, FIRST)
    client.post(f"{path}host-key", {"fingerprint": SECOND, "password": "given again"})
    assert (again(row).host_key, sent_by(row)) == (SECOND, "given again")


def test_the_page_of_a_first_key_asks_for_none(team: Team, caller: Caller) -> None:
    row = machine(team, reason="host_key_unknown", offered_host_key=FIRST)
    client = Client()
    client.force_login(caller.user)
    page = client.get(f"/machines/{row.pk}/", {"tab": "connection"}).content.decode()
    assert 'name="password"' not in page


def test_over_the_api_the_field_is_named(team: Team, caller: Caller) -> None:
    row = machine(team, host_key=FIRST)
    api, path = Api(factories.make_token(caller.user)), f"/connections/{row.pk}"
    for answer in (
        api.patch(path, {"hostname": "192.0.2.99"}),
        api.post(f"{path}/host-key", {"fingerprint": SECOND}),
    ):
        assert (answer.status_code, fields_of(answer)) == (422, {"password"})
    sent = {"fingerprint": SECOND, "password": "given again"}
    assert api.post(f"{path}/host-key", sent).status_code == 200
    # A test of a draft has nothing but what is in its body.
    draft = {"name": "x", "hostname": "192.0.2.99", "username": "ml", "auth_method": "password"}
    assert fields_of(api.post("/connections/test", draft)) == {"password"}
