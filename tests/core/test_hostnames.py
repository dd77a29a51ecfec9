"""Host names of other alphabets: as IDNA 2008 has them, and refused wherever one may be given."""

import pytest

from accounts.models import Role
from connections import hostnames as connections_hostnames
from core.errors import Invalid
from core.security import address_policy, hostnames
from notifications.channels import addresses as channels
from tests import factories
from tests.api.client import Api, fields_of

# What Python's own codec drops or maps, so that two texts would be one name.
REFUSED = [
    "spa\u200brk.example",  # zero width space
    "spark\u2060.example",  # word joiner
    "\ufeffspark.example",  # byte order mark
    "ab\u200d.example",  # a joiner that joins nothing
    "sp\u00adark.example",  # soft hyphen
    "\u202espark.example",  # right to left override
    "spark\u200f.example",  # right to left mark
    "a\u0301b.example",  # a letter written in two parts
    "\uff53park.example",  # full width
    "spar\u212a.example",  # the Kelvin sign
    "\u2126.example",  # the Ohm sign
    "a\u3002example",  # another full stop
    "1\u0639\u0631.example",  # begins left to right, goes on right to left
    "spark\u180e.example",
    "sp\u034fark.example",  # combining grapheme joiner
    "\U0001f984.example",
    "\ud800.example",
    "xn--a.example",
    "xn--spark-lv3a.example",  # punycode of the first
]
TAKEN = {
    "Spark.Example": "spark.example",
    "B\u00dcCHER.example": "xn--bcher-kva.example",
    "fa\u00df.example": "xn--fa-hia.example",
    "\u0639\u0631\u0628\u064a.example": "xn--ngbrx4e.example",
    "\u0915\u094d\u200d\u0937.example": "xn--11b2ezcw70k.example",  # here the joiner is spelling
    "xn--bcher-kva.example": "xn--bcher-kva.example",
    "gpu_node-1.local": "gpu_node-1.local",
}


@pytest.mark.parametrize("name", REFUSED, ids=ascii)
def test_what_cannot_be_told_apart_is_no_name(name: str) -> None:
    with pytest.raises(Invalid) as caught:
        connections_hostnames.check_hostname(name)
    assert caught.value.errors[0].field == "hostname"
    with pytest.raises(address_policy.Unresolvable):
        address_policy.resolve(name, 22)


@pytest.mark.parametrize("name", TAKEN, ids=ascii)
def test_other_names_have_one_form(name: str) -> None:
    assert hostnames.ascii_form(name) == TAKEN[name]
    assert connections_hostnames.check_hostname(name) == TAKEN[name]
    assert hostnames.ascii_form(TAKEN[name]) == TAKEN[name]


@pytest.mark.django_db
def test_every_field_for_a_host_refuses_them(redis_client: object) -> None:
    team, user = factories.make_team(), factories.make_user()
    factories.join(user, team, Role.ADMINISTRATOR)
    api = Api(factories.make_token(user))
    machine = {"name": "n", "username": "ml", "auth_method": "password", "password": "x"}
    row = factories.make_connection(team)
    for name in REFUSED:
        if "\ud800" in name:
            continue  # no JSON
        sent = machine | {"hostname": name}
        for answer in (
            api.post("/connections", sent),
            api.post("/connections/test", sent),
            api.patch(f"/connections/{row.pk}", {"hostname": name}),
        ):
            assert (answer.status_code, fields_of(answer)) == (422, {"hostname"}), ascii(name)
        for kind, url in (("webhook", f"https://{name}/x"), ("apprise", f"gotifys://{name}/tok")):
            with pytest.raises(Invalid) as caught:
                channels.check(kind, url)
            assert caught.value.errors[0].field == "url", (kind, ascii(name))
    channel = {"name": "c", "kind": "webhook", "url": f"https://{REFUSED[-1]}/x"}
    answer = api.post("/notification-channels", channel | {"team_id": str(team.pk)})
    assert (answer.status_code, fields_of(answer)) == (422, {"url"})
