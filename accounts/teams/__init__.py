"""People and teams: members, roles, invitations, and what is given to others."""
