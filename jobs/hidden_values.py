"""What of a job is hidden from everybody but the job itself, and kept when it comes back masked.

A variable is hidden that sounds secret or that somebody has marked, for good. Of a configuration it
is what stands under a name such as `api_key` (`core.security.secret_names`), and wherever else the
value of a hidden variable stands.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from core.errors import Invalid
from core.security import secret_names
from core.security.crypto import SecretUnreadable
from jobs import masking
from jobs.models import MASK, Job

# So many values of a configuration are looked for in logs, the longest first.
_MOST_IN_LOGS = 100


def environment_of(job: Job) -> dict[str, str]:
    """The variables in clear; none where no key opens them."""
    try:
        return job.environment
    except SecretUnreadable:
        return {}


def secrets_of(job: Job) -> list[bytes]:
    """The values that are not to be kept of what the machine says."""
    return masking.secrets_of(environment_of(job), job.secret_names, _of_config(job.config))


def shown_environment(job: Job) -> dict[str, str]:
    """The variables with secret values masked."""
    return {
        name: MASK if masking.is_secret(name, job.secret_names) else value
        for name, value in environment_of(job).items()
    }


def of_variables(job: Job) -> list[bytes]:
    """The values of its secret variables."""
    return masking.secrets_of(environment_of(job), job.secret_names)


def shown_config(job: Job) -> dict[str, Any]:
    """The configuration with secret values masked."""
    masked: dict[str, Any] = masking.mask_values(job.config, of_variables(job))
    return masked


def refuse_reveal(config: Any, before: Iterable[bytes], after: Sequence[bytes]) -> None:
    """`Invalid` if a value that was a secret variable's, and no longer is, stands in `config`."""
    gone = [value for value in before if value not in after]
    if masking.mask_values(config, [*gone, *after]) != masking.mask_values(config, after):
        raise Invalid.field(
            "environment",
            "The configuration has the value of a secret variable that would no longer be there "
            "to hide it. Take it out of the configuration first.",
        )


def config_behind(job: Job, sent: dict[str, Any]) -> dict[str, Any]:
    """A configuration that was sent, with what the job has wherever it came back as shown.

    `Invalid` for stars whose value would no longer be hidden.
    """
    if (path := secret_names.uncovered(sent, job.config)) is not None:
        place = ".".join(map(str, path))[:200]
        raise Invalid.field("config", f"The value of {place} came masked; give it again.")
    found: dict[str, Any] = secret_names.unmasked(sent, shown_config(job), job.config)
    return found


def still_marked(job: Job, sent: Iterable[str]) -> list[str]:
    """The marks after somebody sent a list: a name that guards a value keeps its mark for good."""
    sent = list(sent)
    try:
        guarding = [name for name in job.secret_names if name in job.environment]
    except SecretUnreadable:
        guarding = job.secret_names
    return list(dict.fromkeys([*sent, *guarding]))


def _of_config(config: dict[str, Any]) -> list[str]:
    texts = {value for _, value in secret_names.hidden(config) if isinstance(value, str)}
    return sorted(texts, key=len, reverse=True)[:_MOST_IN_LOGS]
