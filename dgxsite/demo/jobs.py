"""The demo's jobs: real programs that the simulated machines run, each made once per demo.

They print what training runs print, in the forms that the site reads as curves: one ends well, one
fails with a traceback, one goes on for an hour on two GPUs, one waits for it. They compute nothing:
the GPUs of a simulated machine follow its own jobs.
"""

from typing import Any

from accounts import audit
from accounts.models import AuditEvent, Team, User
from accounts.policy import Caller
from jobs import services
from jobs.models import Job
from projects.models import Project

_MADE = "site.demo_jobs"

_MNIST = r"""awk 'BEGIN {
  srand(7)
  for (step = 1; step <= 240; step++) {
    loss = 2.3 * exp(-step / 60) + 0.08 + rand() * 0.05
    printf "epoch=%d step=%d loss=%.4f accuracy=%.4f lr=0.001\n",
      int(step / 48) + 1, step, loss, 1 - loss / 2.6
    fflush()
    system("sleep 0.5")
  }
  print "saved checkpoint: runs/mnist.pt"
}'"""

_MNIST_TOO_FAST = r"""awk 'BEGIN {
  for (step = 1; step <= 12; step++) {
    printf "epoch=1 step=%d loss=%.4f lr=5.0\n", step, 2.3 * exp(step / 3)
    fflush()
    system("sleep 0.4")
  }
}'
cat >&2 <<'END'
Traceback (most recent call last):
  File "train.py", line 88, in <module>
    main()
  File "train.py", line 61, in main
    raise FloatingPointError(f"loss is {loss} at step {step}")
FloatingPointError: loss is nan at step 13
END
exit 1"""

# A dictionary per step, as Hugging Face's Trainer prints it.
_FINE_TUNING = r"""awk 'BEGIN {
  srand(11)
  for (step = 10; step <= 18000; step += 10) {
    loss = 1.1 * exp(-step / 4000) + 0.62 + rand() * 0.06
    printf "{\x27loss\x27: %.4f, \x27grad_norm\x27: %.3f, ", loss, 0.4 + rand()
    rate = 2e-5 * (1 - step / 18000)
    printf "\x27learning_rate\x27: %.3e, \x27epoch\x27: %.3f}\n", rate, step / 6000
    fflush()
    system("sleep 2")
  }
}'"""

# Project → what was sent, in this order; `after` is the name of an earlier one.
_JOBS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("mnist-baseline", {"name": "mnist", "command": _MNIST}),
    ("mnist-baseline", {"name": "mnist, learning rate 5", "command": _MNIST_TOO_FAST}),
    (
        "llama-finetune",
        {
            "name": "llama-3.1-8b, instructions",
            "model_name": "llama-3.1-8b",
            "command": _FINE_TUNING,
            "gpus": 2,
            "wait_for_gpu": False,
            "max_minutes": 120,
        },
    ),
    (
        "llama-finetune",
        {
            "name": "evaluation",
            "model_name": "llama-3.1-8b",
            "command": "echo accuracy=0.71",
            "gpus": 1,
            "after": "llama-3.1-8b, instructions",
        },
    ),
)


def seed(team: Team) -> None:
    """Make them, asked for by the demo's operator; what was deleted does not come back.

    Inside a transaction.
    """
    if AuditEvent.objects.filter(action=_MADE).exists():
        return
    caller = Caller(User.objects.get(username="operator"))
    made: dict[str, Job] = {}
    for project_name, sent in _JOBS:
        project = Project.objects.filter(connection__team=team, name=project_name).first()
        if project is not None:
            after = made.get(sent.get("after", ""))
            fields = sent | {"project_id": project.pk, "after": after.pk if after else None}
            made[sent["name"]] = services.create(caller, fields)
    audit.record(None, _MADE, team=team, jobs=len(made))
