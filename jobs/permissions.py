"""What the routes of jobs ask for, of a machine's queue and of its GPUs among them."""

from accounts.models import Role
from accounts.policy import AppPermissions, Right

_MACHINE_PAGE = "machines/<uuid:connection_id>/"
_PAGE = "jobs/<uuid:job_id>/"
_MACHINE = "connections/<connection_id>"
_JOB = "jobs/<job_id>"

PERMISSIONS = AppPermissions(
    actions={
        "job.list": Right.PERSON,
        "job.view": Role.VIEWER,
        "job.files": Role.OPERATOR,
        "job.create": Role.OPERATOR,
        "job.start": Role.OPERATOR,
        "job.stop": Role.OPERATOR,
        "job.retry": Role.OPERATOR,
        "job.change": Role.OPERATOR,
        "job.delete": Role.OPERATOR,
        "gpu.wish": Role.VIEWER,
        "queue.change": Role.ADMINISTRATOR,
    },
    pages={
        f"{_MACHINE_PAGE}jobs": {"GET": "job.view"},
        f"{_MACHINE_PAGE}queue": {"POST": "queue.change"},
        f"{_MACHINE_PAGE}gpu-alert": {"POST": "gpu.wish"},
        f"{_MACHINE_PAGE}gpu-wish": {"POST": "gpu.wish"},
        "jobs/": {"GET": "job.list"},
        "jobs/trash": {"GET": "job.list"},
        "jobs/add": {"GET": "job.create", "POST": "job.create"},
        "jobs/preview": {"POST": "job.create"},
        "jobs/compare": {"GET": "job.list"},
        "jobs/compare/csv": {"GET": "job.list"},
        _PAGE: {"GET": "job.view"},
        f"{_PAGE}lines": {"GET": "job.view"},
        f"{_PAGE}report": {"GET": "job.view"},
        f"{_PAGE}file": {"GET": "job.files"},
        f"{_PAGE}start": {"POST": "job.start"},
        f"{_PAGE}stop": {"POST": "job.stop"},
        f"{_PAGE}relaunch": {"POST": "job.retry"},
        f"{_PAGE}delete": {"POST": "job.delete"},
        f"{_PAGE}restore": {"POST": "job.delete"},
    },
    api={
        f"{_MACHINE}/gpu-alerts": {"GET": "gpu.wish", "POST": "gpu.wish", "DELETE": "gpu.wish"},
        f"{_MACHINE}/gpu-wishes": {"GET": "gpu.wish", "POST": "gpu.wish", "DELETE": "gpu.wish"},
        f"{_MACHINE}/queue": {"GET": "job.view", "PATCH": "queue.change"},
        "jobs": {"GET": "job.list", "POST": "job.create"},
        "jobs/compare": {"GET": "job.list"},
        _JOB: {"GET": "job.view", "PATCH": "job.change", "DELETE": "job.delete"},
        f"{_JOB}/restore": {"POST": "job.delete"},
        f"{_JOB}/start": {"POST": "job.start"},
        f"{_JOB}/stop": {"POST": "job.stop"},
        f"{_JOB}/retry": {"POST": "job.retry"},
        f"{_JOB}/events": {"GET": "job.view"},
        f"{_JOB}/metrics": {"GET": "job.view"},
        f"{_JOB}/scalars": {"GET": "job.view"},
        f"{_JOB}/bundle": {"GET": "job.view"},
        f"{_JOB}/log": {"GET": "job.view"},
        f"{_JOB}/log/download": {"GET": "job.view"},
        f"{_JOB}/log/search": {"GET": "job.view"},
    },
    topics={"job": "job.view"},
    admin_models=("jobs.job", "jobs.machinequeue"),
)
