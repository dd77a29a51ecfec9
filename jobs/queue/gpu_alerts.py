"""“Tell me when GPU 2 is free”: a wish, told once to who made it, and gone with that.

Free means what the machine's queue means by it, and that no job holds or waits for a GPU there:
who waits in the queue comes first. The keeper that holds the machine looks.
"""

from collections.abc import Collection, Sequence
from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from accounts import audit
from accounts.policy import Caller
from connections import services as connections
from connections.models import Connection
from core.background import isolation
from core.errors import Conflict
from jobs.keeper.agent import crew
from jobs.models import ACTIVE, GpuWish, Job, MachineQueue, Status
from jobs.queue.devices import Device
from jobs.queue.grant import DeviceReader, rules_of
from notifications import events

MOST_WISHES = 50


def of(caller: Caller, connection_id: UUID) -> QuerySet[GpuWish]:
    """The caller's own wishes on one machine."""
    machine = connections.find(caller, connection_id, "gpu.wish")
    return GpuWish.objects.filter(user_id=caller.user.pk, connection=machine).order_by("id")


def make(caller: Caller, connection_id: UUID, gpu: int | None) -> GpuWish:
    """Wish to be told; the same wish again is the one that is there."""
    machine = connections.find(caller, connection_id, "gpu.wish")
    with transaction.atomic():
        audit.record(caller, "gpu.wish", machine, gpu=gpu)
        mine = GpuWish.objects.filter(user_id=caller.user.pk)
        if mine.count() >= MOST_WISHES:
            raise Conflict(f"You wait for {MOST_WISHES} GPUs already.")
        row, _ = mine.get_or_create(user_id=caller.user.pk, connection=machine, gpu=gpu)
    return row


def drop(caller: Caller, connection_id: UUID, gpu: int | None) -> None:
    """Forget one wish of the caller's; one that was never made is forgotten as well."""
    machine = connections.find(caller, connection_id, "gpu.wish")
    with transaction.atomic():
        audit.record(caller, "gpu.unwish", machine, gpu=gpu)
        of(caller, connection_id).filter(gpu=gpu).delete()


def withdraw(caller: Caller, connection_id: UUID) -> int:
    """Forget the caller's wishes on one machine; how many there were."""
    machine = connections.find(caller, connection_id, "gpu.wish")
    with transaction.atomic():
        audit.record(caller, "gpu.unwish", machine)
        return of(caller, connection_id).delete()[0]


def look(machines: Collection[UUID]) -> int:
    """Fulfil the wishes on these machines that can be; how many."""
    wanted = GpuWish.objects.filter(connection_id__in=machines)
    ids = wanted.order_by("connection_id").values_list("connection_id", flat=True).distinct()
    told: list[int] = []
    isolation.each(
        list(ids),
        lambda id_: told.append(fulfil(id_, partial(crew.devices_of, id_))),
        name="wishes for the GPUs of",
    )
    return sum(told)


def fulfil(connection_id: UUID, devices: DeviceReader) -> int:
    """Tell of one machine's free GPUs who waits for them."""
    free = _free(connection_id, devices(rules_of(MachineQueue.of(connection_id))) or ())
    if not free:
        return 0
    with transaction.atomic():
        rows = GpuWish.objects.select_for_update(of=("self",), skip_locked=True)
        wishes = rows.filter(connection_id=connection_id).select_related("connection__team", "user")
        return isolation.each(wishes, lambda wish: _tell(wish, free), name="wish for a GPU")


def _free(connection_id: UUID, devices: Sequence[Device]) -> list[int]:
    """Whole GPUs that nobody uses; none while a job waits for one."""
    jobs = Job.objects.filter(connection_id=connection_id)
    if jobs.filter(status=Status.QUEUED).exclude(gpus=0).exists():
        return []
    granted = jobs.filter(status__in=ACTIVE, granted__isnull=False)
    held = {key for keys in granted.values_list("granted", flat=True) for key in keys or ()}
    whole = [one for one in devices if not one.is_slice and not one.is_split]
    return [int(one.key) for one in whole if one.use is None and one.key not in held]


def _tell(wish: GpuWish, free: Sequence[int]) -> bool:
    fitting = [gpu for gpu in free if wish.gpu in (None, gpu)]
    if not fitting:
        return False
    machine = wish.connection
    if Connection.objects.visible_to(wish.user).filter(pk=machine.pk).exists():
        events.notify(
            machine.team,
            "gpu_free",
            f"GPU {fitting[0]} of {machine.name} is free",
            "You wished to be told. Nobody holds it for you.",
            link=f"/machines/{machine.pk}/",
            subject=machine,
            dedupe_key=f"gpu_free:{wish.pk}",
            only=wish.user,
        )
    wish.delete()
    return True
