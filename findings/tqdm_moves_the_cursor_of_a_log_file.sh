#!/bin/sh
# tqdm 4.67.1: an inner bar writes line ends and "cursor up" into a plain file.
#
# A training job's stderr is a file or a pipe, not a terminal. One expects of a progress bar there
# what a single bar prints: carriage returns and no line end until it closes – so whoever keeps "the
# last thing after \r" of each line has the bar's last state. A second bar inside the first (steps
# in epochs) breaks both halves: before each of its updates it writes \n to get to its line, and
# ESC [ A after it to get back, without asking whether the file is a terminal. So each step is a
# line of its own, begins with ESC [ A, and a log of 10,000 steps has as many lines. When the inner
# bar is done (leave=False), its line is overwritten with blanks.
#
# Seen: one bar of three steps: 1 line end, 0 times "cursor up"; the same bar within another:
# 5 line ends and 5 times "cursor up", and the line end of the outer bar.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet install tqdm==4.67.1 2>"$folder/pip" || { cat "$folder/pip"; exit 2; }
cat >"$folder/one.py" <<'PYTHON'
from tqdm import trange

for step in trange(3, desc="step", mininterval=0):
    pass
PYTHON
cat >"$folder/two.py" <<'PYTHON'
from tqdm import trange

for epoch in trange(1, desc="epoch", mininterval=0):
    for step in trange(3, desc="step", mininterval=0, leave=False):
        pass
PYTHON
for name in one two; do
    "$folder/venv/bin/python" "$folder/$name.py" 2>"$folder/$name.log"
    ends=$(wc -l <"$folder/$name.log")
    ups=$(grep -o "$(printf '\033\\[A')" "$folder/$name.log" | wc -l)
    echo "$name: $ends line ends, $ups times cursor up" | tee -a "$folder/seen"
done
diff - "$folder/seen" <<'SEEN'
one: 1 line ends, 0 times cursor up
two: 6 line ends, 5 times cursor up
SEEN
