"""The page that compares machines, spans and GPUs, and its figures as a file."""

from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts import preferences
from accounts.auth.callers import caller_from_page
from connections.models import Connection
from metrics.compare import page as compare_page
from metrics.compare import table
from metrics.forms import CurveForm


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponseBase:
    """What the items of the address have in common and what not; a form adds one."""
    caller, now = caller_from_page(request), timezone.now()
    texts = request.GET.getlist("item")
    machines = Connection.objects.visible_to(caller.user).order_by("name")
    form = _form(request, machines)
    if form.is_bound and form.is_valid():
        return HttpResponseRedirect(compare_page.address([*texts, _added(form)]))
    items, problems = compare_page.read(caller, texts, now)
    found = table.compare(items, compare_page.POINTS)
    shown = [compare_page.text_of(item) for item in items]
    context = {
        "form": form,
        "problems": problems,
        "items": [
            {"label": compare_page.label(item), "without": _without(shown, place)}
            for place, item in enumerate(items)
        ],
        "texts": shown,
        "query": compare_page.address(shown),
        "energy": compare_page.energy_rows(found),
        "sections": compare_page.sections(found) if found else [],
        "curves": compare_page.curves(found),
        "is_full": len(items) >= table.MOST_ITEMS,
    }
    return render(request, "metrics/compare.html", context)


def _form(request: HttpRequest, machines: QuerySet[Connection]) -> CurveForm:
    chosen = preferences.of(caller_from_page(request).user).default_range
    data = request.GET if "machine" in request.GET else None
    return CurveForm(data, machines=machines, initial={"range": chosen})


def _added(form: CurveForm) -> str:
    found = form.cleaned_data
    return compare_page.item_text(found["machine"].pk, form.range_text(), found["gpu"])


def _without(texts: list[str], place: int) -> str:
    return compare_page.address(texts[:place] + texts[place + 1 :])


@login_required
@require_GET
def csv_file(request: HttpRequest) -> HttpResponse:
    """The figures of the same items, a line per item and series."""
    now = timezone.now()
    items, _ = compare_page.read(caller_from_page(request), request.GET.getlist("item"), now)
    lines = compare_page.as_csv(table.compare(items, 1))
    answer = HttpResponse("".join(lines), content_type="text/csv; charset=utf-8")
    name = f"dgxsite-compare-{now:%Y-%m-%d}.csv"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
