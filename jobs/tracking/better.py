"""Whether less or more of a printed value is better, as far as its name says. Pure.

It only decides what is marked in a comparison; a name that says nothing marks nothing.
"""

import re
from collections.abc import Sequence
from typing import Literal

Better = Literal["lower", "higher"]

# A number at the end, as in `acc1` or `loss2`, says nothing more.
_LOWER = re.compile(r"(loss|error|err|perplexity|ppl|nll|bpc|bpb|mae|mse|rmse|mape|wer|cer|fid)\d*")
_HIGHER = re.compile(
    r"(accuracy|acc|f1|auc|auroc|auprc|precision|recall|bleu|rouge|map|miou|iou|dice|r2|mrr|ndcg"
    r"|psnr|ssim|reward|score)\d*"
)
# The words of `trainLoss`, `eval/accuracy`, `top5_acc`.
_WORD = re.compile(r"[A-Z]?[a-z]+\d*|[A-Z]+\d*")


def of_name(name: str) -> Better | None:
    """The last word that says something decides: an `accuracy_loss` is a loss."""
    for word in reversed(_WORD.findall(name)):
        if _LOWER.fullmatch(word.lower()):
            return "lower"
        if _HIGHER.fullmatch(word.lower()):
            return "higher"
    return None


def best(values: Sequence[float | None], better: Better | None) -> tuple[int, ...]:
    """The places of the best values; none where all are alike, or fewer than two are known."""
    known = [value for value in values if value is not None]
    if better is None or len(known) < 2 or min(known) == max(known):
        return ()
    wanted = min(known) if better == "lower" else max(known)
    return tuple(place for place, value in enumerate(values) if value == wanted)
