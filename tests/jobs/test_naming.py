"""What a run is judged by is drawn first."""

from jobs import naming


def test_losses_come_before_other_measures_and_those_before_the_rest() -> None:
    names = ["lr", "Epoch", "val/acc", "grad_norm", "trainLoss", "perplexity", "eval_loss"]
    assert naming.in_order(names) == [
        "eval_loss",
        "trainLoss",
        "perplexity",
        "val/acc",
        "Epoch",
        "grad_norm",
        "lr",
    ]
