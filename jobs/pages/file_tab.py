"""The tab Files of a job: what the address asks for, and what the page shows of it.

Paths are bytes, so the address is read and written here: Django's own query would replace what is
no UTF-8.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

from django.core.paginator import Paginator
from django.urls import reverse

from accounts.policy import Caller
from connections.files.browse import MOST_ENTRIES, Entry, Refused, Tree, shown
from connections.files.folders import NotReached
from jobs.files import access as files_access
from jobs.files.access import ROOTS, Preview, Root
from jobs.models import Job

PAGE = 100
_TITLES: dict[Root, str] = {"project": "Project", "job": "This job"}
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
# Key in the address → title, and what is compared. Folders always come first.
_ORDERS: dict[str, tuple[str, Callable[[Entry], Any]]] = {
    "name": ("Name", lambda entry: shown(entry.name).casefold()),
    "size": ("Size", lambda entry: entry.size or 0),
    "modified": ("Changed", lambda entry: entry.modified_at or _LONG_AGO),
}


@dataclass(frozen=True, slots=True)
class Place:
    """What the address says; anything that is not known counts as not said."""

    root: Root = "project"
    path: bytes = b""
    sort: str = "name"
    is_descending: bool = False
    shows_hidden: bool = False
    page: str = "1"

    @classmethod
    def read(cls, query: str) -> "Place":
        """From the query string, as it was sent."""
        fields = parse_qs(query, errors="surrogateescape")
        said = {name: values[-1] for name, values in fields.items()}
        sort = said.get("sort", "")
        return cls(
            root="job" if said.get("root") == "job" else "project",
            path=said.get("path", "").encode("utf-8", "surrogateescape").strip(b"/"),
            sort=sort if sort in _ORDERS else "name",
            is_descending=said.get("dir") == "desc",
            shows_hidden=said.get("hidden") == "1",
            page=_number(said.get("page", "")),
        )

    @property
    def href(self) -> str:
        said = {
            "tab": "files",
            "root": "job" if self.root == "job" else "",
            "sort": "" if self.sort == "name" else self.sort,
            "dir": "desc" if self.is_descending else "",
            "hidden": "1" if self.shows_hidden else "",
            "page": "" if self.page == "1" else self.page,
            "path": self.path,
        }
        return "?" + urlencode({name: value for name, value in said.items() if value}, safe="/")

    def at(self, path: bytes, page: str = "1") -> "Place":
        """The same view of another path."""
        return replace(self, path=path, page=page)


def _number(text: str) -> str:
    """Of a page; what is no number may not even be text, and means the first."""
    return text if text.isascii() and text.isdecimal() and len(text) <= 9 else "1"


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the listing."""

    name: str
    entry: Entry
    href: str
    target: str


def context(caller: Caller, job: Job, query: str) -> dict[str, Any]:
    """Everything the tab needs; what the machine refuses is `problem`, a sentence."""
    place = Place.read(query)
    found = _frame(place)
    try:
        with files_access.opened(caller, job, place.root) as tree:
            real = tree.resolve(place.path)
            if tree.describe(real).kind == "directory":
                return found | _folder(tree, place.at(real, place.page))
            return found | _file(job, place.at(real), files_access.preview(tree, real))
    except (Refused, NotReached) as error:
        return refused(place, error.detail)


def refused(place: Place, problem: str) -> dict[str, Any]:
    """The tab with nothing but a sentence."""
    return _frame(place) | {"problem": problem}


def download_href(job: Job, place: Place) -> str:
    path = quote(place.path, safe="/")
    return f"{reverse('job_file', args=[job.pk])}?root={place.root}&path={path}"


def _frame(place: Place) -> dict[str, Any]:
    crumbs = _crumbs(place)
    return {"tab": "files", "place": place, "crumbs": crumbs, "roots": _roots(place)}


def _file(job: Job, place: Place, seen: Preview) -> dict[str, Any]:
    return {"preview": seen, "crumbs": _crumbs(place), "download": download_href(job, place)}


def _folder(tree: Tree, place: Place) -> dict[str, Any]:
    seen = tree.folder(place.path)
    entries = [e for e in seen.entries if place.shows_hidden or not e.name.startswith(b".")]
    page = Paginator(_ordered(entries, place), PAGE).get_page(place.page)
    return {
        "crumbs": _crumbs(place),
        "lines": [_line(tree, place, entry) for entry in page.object_list],
        "hidden_count": sum(1 for entry in seen.entries if entry.name.startswith(b".")),
        "is_cut": seen.is_cut,
        "most": MOST_ENTRIES,
        "page": page,
        "previous": replace(place, page=str(page.number - 1)).href,
        "next": replace(place, page=str(page.number + 1)).href,
        "columns": [_column(key, title, place) for key, (title, _) in _ORDERS.items()],
        "toggle": replace(place, shows_hidden=not place.shows_hidden, page="1").href,
    }


def _ordered(entries: list[Entry], place: Place) -> list[Entry]:
    by_name = sorted(entries, key=_ORDERS["name"][1])
    ordered = sorted(by_name, key=_ORDERS[place.sort][1], reverse=place.is_descending)
    return sorted(ordered, key=lambda entry: entry.kind != "directory")


def _line(tree: Tree, place: Place, entry: Entry) -> Line:
    """What is no file and no folder, such as a pipe, cannot be opened."""
    path = _below(place.path, entry.name)
    target = tree.target(path) if entry.kind == "link" else None
    href = "" if entry.kind == "other" else place.at(path).href
    return Line(shown(entry.name), entry, href, shown(target or b""))


def _below(folder: bytes, name: bytes) -> bytes:
    return b"/".join((folder, name)) if folder else name


def _crumbs(place: Place) -> list[tuple[str, str]]:
    """The way from the root: names and addresses."""
    parts = [part for part in place.path.split(b"/") if part]
    paths = [b"/".join(parts[: count + 1]) for count in range(len(parts))]
    below = [(shown(part), place.at(path).href) for part, path in zip(parts, paths, strict=True)]
    return [(_TITLES[place.root], place.at(b"").href), *below]


def _roots(place: Place) -> list[tuple[str, str, bool]]:
    return [
        (_TITLES[root], replace(place, root=root).at(b"").href, root == place.root)
        for root in ROOTS
    ]


def _column(key: str, title: str, place: Place) -> dict[str, str]:
    is_sorted = place.sort == key
    turned = replace(place, sort=key, is_descending=is_sorted and not place.is_descending)
    order = "descending" if place.is_descending else "ascending"
    return {"key": key, "title": title, "href": turned.href, "order": order if is_sorted else ""}
