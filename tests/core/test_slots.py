"""Places for what takes long: so many in all, so many for one person, and always given back."""

import gc
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from core import problems
from core.errors import TooMany
from core.web.slots import RETRY_SECONDS, Place, Places


def some(in_all: int = 5, per_person: int = 2) -> Places:
    return Places("downloads", in_all=in_all, per_person=per_person)


def test_one_person_takes_a_few_and_leaves_the_rest_to_others() -> None:
    places = some()
    mine = [places.take("me") for _ in range(2)]
    with pytest.raises(TooMany, match="You have 2 downloads at once"):
        places.take("me")
    others = [places.take(name) for name in ("a", "a", "b")]
    with pytest.raises(TooMany, match="There are 5 downloads at once"):
        places.take("c")
    mine[0].close()
    places.take("c").close()
    assert places.taken == 4
    del others


def test_who_finds_none_is_told_when_to_come_again() -> None:
    places = some(per_person=0)
    with pytest.raises(TooMany) as refused:
        places.take("me")
    answer = problems.response(refused.value)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, str(RETRY_SECONDS))


def test_a_place_is_given_back_once_whatever_happens() -> None:
    places = some()
    with pytest.raises(ValueError, match="failed"), places.take("me"):
        raise ValueError("failed")
    assert places.taken == 0
    place = places.take("me")
    place.close()
    place.close()
    assert places.taken == 0
    forgotten = places.take("me")
    del forgotten
    gc.collect()
    assert places.taken == 0


def test_a_place_is_handed_over() -> None:
    places = some()
    with ExitStack() as opening:
        opening.enter_context(places.take("me"))
        kept = opening.pop_all()
    assert places.taken == 1
    kept.close()
    assert places.taken == 0


def test_threads_take_no_more_than_there_are() -> None:
    places = some(in_all=10, per_person=10)

    def take(number: int) -> Place | None:
        try:
            return places.take(number % 3)
        except TooMany:
            return None

    with ThreadPoolExecutor(16) as threads:
        taken = [place for place in threads.map(take, range(200)) if place]
        assert len(taken) == 10
        list(threads.map(Place.close, taken * 2))
    assert places.taken == 0
