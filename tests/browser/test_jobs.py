"""Jobs in a browser: the list, the form, and a log that streams while somebody reads it."""

import json
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import User
from jobs import broadcast
from jobs.log import store as log_store
from jobs.models import Job, Status
from projects.models import Project
from tests import factories
from tests.browser.conftest import Fleet, Visitor
from tests.browser.test_every_page import check, first_view
from tests.jobs.rows import make_job
from tests.jobs.test_pages import ended

Visit = Callable[..., Visitor]

_SCRIPT_LIMIT, _METRICS_SCRIPT_LIMIT, _STYLE_LIMIT = 30 * 1024, 55 * 1024, 15 * 1024
_AT_THE_END = "box => box.scrollHeight - box.scrollTop - box.clientHeight < 5"
# The longest time between two frames while it is called, in milliseconds.
_SLOWEST = """() => { window.slowest = 0; let last = performance.now();
  const next = (now) => { window.slowest = Math.max(window.slowest, now - last); last = now;
    requestAnimationFrame(next); }; requestAnimationFrame(next); }"""


@pytest.fixture
def project(fleet: Fleet) -> Project:
    return factories.make_project(fleet.add("Spark 1"), name="mnist", resolved_path="/srv/mnist")


def running(project: Project, **fields: object) -> Job:
    job = make_job(project, **fields)
    job.move(Status.STARTING, "keeper")
    job.move(Status.RUNNING, "keeper", started_at=timezone.now() - timedelta(minutes=7))
    return job


def prints(job: Job, text: str, *, lose: bool = False) -> None:
    """What a keeper does with what a job has printed; with `lose` the push does not arrive."""
    offset, data = job.log_bytes, text.encode()
    log_store.append(job, data, timezone.now())
    if not lose:
        broadcast.log(job, offset, data)


def numbered(first: int, last: int, words: str = "") -> str:
    return "".join(f"row {number} {words}\n" for number in range(first, last + 1))


def open_log(visitor: Visitor, job: Job, rest: str = "") -> Page:
    page = visitor.open(f"/jobs/{job.pk}/?tab=log{rest}")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    return page


def test_the_last_thousand_lines_are_there_and_then_it_streams(
    visit: Visit, project: Project
) -> None:
    job = running(project)
    prints(job, numbered(1, 3000))
    visitor = visit()
    visitor.enter("boss")
    page = open_log(visitor, job)
    lines = page.locator(".log-lines .line")
    expect(lines).to_have_count(1000)
    expect(lines.last).to_contain_text("row 3000")
    prints(job, "row 3001\nhalf a li")
    expect(lines.last).to_contain_text("half a li")
    prints(job, "ne\n")
    expect(lines.last).to_contain_text("half a line")
    expect(page.locator("#L3002")).to_have_count(1)
    assert page.locator(".log-lines").evaluate(_AT_THE_END)
    # A push that is lost is noticed by the next one.
    prints(job, "row 3003\n", lose=True)
    prints(job, "row 3004\n")
    expect(lines.last).to_contain_text("row 3004")
    expect(page.locator("#L3003")).to_contain_text("row 3003")


def test_following_yields_to_the_reader_and_end_resumes(visit: Visit, project: Project) -> None:
    job = running(project)
    prints(job, numbered(1, 2500))
    visitor = visit()
    visitor.enter("boss")
    page = open_log(visitor, job)
    box = page.locator(".log-lines")
    expect(page.locator("#L2500")).to_be_in_viewport()
    box.hover()
    page.mouse.wheel(0, -400)
    expect(page.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "false")
    before = box.evaluate("box => box.scrollTop")
    prints(job, numbered(2501, 2512))
    newest = page.get_by_role("button", name="Jump to newest (12 new)")
    expect(newest).to_be_visible()
    assert abs(box.evaluate("box => box.scrollTop") - before) < 2
    newest.click()
    expect(page.locator("#L2512")).to_be_in_viewport()
    expect(page.get_by_role("button", name="Jump to newest")).to_be_hidden()
    # Earlier lines come when they are scrolled to, and what is read stays where it is.
    page.keyboard.press("Home")
    expect(page.locator("#L1100")).to_have_count(1)
    prints(job, "row 2513\n")
    expect(page.get_by_role("button", name="Jump to newest (1 new)")).to_be_visible()
    page.keyboard.press("End")
    expect(page.locator("#L2513")).to_be_in_viewport()


