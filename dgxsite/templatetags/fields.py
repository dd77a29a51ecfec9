"""For forms: a field with its label and help, whose text stands in the template as text."""

from django import template
from django.forms import BoundField
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


@register.simple_block_tag
def field(content: SafeString, bound: BoundField, label: str, size: str = "") -> SafeString:
    """Write the field `bound` with its label; what the tag holds is its help."""
    # The block has escaped its variables; here only the line breaks of the template go.
    help_text = mark_safe(" ".join(content.split()))  # noqa: S308
    parts = {"field": bound, "label": label, "help": help_text, "size": size}
    return render_to_string("connections/_field.html", parts)
