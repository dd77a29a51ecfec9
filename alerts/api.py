"""Alert rules and alerts over the REST API."""

from ninja import Router

router = Router(tags=["alerts"])