def test_searching_the_whole_log_and_links_to_lines(visit: Visit, project: Project) -> None:
    job = running(project)
    prints(job, numbered(1, 400) + "NEEDLE one\n" + numbered(402, 9000) + "a needle\n")
    visitor = visit()
    visitor.enter("boss")
    page = open_log(visitor, job)
    page.keyboard.press("/")
    page.keyboard.type("needle")
    page.keyboard.press("Enter")
    expect(page.get_by_text("2 of 2")).to_be_visible()
    expect(page.locator(".line-hit")).to_contain_text("a needle")
    page.get_by_role("button", name="Next match").click()
    expect(page.get_by_text("1 of 2")).to_be_visible()
    expect(page.locator(".line-hit")).to_contain_text("NEEDLE one")
    expect(page.locator("#L401")).to_be_in_viewport()
    assert "q=needle" in page.url
    page.locator("#L399 .line-number").click()
    assert page.url.endswith("#L399")
    page = open_log(visitor, job, "#L5000")
    expect(page.locator(".line-hit")).to_contain_text("row 5000")
    expect(page.locator("#L5000")).to_be_in_viewport()
    page.get_by_role("button", name="Jump to newest").click()
    expect(page.locator("#L9001")).to_be_in_viewport()


def test_colours_times_wrap_and_hostile_lines(visit: Visit, project: Project) -> None:
    job = running(project)
    prints(job, "\x1b[1;31mred\x1b[0m plain \x1b[38;2;0;255;0mgreen\x1b]0;title\x07\n")
    prints(job, "<img src=x onerror=alert(1)>\n 10 %\r 20 %\r")
    visitor = visit()
    visitor.enter("boss")
    page = open_log(visitor, job)
    expect(page.locator("#L1 .line-text")).to_have_text("red plain green")
    expect(page.locator("#L1 .ansi-ink-1.ansi-bold")).to_have_text("red")
    expect(page.locator("#L1 .ansi-ink-10")).to_have_text("green")
    expect(page.locator("#L2 .line-text")).to_have_text("<img src=x onerror=alert(1)>")
    expect(page.locator("#L3 .line-text")).to_have_text("20 %")
    prints(job, " 30 %\r")
    expect(page.locator("#L3 .line-text")).to_have_text("30 %")
    page.get_by_role("button", name="Colour").click()
    expect(page.locator("#L1 [class*=ansi]")).to_have_count(0)
    expect(page.locator("#L1 .line-text")).to_have_text("red plain green")
    page.get_by_role("button", name="Times").click()
    expect(page.locator("#L1 .line-time")).to_be_visible()
    page = open_log(visitor, job)
    expect(page.get_by_role("button", name="Times")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="Colour")).to_have_attribute("aria-pressed", "false")


def test_five_hundred_lines_a_second_keep_the_page_alive(visit: Visit, project: Project) -> None:
    job = running(project)
    prints(job, numbered(1, 4990))
    visitor = visit()
    visitor.enter("boss")
    page = open_log(visitor, job)
    page.evaluate(_SLOWEST)
    last = 4990
    begun = time.monotonic()
    for _ in range(20):  # four seconds of it
        prints(job, numbered(last + 1, last + 100, "\x1b[32mloss\x1b[0m=0.123"))
        last += 100
        page.wait_for_timeout(max(0, (last - 4990) * 2 - (time.monotonic() - begun) * 1000))
    expect(page.locator(f"#L{last}")).to_be_in_viewport()
    assert page.locator(".log-lines .line").count() <= 5000
    slowest = page.evaluate("window.slowest")
    print(f"slowest frame: {slowest:.0f} ms")
    # The goal is 200 ms; a machine that runs other tests at the same time is given slack.
    assert slowest < 1000


def test_a_window_that_is_full_and_read_stays_where_it_is(visit: Visit, project: Project) -> None:
    job = running(project)
    prints(job, numbered(1, 1000))
    visitor = visit()
    visitor.enter("boss")
    page = open_log(visitor, job)
    page.locator(".log-lines").hover()
    page.mouse.wheel(0, -600)
    expect(page.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "false")
    prints(job, numbered(1001, 7000))
    expect(page.get_by_text("Jump to newest (6")).to_be_visible()
    assert page.locator(".log-lines .line").count() <= 5000
    expect(page.locator("#L980")).to_have_count(1)
    page.keyboard.press("End")
    expect(page.locator("#L7000")).to_be_in_viewport()


def test_the_head_and_the_list_follow_the_state(visit: Visit, project: Project) -> None:
    job = running(project, name="run-7")
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open(f"/jobs/{job.pk}/")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    prints(job, "ValueError: bad\n", lose=True)
    job.move(Status.FAILED, "keeper", exit_code=1, reason="exit_code")
    broadcast.job(job)
    expect(page.locator("#job-head .job-state")).to_have_text("failed")
    page.get_by_role("link", name="ValueError: bad").click()
    expect(page.locator(".line-hit")).to_contain_text("ValueError: bad")
    expect(page.get_by_text("the job has ended")).to_be_visible()


