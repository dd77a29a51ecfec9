"""Who is called by whom: the arrows that would otherwise point up, all of them.

Two forms, and no third. A hook of ours (`core.hooks`) belongs to the module that calls it. A signal
stays where Django or allauth alone know that something happened: a person may be deleted by the
admin, a cascade or a command, and a login comes by many ways. Celery's own signals, with which a
process begins and ends, are in `dgxsite/celery.py`.
"""

from collections.abc import Callable
from typing import NamedTuple

from allauth.account import signals as account_signals
from allauth.mfa import signals as mfa_signals
from allauth.mfa.models import Authenticator
from allauth.socialaccount import signals as social_signals
from django.contrib.auth import signals as login_signals
from django.db.models import signals as row_signals
from django.dispatch import Signal

from accounts.audit import denials
from accounts.auth import mfa
from accounts.models import User
from accounts.signin import audit, email_address, password_audit
from accounts.signin import sessions as signin_sessions
from alerts.annotations import of_alerts
from alerts.watch import watch
from connections.keeper import keeper
from core.security import key_rotation
from exports import queue as export_queue
from jobs import notify, services, standing
from jobs.keeper import agent
from jobs.models import job as job_models
from metrics import annotations
from metrics.live import ingest
from projects import attached
from usage import noting


class Listener(NamedTuple):
    """What is called on a library's signal, of one model's rows if `sender` names it."""

    signal: Signal
    receiver: Callable[..., None]
    sender: type | None = None


LISTENERS = (
    # How a person logs in, and what of it the audit trail has to know.
    Listener(row_signals.pre_save, password_audit.note_new_password, User),
    Listener(row_signals.post_save, email_address.follow_change, User),
    Listener(row_signals.post_init, mfa.remember_seeds, Authenticator),
    Listener(row_signals.pre_save, mfa.bind_seeds, Authenticator),
    Listener(login_signals.user_logged_in, signin_sessions.start),
    Listener(account_signals.user_logged_in, denials.note_login),
    Listener(login_signals.user_logged_out, denials.note_logout),
    Listener(login_signals.user_login_failed, denials.note_failed_login),
    Listener(mfa_signals.authentication_failed, denials.note_failed_code),
    Listener(account_signals.email_changed, audit.note_email_change),
    Listener(mfa_signals.authenticator_added, audit.note_factor_added),
    Listener(mfa_signals.authenticator_removed, audit.note_factor_removed),
    Listener(mfa_signals.authenticator_reset, audit.note_factor_reset),
    Listener(social_signals.social_account_added, audit.note_provider_connected),
    Listener(social_signals.social_account_removed, audit.note_provider_disconnected),
    # What a person who is deleted leaves behind.
    Listener(row_signals.pre_delete, export_queue.give_up_exports_of, User),
    Listener(row_signals.pre_delete, standing.give_up_jobs_of, User),
)


def connect() -> None:
    """What every process needs; called once, when the apps are ready."""
    for signal, receiver, sender in LISTENERS:
        signal.connect(receiver, sender=sender)
    key_rotation.add(mfa.SEEDS)
    annotations.providers.register(of_alerts)
    attached.on_count.register(services.counts)
    attached.before_delete.register(services.refuse_while_running)
    job_models.on_change.register(notify.notify_change)


def connect_keeper() -> None:
    """What a process needs besides that becomes a keeper; called once, before it does.

    Metrics and jobs attach to every session; jobs, the usage ledger and the alerts note every
    sample.
    """
    keeper.on_connected.register(ingest.attach)
    keeper.on_connected.register(agent.job_agent.attach)
    keeper.on_round.register(ingest.flush)
    keeper.on_round.register(watch.pace)
    ingest.on_sample.register(agent.job_agent.note)
    ingest.on_sample.register(noting.note)
    ingest.on_sample.register(watch.note)
