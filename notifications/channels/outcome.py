"""How one try of a sending ended."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """`detail` is a sentence without secrets; `is_final` says that trying again makes no sense."""

    ok: bool
    detail: str = ""
    is_final: bool = False

    @classmethod
    def delivered(cls, detail: str = "") -> "Outcome":
        return cls(True, detail)

    @classmethod
    def failed(cls, detail: str) -> "Outcome":
        return cls(False, detail)

    @classmethod
    def refused(cls, detail: str) -> "Outcome":
        return cls(False, detail, is_final=True)
