"""The demo's projects: each is made once, on the simulated machine of that name.

Only rows: the folder is made when the machine is first asked for it.
"""

from typing import Any

from accounts import audit
from accounts.models import Team
from connections.models import Connection
from projects.models import Project

_NOTE = "Not checked yet. The machine is asked when the folder is first needed."
_TRAINING_SCHEMA = {
    "type": "object",
    "required": ["epochs", "optimizer"],
    "properties": {
        "epochs": {"type": "integer", "minimum": 1},
        "batch_size": {"type": "integer", "minimum": 1},
        "optimizer": {
            "type": "object",
            "properties": {"lr": {"type": "number", "exclusiveMinimum": 0}},
        },
    },
}
# Machine → its projects.
_PROJECTS: dict[str, tuple[dict[str, Any], ...]] = {
    "sim-spark-1": (
        {
            "name": "mnist-baseline",
            "description": "The smallest run that shows a loss curve. Start here.",
            "remote_path": "~/projects/mnist",
            "config": {
                "epochs": 5,
                "batch_size": 128,
                "optimizer": {"name": "adamw", "lr": 0.001},
                "seed": 7,
            },
            "config_schema": _TRAINING_SCHEMA,
        },
        {
            "name": "whisper-inference",
            "description": "Transcribes the lab's recordings over night.",
            "project_type": "inference",
            "remote_path": "~/projects/whisper",
            "status": "paused",
            "config": {"model": "large-v3", "language": None, "beam_size": 5},
        },
    ),
    "sim-h100-8": (
        {
            "name": "llama-finetune",
            "description": "Instruction tuning on the team's own data, four GPUs at a time.",
            "remote_path": "~/projects/llama-finetune",
            "config": {
                "model": "llama-3.1-8b",
                "epochs": 3,
                "batch_size": 32,
                "optimizer": {"name": "adamw", "lr": 2e-05, "weight_decay": 0.01},
            },
            "config_schema": _TRAINING_SCHEMA,
        },
    ),
    "sim-radeon": (
        {
            "name": "diffusion-2023",
            "description": "Kept for its results.",
            "remote_path": "~/projects/diffusion",
            "status": "archived",
        },
    ),
}


def seed(team: Team) -> None:
    """Make what is missing; what somebody has deleted stays deleted. Inside a transaction."""
    for machine in Connection.objects.living().filter(team=team, name__in=_PROJECTS):
        known = set(machine.projects.values_list("name", flat=True))
        for fields in _PROJECTS[machine.name]:
            if fields["name"] not in known:
                _make(machine, fields)


def _make(machine: Connection, fields: dict[str, Any]) -> None:
    row = Project(connection=machine, path_note=_NOTE, create_directory=True, **fields)
    audit.record(None, "project.create", row, path=row.remote_path)
    row.save(force_insert=True)
