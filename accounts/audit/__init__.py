"""The audit trail: what somebody is about to do, written in the transaction that does it."""

from accounts.audit.chain import Finding, record, take_turn, take_turn_of, verify

__all__ = ["Finding", "record", "take_turn", "take_turn_of", "verify"]
