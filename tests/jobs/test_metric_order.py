"""What a run is judged by is drawn first."""

from jobs.tracking import metric_order


def test_losses_come_before_other_measures_and_those_before_the_rest() -> None:
    names = ["lr", "Epoch", "val/acc", "grad_norm", "trainLoss", "perplexity", "eval_loss"]
    assert metric_order.in_order(names) == [
        "eval_loss",
        "trainLoss",
        "perplexity",
        "val/acc",
        "Epoch",
        "grad_norm",
        "lr",
    ]
