"""For forms: a field with its label and help, whose text stands in the template as text."""

from django import template
from django.forms import BoundField
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_block_tag
def field(content: SafeString, bound: BoundField, label: str, size: str = "") -> SafeString:
    """Write the field `bound` with its label; what the tag holds is its help."""
    # The style sheet hides a help without text, which a line break would be.
    help_text = content if content.strip() else ""
    parts = {"field": bound, "label": label, "help": help_text, "size": size}
    return render_to_string("connections/_field.html", parts)
