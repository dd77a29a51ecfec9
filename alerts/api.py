"""Alert rules and alerts over the REST API: declare, look up, call a service, answer."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router
from ninja.responses import Status

from accounts.auth.callers import caller_of
from accounts.auth.idempotency import REPEATABLE, once_prepared
from alerts import inputs, preview, schemas, services
from alerts.serializers import alert_dict, rule_dict
from core.pagination import Page, listing

router = Router(tags=["alerts"])


@router.get("/alert-rules", response=schemas.RuleList, by_alias=True)
def list_alert_rules(request: HttpRequest, page: Query[Page]) -> dict[str, Any]:
    """The rules of the caller's teams, by name."""
    return listing(services.rules(caller_of(request)), page, rule_dict)


@router.post(
    "/alert-rules", response={201: schemas.RuleOut}, by_alias=True, openapi_extra=REPEATABLE
)
def create_alert_rule(request: HttpRequest, payload: schemas.RuleIn) -> Any:
    caller = caller_of(request)
    return once_prepared(
        request,
        lambda: inputs.new(caller, payload.model_dump(exclude_unset=True)),
        lambda draft: Status(201, rule_dict(services.add(caller, *draft))),
    )


@router.post("/alert-rules/preview", response=schemas.PreviewOut)
def preview_alert_rule(request: HttpRequest, payload: schemas.RuleIn) -> dict[str, Any]:
    """How often a rule would have fired in the last seven days; nothing is stored."""
    caller = caller_of(request)
    rule, _ = inputs.new(caller, payload.model_dump(exclude_unset=True))
    return preview.as_dict(preview.of(caller, rule))


@router.get("/alert-rules/{rule_id}", response=schemas.RuleOut, by_alias=True)
def get_alert_rule(request: HttpRequest, rule_id: UUID) -> dict[str, Any]:
    return rule_dict(services.find_rule(caller_of(request), rule_id))


@router.patch("/alert-rules/{rule_id}", response=schemas.RuleOut, by_alias=True)
def change_alert_rule(
    request: HttpRequest, rule_id: UUID, payload: schemas.RulePatch
) -> dict[str, Any]:
    """Change what is sent; open alerts end if what is tested has changed."""
    fields = payload.model_dump(exclude_unset=True)
    return rule_dict(services.change(caller_of(request), rule_id, fields))


@router.delete("/alert-rules/{rule_id}", response={204: None})
def delete_alert_rule(request: HttpRequest, rule_id: UUID) -> Status[None]:
    """Into the trash, from which it comes back by `restore` within 30 days."""
    services.delete(caller_of(request), rule_id)
    return Status(204, None)


@router.post("/alert-rules/{rule_id}/restore", response=schemas.RuleOut, by_alias=True)
def restore_alert_rule(request: HttpRequest, rule_id: UUID) -> dict[str, Any]:
    return rule_dict(services.restore(caller_of(request), rule_id))


@router.get("/alerts", response=schemas.AlertList)
def list_alerts(
    request: HttpRequest, page: Query[Page], wanted: Query[schemas.AlertFilter]
) -> dict[str, Any]:
    """The alerts of the caller's teams, newest first."""
    rows = services.alerts(caller_of(request))
    asked = wanted.model_dump(exclude_none=True)
    acknowledged = asked.pop("acknowledged", None)
    if acknowledged is not None:
        rows = rows.filter(acknowledged_at__isnull=not acknowledged)
    return listing(rows.filter(**asked), page, alert_dict)


@router.post("/alerts/{alert_id}/acknowledge", response=schemas.AlertOut)
def acknowledge_alert(request: HttpRequest, alert_id: UUID) -> dict[str, Any]:
    """It is not told again; the alert goes on."""
    return alert_dict(services.acknowledge(caller_of(request), alert_id))
