"""Trials of jobs: one random fault each at a random instant, judged by the machine's own record.

All waits of the site are multiplied with `SCALE`, whatever the other trials run at, so that three
hundred trials take less than an hour; the ratios between the waits stay.
"""

SCALE = 0.25
# Until a trial gives up what it waits for. No promise: other things may take the processors.
PATIENCE_SECONDS = 240.0
