"""The rows of a plan as a SELECT: the time and the numbers, under the names of the file."""

from psycopg import sql

from exports.columns import METRICS, selected
from exports.plan import Plan
from metrics.history import query as history_query
from metrics.history.catalogue import GPU_METRICS
from metrics.models import Machine

_OF_GPU = {metric.name for metric in GPU_METRICS}
# What no machine has: the export of one that was never read is empty, not an error.
_NOBODY = -1

_WHOLE = sql.SQL("SELECT {} FROM ({}) AS kept")
# A GPU that was away for a while has empty cells beside the machine's numbers.
_ONE_GPU = sql.SQL("SELECT {} FROM ({}) AS kept LEFT JOIN ({}) AS one USING (at) ORDER BY at")


def select(plan: Plan) -> sql.Composed:
    """The SELECT for `plan`, in the order of time.

    The running hour and day are in it; what of them is unfinished is asked of the database here.
    """
    machine = machine_of(plan)
    span = history_query.Span(plan.start, plan.end)
    columns = selected(plan.columns)
    if plan.gpu is None:
        return _WHOLE.format(
            columns, history_query.rows_sql(plan.tier, machine, span, None, METRICS)
        )
    own = [name for name in METRICS if name not in _OF_GPU]
    of_gpu = [name for name in METRICS if name in _OF_GPU]
    return _ONE_GPU.format(
        columns,
        history_query.rows_sql(plan.tier, machine, span, None, own),
        history_query.rows_sql(plan.tier, machine, span, plan.gpu, of_gpu),
    )


def machine_of(plan: Plan) -> Machine:
    """The machine as the history knows it; one without rows if it does not."""
    found = Machine.objects.filter(connection_id=plan.connection_id).first()
    return found or Machine(id=_NOBODY, connection_id=plan.connection_id)
