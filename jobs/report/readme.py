"""The README.txt of a bundle: what its files and their columns mean. Pure."""

from jobs.models import Job
from jobs.report.tables import UNITS

_WORDS = {
    "percent": "percent, 0 to 100",
    "celsius": "degrees Celsius",
    "watts": "watts",
    "bytes": "bytes",
    "bytes_per_second": "bytes per second",
    "mhz": "MHz",
    "share": "share of the window, 0 to 1",
    "load": "processes that run or wait to run",
}

_TEXT = """\
The run "{name}"
job {id}

All times are UTC. What the machine did not report is null, never zero. Values of secret variables
are starred out.

report.json      the job, its steps, the exact command, what it used, the last of what it printed
                 energy_wh: watt-hours of the granted GPUs, by whatever computed on them;
                 measured_seconds: how much of the run energy and mean utilisation cover;
                 peak_gpu_memory_bytes: of the job's own processes; cost: in `currency`
config.json      the job's configuration
origin.json      what the run began from: machine, git commit, Python, GPUs; null if that is unknown
metrics.parquet  the machine and each granted GPU over the run, one row per window and device
scalars.parquet  what the job printed, one row per value
log.txt          the log, as far as the site has copied it; a secret is as many * as it had bytes

metrics.parquet
  timestamp      end of a window of 20 s; of a run that is longer than a day, or whose windows have
                 been thrown away, start of an hour or of a day
  device         "machine" (its GPUs together), or "gpu0", "gpu1" …
  each value as _avg, _min and _max over the window:
{metrics}

scalars.parquet
  name           as the job printed it
  step           the step that stood in its line, else a count
  value          null where it was not finite
  timestamp      when the site received the line
"""


def readme(job: Job) -> str:
    """The file's text."""
    metrics = "\n".join(f"  {name:<30} {_WORDS[unit]}" for name, unit in UNITS.items())
    return _TEXT.format(name=job.name, id=job.pk, metrics=metrics)
