# What the programs on a machine share: which processes live, and the words of a record. POSIX sh.
# A job is the same user as they are and may put anything in the place of a record: only a plain
# file is opened, and of that one line; a number is looked at before it becomes part of a path.
boot=$(cat "${DGXSITE_BOOT_ID:-/proc/sys/kernel/random/boot_id}")
nl='
'
# number WORD: whether it may be a process or a tick.
number() { case ${1:--} in *[!0-9]*|????????????????????*) return 1 ;; esac; }
# start PID: the tick at which it began, nothing for what is gone: a pid alone is used again.
start() {
number "$1" && s=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
set -- ${s##*) }
case $1 in [ZX]) ;; *) echo "${20}" ;; esac
}
# is PID START BOOT: whether that very process lives.
is() { number "$1" && [ "$3 $(start "$1")" = "$boot $2" ] && [ "$1" -gt 1 ]; }
# own ID PID: whether it carries the mark of the job.
own() { number "$2" && grep -qzxF "DGXSITE_JOB=$1" "/proc/$2/environ" 2>/dev/null; }
# marked ID: every living process that carries it, also in a session of its own.
marked() {
for f in $(grep -lzxF "DGXSITE_JOB=$1" /proc/[0-9]*/environ 2>/dev/null); do
f=${f#/proc/} f=${f%/environ}
[ -n "$(start "$f")" ] && echo "$f"
done
}
# session PID START: what lives in the session of that process, unless its number is another's now.
session() {
number "$1" || return 0
s=$(start "$1")
case $s in ''|"$2") ;; *) return 0 ;; esac
for f in /proc/[0-9]*/stat; do
s=
while IFS= read -r line || [ -n "$line" ]; do s="$s $line"; done <"$f"
set -- "$1" "$2" ${s##*) }
f=${f#/proc/}
case ${3:-Z} in [ZX]) ;; *) [ "$6" != "$1" ] || echo "${f%/stat}" ;; esac
done 2>/dev/null
}
# words FILE: the first words of its line as w1 to w4, "-" for none; fails for what is no plain file.
words() {
w1=- w2=- w3=- w4=-
[ -f "$1" ] && [ ! -L "$1" ] && [ -r "$1" ] || return
w=$(head -c 128 "$1")
set -f
set -- ${w%%"$nl"*}
set +f
w1=${1:--} w2=${2:--} w3=${3:--} w4=${4:--}
}
# write FILE TEXT: whole or not at all, whatever lies there.
write() {
chmod u+rwx .
for f in "$1.new" "$1"; do
[ -f "$f" ] && [ ! -L "$f" ] && continue
[ ! -d "$f" ] || [ -L "$f" ] || chmod -R u+rwx "$f"
rm -rf "$f"
done
printf '%s\n' "$2" >"$1.new" && mv -f "$1.new" "$1"
}
