"""The ways an event reaches a person: e-mail, webhooks, chat services; and where they lead."""
