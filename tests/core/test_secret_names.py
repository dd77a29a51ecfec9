"""What is taken for a secret by its name, and what comes back from behind the stars."""

import resource
import subprocess
import sys
from typing import Any

import pytest

from core.errors import Invalid
from core.security.secret_names import MASK, masked, unmasked
from projects import hidden as texts

SECRET = [
    "api_key", "apiKey", "API-KEY", "api key", "openai_api_key", "wandb_key", "password",
    "dbPassword", "passwd", "passphrase", "client_secret", "secret", "secrets", "credentials",
    "token", "hf_token", "accessToken", "auth_tokens", "aws_secret_access_key", "private_key",
    "HF_TOKEN", "MY_KEY", "authorization", "password2", "api_key_value", "dsn",
]  # fmt: skip
OPEN = [
    "max_tokens", "tokenizer", "pad_token", "eos_token", "stop_tokens", "sort_key", "key", "keys",
    "label_key", "tokens_per_second", "num_secret_layers", "passwordless", "secretary", "monkey",
    "n_tokens", "token_count", "bypass", "lr",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRET)
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [v], lambda v: {"deep": [{"x": v}]}])
def test_a_text_below_such_a_name_is_hidden_however_deep(name: str, wrap: Any) -> None:
    assert "sesame" not in str(masked({"a": [{name: wrap("sesame")}]}))


@pytest.mark.parametrize("name", OPEN)
def test_what_only_sounds_so_is_shown(name: str) -> None:
    assert masked({name: "</s>"}) == {name: "</s>"}


def test_what_is_no_secret_stays() -> None:
    value = {"token": 5, "password": "", "secret": None, "api_key": True, "lr": 0.1, "n": [1, "a"]}
    assert masked(value) == value
    assert masked({"password": 1234, "pair": {"name": "HF_TOKEN", "value": "x"}}) == {
        "password": MASK,
        "pair": {"name": "HF_TOKEN", "value": MASK},
    }


def test_what_comes_back_as_it_was_shown_is_what_is_stored() -> None:
    stored = {"a": {"api_key": "sesame", "password": 12}, "l": [{"token": "t"}], "open": "o"}
    assert unmasked(masked(stored), masked(stored), stored) == stored
    sent = {"a": {"api_key": "new", "password": MASK}, "open": MASK, "l": []}
    assert unmasked(sent, masked(stored), stored) == {
        "a": {"api_key": "new", "password": 12},
        "open": MASK,
        "l": [],
    }


# --- Texts ---

STORED = '{ "lr": 1e-4,\n   "api_key" : "ses\\u0061me", "pin": {"password": 12},\n "z": [ ] }'


def test_a_text_is_shown_as_it_was_written_but_for_the_secrets() -> None:
    shown = texts.shown(STORED)
    stars = f'"{MASK}"'
    assert shown == STORED.replace('"ses\\u0061me"', stars).replace("12", stars)
    assert texts.kept(shown, STORED) == STORED
    assert texts.kept(shown.replace("1e-4", "2e-4"), STORED) == STORED.replace("1e-4", "2e-4")


def test_another_value_is_said_to_be_another_one_without_being_shown() -> None:
    after = STORED.replace("ses\\u0061me", "other")
    shown = texts.shown(after, STORED)
    assert "other" not in shown
    assert f'"api_key" : "{MASK} (changed)"' in shown
    assert f'{{"password": "{MASK}"}}' in shown


@pytest.mark.parametrize(
    "sent",
    [
        f'{{"token": "{MASK}"}}',
        f'{{"a": {{"api_key": "{MASK}"}}}}',
        f'{{"l": [{{"token": "{MASK}"}}]}}',
    ],
)
def test_stars_without_a_value_are_refused(sent: str) -> None:
    stored = '{"api_key": "k", "l": [{"token": "one"}, {"token": "two"}]}'
    with pytest.raises(Invalid, match="came masked"):
        texts.kept(sent, stored)


def test_a_text_that_is_no_json_passes_as_it_is() -> None:
    assert texts.kept('{"api_key": ', STORED) == '{"api_key": '
    assert texts.shown("nothing", STORED) == "nothing"


_HARD = (
    "{'a_' * 60_000: 'x'}",
    "{'token' * 20_000: 'x'}",
    "{f'api_key{i}': 'x' for i in range(20_000)}",
    "{'aA' * 60_000: 'x'}",
    "{'_' * 120_000 + 'token': 'x'}",
)


@pytest.mark.parametrize("made", _HARD)
def test_no_configuration_costs_more_than_a_moment(made: str) -> None:
    """Two seconds of CPU, the start of the program included, for 128 KiB of the worst."""
    program = f"from core.security.secret_names import masked; masked({made})"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (2, 2))

    subprocess.run([sys.executable, "-c", program], check=True, preexec_fn=limit, timeout=300)
