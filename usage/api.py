"""Who used which GPU over the REST API."""

from ninja import Router

router = Router(tags=["usage"])
