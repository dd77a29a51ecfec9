"""One trial: a random job, one fault at a random instant, and what the machine says of it."""

import random
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.faults import CHAOS
from tests.faults.jobs import PATIENCE_SECONDS, oracle
from tests.faults.jobs.faults import Fault
from tests.faults.jobs.stage import Stage

# Beside the job's own length: until what was broken is whole again and its end is known. That it
# takes no longer is promised by the long run, which has the machine for itself.
SETTLE_SECONDS = 60.0 if CHAOS else PATIENCE_SECONDS
_COMMAND = """\
record=$HOME/record id=$DGXSITE_JOB_ID
echo "start $id $(cat "$DGXSITE_BOOT_ID") $$" >>"$record"
end() { trap '' TERM; echo "end $id $1" >>"$record"; exit "$1"; }
trap '@TRAP@' TERM
n=0
while [ $n -lt @TENTHS@ ]; do
  echo "line $n"; head -c @BULK@ /dev/urandom; sleep 0.1; n=$((n+1))
done
end @CODE@
"""
_POLITE = 'echo "term $id" >>"$record"; end 7'


@dataclass(frozen=True)
class Plan:
    """What is drawn for a trial; times in seconds after the request for the job."""

    seconds: float
    exit_code: int
    bulk_bytes: int
    is_deaf: bool
    copies: int
    stop_at: float | None
    strike_at: float

    @classmethod
    def draw(cls, dice: random.Random, fault: Fault) -> "Plan":
        seconds = dice.uniform(3, 6) if fault.is_stopped else dice.uniform(0.2, 6)
        # A job that is stopped early never leads a keeper to the place at which it shall die.
        is_stopped = fault.is_stopped or (not fault.fail_at and dice.random() < 0.35)
        return cls(
            seconds,
            exit_code=dice.choice([0, 0, 1, 3, 200]),
            bulk_bytes=dice.choice([0, 100, 60_000]),
            is_deaf=dice.random() < 0.15,
            copies=dice.choice([1, 1, 4]),
            stop_at=dice.uniform(0, seconds) if is_stopped else None,
            strike_at=0.0 if fault.fail_at else dice.uniform(0, seconds + 0.7),
        )

    @property
    def command(self) -> str:
        text = _COMMAND.replace("@TRAP@", "" if self.is_deaf else _POLITE)
        text = text.replace("@TENTHS@", str(round(self.seconds * 10)))
        return text.replace("@BULK@", str(self.bulk_bytes)).replace("@CODE@", str(self.exit_code))

    @property
    def longest(self) -> float:
        return self.seconds + SETTLE_SECONDS


@dataclass(frozen=True)
class Result:
    """How a trial went; `complaints` is empty when the machine agrees with the site."""

    line: str
    complaints: tuple[str, ...]
    seconds: float


def run(stage: Stage, name: str, fault: Fault, dice: random.Random) -> Result:
    """One trial on a stage that is whole before and after it, however the trial goes."""
    began = time.monotonic()
    plan = Plan.draw(dice, fault)
    try:
        said, complaints = _attempt(stage, name, fault, plan, dice)
    except Exception as error:  # noqa: BLE001 (whatever it was, the other trials still run)
        stage.mend()
        said, complaints = f"given up: {error}", [traceback.format_exc()]
    seconds = time.monotonic() - began
    line = f"{name} {fault.number} {fault.what}: {said}, {seconds:.1f} s in all, {plan}"
    return Result(line, tuple(complaints), seconds)


def _attempt(
    stage: Stage, name: str, fault: Fault, plan: Plan, dice: random.Random
) -> tuple[str, list[str]]:
    """What became of the job, and what is wrong with that."""
    if fault.fail_at:
        stage.replace_keeper(fault.fail_at)
    stage.wait_connected()
    job_id = stage.submit(name, plan.command, plan.copies)
    stop_asked = _break(stage, job_id, fault, plan, dice)
    mended = time.monotonic()
    final = stage.final(job_id, plan.longest)
    settled = time.monotonic() - mended
    record = stage.host.record(job_id)
    complaints = oracle.complaints(record, final, stop_asked=stop_asked)
    if stage.count(name) != 1:
        complaints.append(f"{stage.count(name)} rows for one wish")
    if complaints:
        complaints += stage.story(job_id)
    return f"{final.status}, settled in {settled:.1f} s, {record}", complaints


def _break(stage: Stage, job_id: str, fault: Fault, plan: Plan, dice: random.Random) -> bool:
    """Break and mend something while somebody may ask for a stop; whether that was heard."""
    with ThreadPoolExecutor(1) as somebody:
        asked = None
        if plan.stop_at is not None:
            asked = somebody.submit(stage.stop_after, job_id, plan.stop_at)
        time.sleep(plan.strike_at)
        fault.strike(stage, job_id, dice)
        return asked is not None and asked.result()
