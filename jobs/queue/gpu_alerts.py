"""GPU availability alerts: “notify me when GPU 2 is free”, once, for the person who asked.

Free means what the machine's queue means by it, and that no job holds or waits for a GPU there:
who waits in the queue comes first. The keeper that holds the machine checks
(`jobs/keeper/gpu_alerts.py`).
"""

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from accounts import audit
from accounts.policy import Caller
from connections import services as connections
from connections.models import Connection
from core.background import isolation
from core.errors import Conflict
from jobs.models import ACTIVE, GpuWish, Job, MachineQueue, Status
from jobs.queue.devices import Device
from jobs.queue.grant import DeviceReader, rules_of
from notifications import events

MOST_ALERTS = 50


def own_alerts(caller: Caller, connection_id: UUID) -> QuerySet[GpuWish]:
    """The caller's own alerts on one machine."""
    machine = connections.find(caller, connection_id, "gpu.wish")
    return GpuWish.objects.filter(user_id=caller.user.pk, connection=machine).order_by("id")


def create_alert(caller: Caller, connection_id: UUID, gpu: int | None) -> GpuWish:
    """Ask to be notified; asking again gives the alert that is there."""
    machine = connections.find(caller, connection_id, "gpu.wish")
    with transaction.atomic():
        audit.record(caller, "gpu.wish", machine, gpu=gpu)
        mine = GpuWish.objects.filter(user_id=caller.user.pk)
        if mine.count() >= MOST_ALERTS:
            raise Conflict(f"You wait for {MOST_ALERTS} GPUs already.")
        row, _ = mine.get_or_create(user_id=caller.user.pk, connection=machine, gpu=gpu)
    return row


def cancel_alert(caller: Caller, connection_id: UUID, gpu: int | None) -> None:
    """Delete one alert of the caller's; one that was never created counts as deleted."""
    machine = connections.find(caller, connection_id, "gpu.wish")
    with transaction.atomic():
        audit.record(caller, "gpu.unwish", machine, gpu=gpu)
        own_alerts(caller, connection_id).filter(gpu=gpu).delete()


def cancel_alerts(caller: Caller, connection_id: UUID) -> int:
    """Delete the caller's alerts on one machine; returns how many there were."""
    machine = connections.find(caller, connection_id, "gpu.wish")
    with transaction.atomic():
        audit.record(caller, "gpu.unwish", machine)
        return own_alerts(caller, connection_id).delete()[0]


def notify_waiting(connection_id: UUID, devices: DeviceReader) -> int:
    """Notify who waits for one machine's free GPUs; returns how many were notified."""
    free = _free_gpus(connection_id, devices(rules_of(MachineQueue.of(connection_id))) or ())
    if not free:
        return 0
    with transaction.atomic():
        rows = GpuWish.objects.select_for_update(of=("self",), skip_locked=True)
        alerts = rows.filter(connection_id=connection_id).select_related("connection__team", "user")
        return isolation.each(alerts, lambda alert: _notify(alert, free), name="GPU alert")


def _free_gpus(connection_id: UUID, devices: Sequence[Device]) -> list[int]:
    """Whole GPUs that nobody uses; none while a job waits for one."""
    jobs = Job.objects.filter(connection_id=connection_id)
    if jobs.filter(status=Status.QUEUED).exclude(gpus=0).exists():
        return []
    granted = jobs.filter(status__in=ACTIVE, granted__isnull=False)
    held = {key for keys in granted.values_list("granted", flat=True) for key in keys or ()}
    whole = [device for device in devices if not device.is_slice and not device.is_split]
    return [int(gpu.key) for gpu in whole if gpu.use is None and gpu.key not in held]


def _notify(alert: GpuWish, free: Sequence[int]) -> bool:
    fitting = [gpu for gpu in free if alert.gpu in (None, gpu)]
    if not fitting:
        return False
    machine = alert.connection
    if Connection.objects.visible_to(alert.user).filter(pk=machine.pk).exists():
        events.notify(
            machine.team,
            "gpu_free",
            f"GPU {fitting[0]} of {machine.name} is free",
            "You wished to be told. Nobody holds it for you.",
            link=f"/machines/{machine.pk}/",
            subject=machine,
            dedupe_key=f"gpu_free:{alert.pk}",
            only=alert.user,
        )
    alert.delete()
    return True
