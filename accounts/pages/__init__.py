"""The pages about one's account, the teams and the audit trail."""
