"""Template filters that put a machine's state into words."""

from django import template

from connections.explanations import EXPLANATIONS, Explanation
from connections.models import Connection, Transport

register = template.Library()


@register.filter
def explained(reason: str) -> Explanation | None:
    return EXPLANATIONS.get(reason)


@register.filter
def authorize_command(public_key: str) -> str:
    """The line that appends the public half on the machine; the key is our own text, no quotes."""
    return (
        "mkdir -p ~/.ssh && chmod 700 ~/.ssh && "
        f"echo '{public_key.strip()}' >> ~/.ssh/authorized_keys && "
        "chmod 600 ~/.ssh/authorized_keys"
    )


@register.filter
def address(connection: Connection) -> str:
    """`user@host:port`, or what stands for it on the site's own machine."""
    if connection.transport == Transport.LOCAL:
        return "the machine this site runs on"
    host = f"[{connection.hostname}]" if ":" in connection.hostname else connection.hostname
    return f"{connection.username}@{host}:{connection.port}"


_STEPS = {
    "resolve": "Name",
    "tcp": "Port",
    "host_key": "Host key",
    "auth": "Login",
    "shell": "Shell",
    "gpu": "GPU tools",
    "docker": "Docker",
    "ollama": "Ollama",
}


@register.filter
def step_title(name: str) -> str:
    """What a step of the connection test is called."""
    return _STEPS.get(name, name)