def test_the_title_says_how_far_a_bar_is(visit: Visit, project: Project) -> None:
    job = running(project, name="resnet")
    prints(job, "  7%|▋         | 7/100 [00:10<02:12]\n")
    visitor = visit()
    visitor.enter("guest")
    page = open_log(visitor, job)
    expect(page).to_have_title("7 % · resnet · dgxsite")
    prints(job, "\r 62%|...\r 63%|██████▎   | 63/100 [01:40<00:59]")
    expect(page).to_have_title("63 % · resnet · dgxsite")
    job.move(Status.COMPLETED, "keeper", exit_code=0)
    broadcast.job(job)
    expect(page).to_have_title("resnet · dgxsite")


def test_stop_takes_two_steps_in_place(visit: Visit, project: Project) -> None:
    job = make_job(project, name="run-7")
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open("/jobs/")
    stop = page.locator("summary", has_text="Stop")
    stop.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Yes, stop it run-7")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Stopping run-7.")).to_be_visible()
    expect(page.get_by_role("button", name="Relaunch run-7")).to_be_visible()
    job.refresh_from_db()
    assert job.status == Status.STOPPED


def test_the_form_shows_the_command_and_keeps_what_was_typed(
    visit: Visit, project: Project
) -> None:
    visitor = visit()
    visitor.enter("boss")
    page = visitor.open(f"/jobs/add?project={project.pk}")
    page.get_by_role("textbox", name="Command", exact=True).fill("python train.py --lr 0.1")
    expect(page.locator("#preview-command")).to_contain_text("cd -- /srv/mnist")
    expect(page.locator("#preview-command")).to_contain_text("python train.py --lr 0.1")
    page.get_by_role("textbox", name="GPUs", exact=True).fill("two")
    expect(page.locator("#preview-command")).to_contain_text("A count such as 2")
    page.get_by_role("button", name="Start job").click()
    expect(page.locator("#gpus-error")).to_contain_text("A count such as 2")
    expect(page.get_by_role("textbox", name="GPUs", exact=True)).to_be_focused()
    expect(page.get_by_role("textbox", name="Command", exact=True)).to_have_value(
        "python train.py --lr 0.1"
    )
    page.get_by_role("textbox", name="GPUs", exact=True).fill("0")
    page.get_by_role("button", name="Start job").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("mnist")
    expect(page.get_by_text("Nothing printed yet")).to_be_visible()
    assert Job.objects.get().command == "python train.py --lr 0.1"
    visitor.forgive("422")


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("person", ["boss", "guest"])
def test_pages_are_accessible_narrow_and_light(
    visit: Visit, fleet: Fleet, project: Project, width: int, person: str
) -> None:
    visitor = visit(width)
    visitor.enter(person)
    found: dict[str, object] = {}
    check(visitor.open("/jobs/"), "/jobs/ empty", width, found)
    for path in furnish(project):
        if person == "guest" and "/add" in path:
            continue
        page = visitor.open(path)
        if "tab=log" in path:
            expect(page.locator(".line").first).to_be_attached()
        check(page, path, width, found)
        if width == 1280 and person == "boss":
            sizes, count = first_view(visitor, path)
            limit = _METRICS_SCRIPT_LIMIT if "metrics" in path else _SCRIPT_LIMIT
            print(path, json.dumps(sizes), count)
            if sizes.get("Script", 0) > limit or sizes.get("Stylesheet", 0) > _STYLE_LIMIT:
                found[f"{path} size"] = sizes
            assert count <= (22 if "metrics" in path else 15), (path, count)
    assert found == {}


def furnish(project: Project) -> list[str]:
    """Jobs of every state with hostile names; the addresses of all pages about them."""
    boss = User.objects.get(username="boss")
    waits = make_job(
        project,
        name="<img src=x onerror=alert(1)> and a name that goes on and on and on and on",
        waiting_reason="GPU 1 is used by user ml: python, 41 GB",
        requested_by=boss,
    )
    make_job(project, status=Status.PENDING, queued_at=None)
    for status in (Status.COMPLETED, Status.STOPPED, Status.LOST):
        ended(project, status, model_name="llama")
    failed = ended(project, Status.FAILED, exit_code=1, reason="exit_code", config={"lr": 0.1})
    prints(failed, "".join(f"\x1b[{code}mcolour {code}\x1b[0m\n" for code in range(30, 48)))
    prints(failed, "ValueError: bad\n")
    now = running(project, name="run-7", environment={"HF_TOKEN": "hunter22"}, requested_by=boss)
    prints(now, numbered(1, 100))
    gone = ended(project, name="gone")
    Job.objects.filter(pk=gone.pk).update(deleted_at=timezone.now())
    tabs = ["", "?tab=log", "?tab=config", "?tab=metrics"]
    return [
        "/jobs/",
        "/jobs/?status=failed&q=nothing",
        "/jobs/trash",
        f"/jobs/add?from={failed.pk}",
        f"/machines/{project.connection_id}/jobs",
        f"/jobs/{waits.pk}/",
        f"/jobs/{now.pk}/?tab=log",
        *(f"/jobs/{failed.pk}/{tab}" for tab in tabs),
    ]
