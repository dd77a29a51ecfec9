"""The History section of a machine's page: what its frame needs to be painted and filled.

The numbers themselves come from the API; here stand the choices, and since when there are any.
"""

from collections.abc import Mapping
from typing import Any

from django.http import QueryDict

from connections.models import Connection
from metrics import annotations, charts
from metrics.forms import WindowForm


def context(
    connection: Connection,
    query: QueryDict,
    sample: Mapping[str, Any] | None,
    default_range: str,
    window_form: WindowForm,
) -> dict[str, Any]:
    """What `metrics/_history.html` shows; two queries whatever the length of the history."""
    gpus = charts.gpu_indices(connection.pk, sample)
    wanted = query.get("gpu", "")
    since, newest = charts.coverage(connection.pk)
    return {
        "charts": charts.CHARTS,
        "ranges": charts.RANGES,
        "chosen_range": _range(query, default_range),
        "gpus": gpus,
        "history_gpu": next((index for index in gpus if str(index) == wanted), None),
        "has_marks": not annotations.is_empty(),
        "since": since,
        "newest": newest,
        "window_form": window_form,
    }


def _range(query: QueryDict, default: str) -> str:
    """The named range that is shown; none while a window of one's own is, which may have no end."""
    if query.get("start"):
        return ""
    wanted = query.get("range", "")
    return wanted if wanted in {key for key, _, _ in charts.RANGES} else default


def window_form(query: QueryDict) -> WindowForm:
    """Bound when the form was sent, else empty."""
    return WindowForm(query) if "from" in query or "to" in query else WindowForm()


def address(query: QueryDict, form: WindowForm) -> str:
    """The page's query string for the window in a valid form."""
    chosen = query.copy()
    for name in ("from", "to", "range", "zoom"):
        chosen.pop(name, None)
    chosen["start"], chosen["end"] = form.span()
    return f"?{chosen.urlencode(safe=':')}#history"
