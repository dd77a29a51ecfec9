"""The page on which runs stand beside each other, and its table as a file."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts.auth.callers import caller_from_page
from jobs.compare import load
from jobs.compare import page as compare_page
from jobs.compare.table import MOST_RUNS, table
from usage.models import UsageSettings


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """The runs of the address; one that the person may not see makes the whole absent."""
    wish = compare_page.read(request.GET)
    found = load.read(load.find(caller_from_page(request), wish.ids))
    groups = table([one.run for one in found], with_equal=wish.with_equal)
    value, names = compare_page.chosen_value(wish, found)
    ids = wish.ids
    context = {
        "wish": wish,
        "most": MOST_RUNS,
        "columns": [
            (one, wish.query(ids=ids[:place] + ids[place + 1 :])) for place, one in enumerate(found)
        ],
        "query": wish.query(),
        "other_query": wish.query(with_equal=not wish.with_equal),
        "sections": compare_page.sections(groups, found, UsageSettings.load().currency),
        "value": value,
        "names": names,
        "curves": compare_page.curves(found, value, wish.by) if value else [],
        "goes_on": any(not one.job.is_final for one in found),
        "is_read": all(one.is_read for one in found),
    }
    return render(request, "jobs/compare.html", context)


@login_required
@require_GET
def csv_file(request: HttpRequest) -> HttpResponse:
    """The same table with its values as they are."""
    wish = compare_page.read(request.GET)
    found = load.read(load.find(caller_from_page(request), wish.ids))
    groups = table([one.run for one in found], with_equal=wish.with_equal)
    lines = compare_page.as_csv(found, groups)
    answer = HttpResponse("".join(lines), content_type="text/csv; charset=utf-8")
    name = f"dgxsite-compare-jobs-{timezone.now():%Y-%m-%d}.csv"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
