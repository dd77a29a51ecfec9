"""Teams, invitations, tokens and the audit trail in a real browser, on wide and narrow screens."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from accounts import audit, tokens
from accounts.models import Role, User
from accounts.policy import Caller
from accounts.teams import invitations
from tests import factories
from tests.browser.conftest import Fleet, Visitor
from tests.browser.test_every_page import check

Visit = Callable[..., Visitor]

LONG = "A name of a team that is much longer than what fits a narrow screen"


@pytest.mark.parametrize("width", [1280, 360])
def test_no_page_of_teams_breaks_a_rule_or_scrolls_sideways(
    visit: Visit, fleet: Fleet, width: int
) -> None:
    boss = Caller(User.objects.get(username="boss"))
    factories.join(boss.user, factories.make_team(LONG))
    _, secret = invitations.create(boss, fleet.team.pk, Role.VIEWER, "x" * 50 + "@example.org")
    token, _ = tokens.create(boss, "a script", "read", 30)
    tokens.revoke(boss, token.pk)
    tokens.create(boss, LONG, "admin", None)
    audit.record(boss, "test.action", fleet.team, detail=LONG.replace(" ", "-") * 3)
    visitor, found = visit(width), dict[str, object]()
    for path in (f"/join/{secret}", "/join/no-such-link"):
        check(visitor.open(path), path, width, found)
    visitor.enter("boss")
    for path in (
        "/teams/",
        f"/teams/{fleet.team.pk}/",
        f"/join/{secret}",
        "/account/",
        "/account/tokens",
        f"/account/tokens?revoked={token.pk}",
        "/audit/",
        "/audit/?actor=nobody",
    ):
        check(visitor.open(path), path, width, found)
    visitor.forgive("404")
    assert found == {}


def test_a_person_is_invited_and_joins_with_a_new_account(visit: Visit, fleet: Fleet) -> None:
    page = visit().enter("boss").open("/")
    page.goto(page.url + f"teams/{fleet.team.pk}/")
    page.get_by_role("region", name="Invite by link").get_by_label("As").select_option("operator")
    page.get_by_role("button", name="Make link").click()
    link = page.locator(".copy-line code").inner_text()
    guest = visit()
    shown = guest.open(link.removeprefix(guest.site))
    shown.get_by_label("User name").fill("newcomer")
    shown.get_by_label("Password").fill("a-long-Passw0rd-x")
    shown.get_by_role("button", name="Make an account and join").click()
    expect(shown.get_by_role("heading", level=1)).to_have_text("Machines")
    assert fleet.team.memberships.get(user__username="newcomer").role == Role.OPERATOR


def test_a_team_is_chosen_in_the_header_and_stays_chosen_live(visit: Visit, fleet: Fleet) -> None:
    boss, second = User.objects.get(username="boss"), factories.make_team("Second")
    factories.join(boss, second)
    fleet.add("In the first")
    factories.make_connection(second, name="In the second")
    page = visit().enter("boss").open("/")
    page.get_by_text("All teams").first.click()
    page.get_by_role("button", name="Second", exact=True).click()
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("[data-v=machines]")).to_have_text("1")
    page.reload()
    expect(page.locator("tbody tr a").first).to_have_text("In the second")


def test_a_revoked_token_is_brought_back(visit: Visit, fleet: Fleet) -> None:
    page = visit().enter("boss").open("/")
    page.goto(page.url + "account/tokens")
    page.get_by_label("What it is for").fill("ci")
    page.get_by_role("button", name="Make token").click()
    expect(page.locator(".copy-line code").first).to_contain_text("dgx_")
    page.get_by_role("button", name="Revoke ci").click()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Revoke ci")).to_be_visible()
