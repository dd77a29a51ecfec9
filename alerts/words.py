"""Rules and alerts in words: one sentence for each, the same on pages, in mails and in channels."""

from alerts import guard
from alerts.evaluation import UPWARD
from alerts.models import Alert, AlertRule
from alerts.quantities import MEMORY_LEFT, NOT_SEEN, QUANTITIES, THROTTLED, span

SIGNS = {">": "above", ">=": "at least", "<": "below", "<=": "at most"}
_YES_OR_NO = frozenset({THROTTLED, "gpu_throttled"})


def condition(metric: str, comparison: str, threshold: float) -> str:
    """“GPU temperature is above 80 °C”."""
    quantity = QUANTITIES[metric]
    if metric in _YES_OR_NO:
        return "the GPU is throttled" if comparison in UPWARD else "the GPU is not throttled"
    return f"{quantity.title} is {SIGNS[comparison]} {quantity.show(threshold)}"


def place(rule: AlertRule) -> str:
    """“Spark 1, GPU 0”, “machines tagged lab” or “any machine”; needs the rule's connection."""
    if rule.connection is not None:
        name = rule.connection.name
    elif rule.tag:
        name = f"a machine tagged {rule.tag}"
    else:
        name = "any machine"
    return name if rule.gpu is None else f"GPU {rule.gpu} of {name}"


def sentence(rule: AlertRule) -> str:
    """“On any machine, when GPU temperature is above 80 °C for 5 min”."""
    text = f"On {place(rule)}, when {condition(rule.metric, rule.comparison, rule.threshold)}"
    if rule.and_metric and rule.and_threshold is not None:
        text += f" and {condition(rule.and_metric, rule.and_comparison, rule.and_threshold)}"
    return f"{text} for {span(rule.for_seconds)}" if rule.for_seconds else text


def reading(alert: Alert) -> str:
    """“GPU temperature is 86 °C”, “not seen for 5 min”, “about 4 minutes left”."""
    metric, value = alert.rule.metric, alert.value
    if metric == MEMORY_LEFT:
        left = "" if value is None else f": {guard.words(value)}"
        return f"memory is running out{left}"
    if metric == NOT_SEEN:
        return f"not seen for {span(value)}"
    if metric in _YES_OR_NO:
        return "the driver holds the GPU clock back"
    return f"{QUANTITIES[metric].title} is {QUANTITIES[metric].show(value)}"
