"""Exports, their history and schedules over the REST API."""

from ninja import Router

router = Router(tags=["exports"])
