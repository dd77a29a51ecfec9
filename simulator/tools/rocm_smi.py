"""The fake `rocm-smi`: `-a`, the `--show…` options, with `--json` or as lines, and the table."""

import json
import sys

from simulator.tools.tables import Row, read_table

# option -> the JSON keys it adds to each card; an empty tuple asks for everything
_KEYS: dict[str, tuple[str, ...]] = {
    "--showuse": ("GPU use (%)",),
    "--showmemuse": ("GPU Memory Allocated (VRAM%)", "GPU Memory Read/Write Activity (%)"),
    "--showmeminfo": ("VRAM Total Memory (B)", "VRAM Total Used Memory (B)"),
    "--showtemp": (
        "Temperature (Sensor edge) (C)",
        "Temperature (Sensor junction) (C)",
        "Temperature (Sensor memory) (C)",
    ),
    "--showpower": ("Average Graphics Package Power (W)",),
    "--showmaxpower": ("Max Graphics Package Power (W)",),
    "--showfan": ("Fan speed (level)", "Fan speed (%)", "Fan RPM"),
    "--showclocks": (
        "mclk clock speed:",
        "mclk clock level:",
        "sclk clock speed:",
        "sclk clock level:",
    ),
    "--showperflevel": ("Performance Level",),
    "--showproductname": (
        "Card Series",
        "Card Model",
        "Card Vendor",
        "Card SKU",
        "Node ID",
        "GUID",
        "GFX Version",
    ),
    "--showid": ("Device Name", "Device ID", "GUID"),
    "--showuniqueid": ("Unique ID",),
    "--showbus": ("PCI Bus",),
    "--showdriverversion": (),
    "--showpids": (),
    "--json": (),
}
_SHORT = {
    "-u": "--showuse",
    "-t": "--showtemp",
    "-P": "--showpower",
    "-f": "--showfan",
    "-c": "--showclocks",
    "-i": "--showid",
    "-b": "--showbus",
    "-a": "--showallinfo",
}
_SYSTEM_KEYS = ("Driver version",)


def main(state_dir: str, arguments: list[str]) -> int:
    """Be rocm-smi; 2 for an option that it does not know."""
    options = [_SHORT.get(argument, argument) for argument in arguments]
    # `--showmeminfo` takes the kinds of memory; only vram is there.
    options = [name for name in options if name not in ("vram", "all")]
    unknown = [name for name in options if name not in _KEYS and name != "--showallinfo"]
    if unknown:
        sys.stderr.write(f"rocm-smi: error: unrecognized arguments: {' '.join(unknown)}\n")
        return 2
    cards = read_table(state_dir, "cards")
    if not [name for name in options if name != "--json"]:
        options += ["--showuse", "--showmemuse", "--showtemp", "--showpower"]
    answer = _answer(state_dir, cards, options)
    if "--json" in options:
        sys.stdout.write(json.dumps(answer) + "\n")
    else:
        _print_lines(answer)
    return 0


def _answer(state_dir: str, cards: list[Row], options: list[str]) -> dict[str, Row]:
    wants_all = "--showallinfo" in options
    keys = {key for name in options for key in _KEYS.get(name, ())}
    answer = {
        f"card{index}": {
            key: value
            for key, value in card.items()
            if (wants_all and key not in _SYSTEM_KEYS) or key in keys
        }
        for index, card in enumerate(cards)
    }
    answer = {name: values for name, values in answer.items() if values}
    system = _system(state_dir, cards, options, wants_all=wants_all)
    return answer | ({"system": system} if system else {})


def _system(state_dir: str, cards: list[Row], options: list[str], *, wants_all: bool) -> Row:
    system: Row = {}
    if wants_all or "--showdriverversion" in options:
        system["Driver version"] = cards[0]["Driver version"]
    if wants_all or "--showpids" in options:
        for row in read_table(state_dir, "kfd"):
            # name, number of GPUs, VRAM bytes, SDMA bytes, compute units
            system[f"PID{row['pid']}"] = f"{row['name']}, 1, {row['memory_bytes']}, 0, unknown"
    return system


def _print_lines(answer: dict[str, Row]) -> None:
    sys.stdout.write(f"\n{' ROCm System Management Interface ':=^96}\n")
    for name, values in answer.items():
        place = f"GPU[{name.removeprefix('card')}]" if name != "system" else "system"
        for key, value in values.items():
            sys.stdout.write(f"{place}\t\t: {key}: {value}\n")
    sys.stdout.write(f"{' End of ROCm SMI Log ':=^96}\n")
