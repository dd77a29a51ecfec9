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
from metrics import compare, compare_pages
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
        return HttpResponseRedirect(compare_pages.address([*texts, _added(form)]))
    items, problems = compare_pages.read(caller, texts, now)
    found = compare.compare(items, compare_pages.POINTS)
    shown = [compare_pages.text_of(item) for item in items]
    context = {
        "form": form,
        "problems": problems,
        "items": [
            {"label": compare_pages.label(item), "without": _without(shown, place)}
            for place, item in enumerate(items)
        ],
        "texts": shown,
        "query": compare_pages.address(shown),
        "energy": compare_pages.energy_rows(found),
        "sections": compare_pages.sections(found) if found else [],
        "curves": compare_pages.curves(found),
        "is_full": len(items) >= compare.MOST_ITEMS,
    }
    return render(request, "metrics/compare.html", context)


def _form(request: HttpRequest, machines: QuerySet[Connection]) -> CurveForm:
    chosen = preferences.of(caller_from_page(request).user).default_range
    data = request.GET if "machine" in request.GET else None
    return CurveForm(data, machines=machines, initial={"range": chosen})


def _added(form: CurveForm) -> str:
    found = form.cleaned_data
    return compare_pages.item_text(found["machine"].pk, form.range_text(), found["gpu"])


def _without(texts: list[str], place: int) -> str:
    return compare_pages.address(texts[:place] + texts[place + 1 :])


@login_required
@require_GET
def csv_file(request: HttpRequest) -> HttpResponse:
    """The figures of the same items, a line per item and series."""
    now = timezone.now()
    items, _ = compare_pages.read(caller_from_page(request), request.GET.getlist("item"), now)
    lines = compare_pages.as_csv(compare.compare(items, 1))
    answer = HttpResponse("".join(lines), content_type="text/csv; charset=utf-8")
    name = f"dgxsite-compare-{now:%Y-%m-%d}.csv"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
