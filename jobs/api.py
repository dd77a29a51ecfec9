"""Jobs over the REST API: declare, look up, call a service, answer."""

from ninja import Router

router = Router(tags=["jobs"])
