"""What goes wrong, as one sentence for whoever typed the command."""


class Failure(Exception):
    """The sentence; `exit_code` is what the command ends with."""

    exit_code = 1


class Misuse(Failure):
    """The command line or the configuration is wrong; nothing was sent."""

    exit_code = 2


class Refused(Failure):
    """The site answered, with an error."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


class Unreachable(Failure):
    """The site did not answer; it may or may not have done what was asked."""
