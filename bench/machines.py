"""A program: light simulated machines in a process of their own, whose CPU time is not ours.

They play the recording to a collector, and answer any other command with the bytes that one sample
of it has, so that a poll by exec carries as much as a frame.
"""

import argparse
import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import talk
from simulator import light, recording

POLL_COMMAND = "poll"


def sample_bytes(kept: recording.Recording, interval_seconds: float = 2.0) -> int:
    """The mean size of one sample of the recording, with the records between the frames."""
    marker = b"0" * 32
    total = sum(len(event.render(marker, 0)) for event in kept.round)
    return round(total * interval_seconds / kept.round_seconds)


def answers(kept: recording.Recording) -> Sequence[light.Answer]:
    text = (b"one poll reads as many bytes as one sample of the stream has\n" * 4096)[
        : sample_bytes(kept)
    ]
    return (light.Answer(f"^{POLL_COMMAND}$", text), *light.ANSWERS)


async def _serve(count: int, folder: Path, kept: recording.Recording) -> None:
    loop, over = asyncio.get_running_loop(), asyncio.Event()

    def talk_then_end() -> None:
        talk.serve(state)
        loop.call_soon_threadsafe(over.set)

    def state() -> dict[str, Any]:
        return {"machines": count, "sample_bytes": sample_bytes(kept)}

    async with light.start(count, folder, kept, answers=answers(kept)):
        threading.Thread(target=talk_then_end, daemon=True).start()
        await over.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("recording", type=Path)
    options = parser.parse_args()
    asyncio.run(_serve(options.count, options.folder, recording.load(options.recording)))


if __name__ == "__main__":
    main()
