"""What may stand in a job: variables, lists of GPUs, images. Each `ValueError` is a sentence."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from jobs.remote.launch import is_image

LONGEST_COMMAND = 400_000
MOST_VARIABLES = 200
LONGEST_VALUE = 32 * 1024
MOST_GPUS = 256
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_MIG = re.compile(r"MIG-[0-9A-Za-z/-]{1,100}")
_CONDA = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
# What changes the shell that runs the job, or what the queue gives it.
_RESERVED = frozenset(
    {
        "BASH_ENV",
        "BASHOPTS",
        "CUDA_DEVICE_ORDER",
        "CUDA_VISIBLE_DEVICES",
        "ENV",
        "EUID",
        "HIP_VISIBLE_DEVICES",
        "IFS",
        "LD_AUDIT",
        "LD_PRELOAD",
        "NVIDIA_VISIBLE_DEVICES",
        "PPID",
        "PROMPT_COMMAND",
        "PS4",
        "ROCR_VISIBLE_DEVICES",
        "SHELLOPTS",
        "UID",
    }
)
_OWN = "DGXSITE_"


def command(text: str) -> str:
    """A script of a shell, as it is; its line ends become those of the machine."""
    if "\x00" in text:
        raise ValueError("It holds a NUL.")
    if len(text.encode("utf-8", "replace")) > LONGEST_COMMAND:
        raise ValueError(f"It has more than {LONGEST_COMMAND} bytes.")
    return text.replace("\r\n", "\n")


def image(text: str) -> str:
    """The reference of a container image."""
    if not is_image(text):
        raise ValueError("It is not the name of an image, such as nvcr.io/nvidia/pytorch:25.01.")
    return text


def conda_env(text: str) -> str:
    if not _CONDA.fullmatch(text):
        raise ValueError("It has letters, digits, . _ or -.")
    return text


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Variables for the job; none that would change its shell or its GPUs."""
    if len(variables) > MOST_VARIABLES:
        raise ValueError(f"At most {MOST_VARIABLES} variables.")
    for name, value in variables.items():
        _check_name(name)
        _check_value(name, value)
    return dict(variables)


def gpus(value: Any) -> Any:
    """A count, or a list of different indices and MIG UUIDs."""
    if isinstance(value, int):
        if not 0 <= value <= MOST_GPUS:
            raise ValueError(f"A count is 0 to {MOST_GPUS}.")
        return value
    for item in value:
        if not _is_device(item):
            raise ValueError("Each GPU is an index from 0 on, or the UUID of a MIG slice.")
    if len(set(map(str, value))) != len(value):
        raise ValueError("A GPU stands there twice.")
    return value


def _is_device(item: Any) -> bool:
    if isinstance(item, int):
        return 0 <= item < MOST_GPUS
    return isinstance(item, str) and _MIG.fullmatch(item) is not None


def _check_name(name: str) -> None:
    if not _VARIABLE.fullmatch(name):
        raise ValueError("A variable's name has letters, digits and _, and begins with no digit.")
    if name in _RESERVED or name.startswith(_OWN):
        raise ValueError(f"{name} is set by the site, or would change how the job is run.")


def _check_value(name: str, value: str) -> None:
    if len(value.encode("utf-8", "replace")) > LONGEST_VALUE:
        raise ValueError(f"{name} is longer than {LONGEST_VALUE} bytes.")
    if any(unicodedata.category(c) in ("Cc", "Cs") and c != "\t" for c in value):
        raise ValueError(f"{name} holds a line break or another control character.")
