"""Each figure in the table of limits of docs/security.md is the one in the code."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from accounts import tokens
from accounts.teams import invitations, quotas
from connections import inputs as connections_inputs
from connections import visits
from connections.ssh import sftp, transport
from core import redis_patience, strict_json
from core.background import task_turns
from core.web import body_limit, request_turns, streaming
from dgxsite.http import protocol as http_protocol
from dgxsite.sockets import consumers, revalidate
from exports import copying, queue, room
from jobs.keeper import log_budget
from jobs.log import search as log_search
from jobs.tracking import curve_reader
from metrics.collectors import documents, readings
from metrics.collectors.linux import docker_ps, network, proc
from metrics.collectors.linux.df import MAX_DISKS
from metrics.collectors.nvidia import feed
from metrics.live import pace
from notifications import services
from notifications.channels import apprise_child, apprise_door
from notifications.delivery import claiming
from notifications.models import ChannelKind
from projects import schema_checks
from usage import attribution

_TABLE = Path(__file__).resolve().parents[2] / "docs" / "security.md"
_MIB, _KIB = 2**20, 2**10
_DELIVERIES = [
    claiming.LANES[way] for way in (ChannelKind.WEBHOOK, ChannelKind.APPRISE, claiming.EMAIL)
]
_OF_PERSON, _OF_TEAM = quotas.OF_PERSON, quotas.OF_TEAM
# The row, and what its figures are, in their order.
FIGURES: dict[str, list[float]] = {
    "Connections to PostgreSQL, per process": [8],
    "Deliveries under way in the whole site": [
        *(lane.at_once for lane in _DELIVERIES),
        *(lane.per_team for lane in _DELIVERIES),
        1,
    ],
    "A message to a chat service": [
        apprise_child.MEMORY_BYTES / _MIB,
        apprise_child.CPU_SECONDS,
        apprise_door.DEADLINE_SECONDS,
    ],
    "Tests of channels, per person": [services.TESTS_PER_MINUTE, apprise_door.EVEN_SECONDS],
    "A job's log": [settings.JOB_LOG_LIMIT_BYTES / _MIB, log_budget.BYTES_PER_MINUTE / _MIB],
    "Tasks of one name in a process": [1, task_turns.LONG_AT_ONCE],
    "Waiting for one, or for PostgreSQL": [settings.DATABASE_TIMEOUT_SECONDS, 503],
    "Waiting for Redis": [settings.REDIS_TIMEOUT_SECONDS, settings.CACHE_TIMEOUT_SECONDS],
    "Waiting jobs of one person: for one machine, in all": [
        settings.JOBS_WAITING_PER_MACHINE,
        settings.JOBS_WAITING,
        409,
    ],
    "Waiting exports: for one machine, of one person": [
        room.MOST_PER_MACHINE,
        room.MOST_PER_PERSON,
        409,
    ],
    "Exports that workers make at once, per process": [queue.HANDS, 1],
    "Asking a Redis that hung a moment ago": [redis_patience.QUIET_SECONDS],
    "A request's body": [strict_json.LIMIT_BYTES / _MIB],
    "Refused handshakes of an address that are noted": [
        revalidate.REFUSALS_PER_SECOND,
        revalidate.REFUSALS_AT_ONCE,
    ],
    "Requests and handshakes of one caller that are worked on at once, per web process": [
        request_turns.AT_ONCE,
        request_turns.AT_ONCE_WITHOUT_LOGIN,
        request_turns.MOST_WAITING,
        429,
    ],
    "Downloads at once (logs, files, bundles, exports, audit), per web process": [
        streaming.DOWNLOADS.in_all,
        streaming.DOWNLOADS.per_person,
        429,
    ],
    "Of these, exports and bundles, each of which has a connection to PostgreSQL": [
        copying.COPIES.in_all,
        copying.COPIES.per_person,
        429,
    ],
    "A reader who takes less than about 128 KiB of an answer": [http_protocol.STALLED_SECONDS],
    "Questions to machines at once (tests, folders, files, containers, dual exports)": [
        visits.VISITS.in_all,
        visits.VISITS.per_person,
        429,
    ],
    "Searches of logs at once": [
        log_search.SEARCHES.in_all,
        log_search.SEARCHES.per_person,
        log_search.SEARCH_SECONDS,
        429,
    ],
    "Names looked up for machines at once; checks and tests of channels at once": [
        connections_inputs.LOOKUPS.in_all,
        connections_inputs.LOOKUPS.per_person,
        services.CHECKS.in_all,
        services.CHECKS.per_person,
        429,
    ],
    "A connection that sends no request; half a request's head": [http_protocol.HEAD_SECONDS],
    "An idle connection between two requests": [5],
    "Waiting for a request's body": [body_limit.DEADLINE_SECONDS],
    "A machine's share of a keeper's processor": [],
    "Time of a parser over a text of a machine or job": [],
    "Reading what a job printed": [curve_reader.PIECE_CPU_SECONDS],
    "Samples of a machine": [pace.MAX_SAMPLE_BYTES / _KIB],
    "Interfaces, compute processes, file systems, containers of a sample": [
        proc.MAX_INTERFACES,
        feed.MAX_APPS,
        MAX_DISKS,
        docker_ps.MAX_CONTAINERS,
        network.MAX_NAMES,
        feed.MAX_NAMES,
    ],
    "Outputs of a machine's tools that have begun and not ended": [
        documents.MAX_OPEN_BYTES / _MIB,
        documents.MAX_DOCUMENT_BYTES / _MIB,
        documents.MAX_DOCUMENT_LINES,
    ],
    "A whole number that a machine tells": [readings.MAX_WHOLE.bit_length()],
    "Rows of the usage ledger, per machine and minute": [attribution.MOST_ROWS],
    "What a machine may send before anybody is logged in (greeting, keys, banners)": [
        transport.LOGIN_BYTES / _KIB
    ],
    "One SSH packet; unread bytes of one channel": [260, transport.WINDOW_BYTES / _MIB],
    "One SFTP packet; a name in a folder, a path; all names of a folder": [
        transport.LONGEST_MESSAGE_BYTES / _KIB,
        sftp.LONGEST_NAME_BYTES / _KIB,
        sftp.LONGEST_PATH_BYTES / _KIB,
        sftp.LISTING_BYTES / _MIB,
    ],
    "SSH messages that say nothing (ignore, debug, global requests)": [
        transport.MOST_IDLE_MESSAGES,
        transport.IDLE_MESSAGES_SECONDS,
    ],
    "Texts of machines, engines, jobs and receivers in rows, pages and the log": [64, 5000],
    "Pause before a machine is tried again": [settings.RECONNECT_SECONDS[1]],
    "A person's tokens that work": [tokens.MOST_LIVING, 409],
    "Tokens that a person makes": [_OF_PERSON["token.create"].most, 429],
    "Invitations that are open, per team": [invitations.MOST_OPEN, 409],
    "Invitations (and their mails)": [
        _OF_PERSON["invitation.create"].most,
        _OF_TEAM["invitation.create"].most,
        429,
    ],
    "Checks of configurations against a schema": [
        schema_checks.CHECKS.per_person,
        schema_checks.CHECKS.in_all,
        schema_checks.CHECKS_PER_MINUTE,
        429,
    ],
    "Sockets of a person, per web process": [consumers.MAX_SOCKETS_PER_PERSON, 1013],
    "Frames that a client sends": [
        consumers.FRAMES_PER_SECOND,
        consumers.FRAMES_AT_ONCE,
        revalidate.PERSON_PER_SECOND,
        revalidate.PERSON_AT_ONCE,
        1008,
    ],
    "Topics that are followed": [
        consumers.MAX_TOPICS,
        consumers.MAX_TOPICS_PER_PERSON,
        consumers.MAX_TOPICS_EVER,
    ],
    "People, teams that a superuser makes": [
        _OF_PERSON["user.create"].most,
        _OF_PERSON["team.create"].most,
        429,
    ],
}


def told() -> dict[str, str]:
    """The rows of the table that has two columns and the head `limit`."""
    text = _TABLE.read_text("utf-8")
    table = text[text.index("| limit | figure |") :].split("\n\n")[0]
    return dict(re.findall(r"^\| (.+?) \| (.+) \|$", table, re.MULTILINE)[1:])


def test_every_row_is_looked_at() -> None:
    assert told().keys() == FIGURES.keys()


@pytest.mark.parametrize("row", FIGURES)
def test_the_figures_are_those_of_the_code(row: str) -> None:
    without_names = re.sub(r"`[^`]*`", "", told()[row]).replace(",0", "0")
    found = [float(figure) for figure in re.findall(r"\d+", without_names)]
    assert found[: len(FIGURES[row])] == FIGURES[row]
