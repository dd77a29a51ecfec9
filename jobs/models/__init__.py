"""Jobs, their logs and what came of them, the queues of machines, and the states of a job."""

from jobs.models.job import MASK, Job, JobChange, JobQuerySet, Kind
from jobs.models.log import LogChunk
from jobs.models.queue import MachineQueue
from jobs.models.results import GpuWish, JobMeasure, JobOrigin, JobScalars
from jobs.models.states import ACTIVE, FINAL, WAITING, Reason, Status

__all__ = [
    "ACTIVE",
    "FINAL",
    "MASK",
    "WAITING",
    "GpuWish",
    "Job",
    "JobChange",
    "JobMeasure",
    "JobOrigin",
    "JobQuerySet",
    "JobScalars",
    "Kind",
    "LogChunk",
    "MachineQueue",
    "Reason",
    "Status",
]
