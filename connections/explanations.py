"""Each reason why a machine is not simply connected, in a sentence, and what helps."""

from dataclasses import dataclass

from connections.models import Reason


@dataclass(frozen=True, slots=True)
class Explanation:
    """`short` fits a table cell; `remedy` says what to do next."""

    short: str
    remedy: str


EXPLANATIONS: dict[str, Explanation] = {
    Reason.AUTH_FAILED: Explanation(
        "login refused",
        "Check the user name, and that the public key is in ~/.ssh/authorized_keys there. "
        "After three refusals the site waits for you, so that no account gets locked.",
    ),
    Reason.HOST_KEY_UNKNOWN: Explanation(
        "host key to be accepted",
        "An administrator compares the fingerprint below with the machine's own and accepts it.",
    ),
    Reason.HOST_KEY_CHANGED: Explanation(
        "host key changed",
        "Nothing was sent to it. Find out whether the machine was reinstalled before you go on.",
    ),
    Reason.UNREACHABLE: Explanation(
        "unreachable",
        "Check that it is switched on and that name, port and firewall are right.",
    ),
    Reason.SSH_UNRESPONSIVE: Explanation(
        "SSH does not answer",
        "The port is open but no SSH server greets. A machine out of memory behaves like this.",
    ),
    Reason.UNUSABLE_SHELL: Explanation(
        "no usable shell",
        "The login works, but what comes back cannot be used. Look for a forced command, a nologin "
        "shell or a start-up file that waits, prints without end or starts another program. After "
        "three times the site waits for you.",
    ),
    Reason.STALE: Explanation(
        "no fresh readings",
        "The session is open, but nothing has come for some seconds. It is reopened by itself.",
    ),
    Reason.REFUSED_ADDRESS: Explanation(
        "address not allowed",
        "The name leads to an address that the site must not call, such as its own.",
    ),
    Reason.KEY_UNUSABLE: Explanation(
        "key or password not usable",
        "What is stored for the login cannot be used, for the reason below. Edit the machine and "
        "give the key, its passphrase or the password again.",
    ),
}
