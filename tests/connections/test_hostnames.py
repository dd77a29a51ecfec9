"""Host names: their stored form, and hints for the usual mistakes."""

import pytest

from connections import hostnames
from core.errors import Invalid


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("Spark.Example", "spark.example"),
        ("spark", "spark"),
        ("gpu_node-1", "gpu_node-1"),
        ("192.168.1.20", "192.168.1.20"),
        ("2001:DB8::0:5", "2001:db8::5"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("1.2.3.example", "1.2.3.example"),
    ],
)
def test_good_names_in_their_stored_form(text: str, stored: str) -> None:
    assert hostnames.check_hostname(text) == stored


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("spark.", "dot"),
        ("ml@spark", "user name"),
        ("ssh://spark", "scheme"),
        ("spark:22", "port"),
        ("[::1]", "brackets"),
        ("127.1", "four numbers"),
        ("2130706433", "four numbers"),
        ("0x7f000001", "four numbers"),
        ("", "Give a host name"),
        ("-oProxyCommand=x", "letters"),
    ],
)
def test_usual_mistakes_get_a_hint(text: str, hint: str) -> None:
    with pytest.raises(Invalid) as caught:
        hostnames.check_hostname(text)
    assert hint in caught.value.detail
    assert caught.value.errors[0].field == "hostname"
