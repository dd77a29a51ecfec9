# Runs one job on its machine; needs neither the site, nor the network, nor the log-in. POSIX sh.
#   watch ID NEW    claim the folder ID with what lies in NEW, run the job, keep its log
#   end ID REASON   TERM to the job's process group, a pause, KILL
# Reads: command folder environment umask virtualenv conda limits (log blocks, seconds, grace).
# Writes: supervisor ("pid start boot"), started (time too), log, drained, reason, exit ("code reason time").
umask 077
boot=$(cat "${DGXSITE_BOOT_ID:-/proc/sys/kernel/random/boot_id}")
[ ! -e limits ] || read -r blocks seconds grace <limits

# start PID: the tick at which it began, nothing for what is gone: a pid alone is used again.
start() {
s=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
set -- ${s##*) }
case $1 in [ZX]) ;; *) echo "${20}" ;; esac
}
# write FILE TEXT: whole or not at all.
write() { printf '%s\n' "$2" >"$1.new" && mv "$1.new" "$1"; }
# members: every process that this job started, also in sessions of their own.
members() {
for f in $(grep -lzF "DGXSITE_JOB=$id" /proc/[0-9]*/environ 2>/dev/null); do
f=${f#/proc/} f=${f%/environ}
[ -n "$(start "$f")" ] && echo "$f"
done
}
# finish SECONDS: wait for the last of them, then KILL. A container outlives its client.
finish() {
n=$1
while m=$(members) && [ -n "$m" ] && [ "$n" -gt 0 ]; do sleep 1; n=$((n-1)); done
[ -n "$m" ] && kill -KILL $m
[ -s container ] && docker kill "$(cat container)"
}
watch() {
mkdir "$id" || { rm -rf "$1"; exit; }
mv "$1"/* "$id" && rmdir "$1" && cd "$id" || exit
read -r blocks seconds grace <limits
DGXSITE_PATH=$PATH setsid sh ./origin.sh </dev/null >/dev/null 2>&1 &
sh ./supervisor.sh supervise "$id" 2>&1 | {
trap '' XFSZ
(ulimit -f "$blocks"; exec cat) >>log || { echo '[the log is full]' >>log; cat >/dev/null; }
: >drained
}
}
supervise() {
write supervisor "$$ $(start $$) $boot"
setsid sh ./supervisor.sh run "$id" & job=$!
exec >/dev/null 2>&1
(t=; trap 'kill $t' TERM; sleep "$seconds" & t=$!; wait $t && setsid sh ./supervisor.sh end "$id" time_limit) &
timer=$!
wait $job
code=$? n=0
kill $timer
if [ -e reason ]; then finish "$grace"; else m=$(members); [ -n "$m" ] && kill $m; finish 2; fi
until [ -e drained ] || [ $n -ge 20 ]; do sleep 0.1; n=$((n+1)); done
until n=$(cat reason); write exit "$code ${n:--} $(date +%s)"; do sleep 5; done
}
# run, inner: the job's own process, before it becomes the command.
run() {
write started "$$ $(start $$) $boot $(date +%s)" && [ ! -e reason ] || exit 126
export DGXSITE_JOB="$id" DGXSITE_PATH="$PATH"
shell=$(command -v bash) && exec "$shell" -l "$PWD/supervisor.sh" inner "$id"
exec sh "$PWD/supervisor.sh" inner "$id"
}
inner() {
here=${0%/*} folder=$(cat "${0%/*}/folder"; echo .) PATH=$PATH:$DGXSITE_PATH
umask "$(cat "$here/umask")" && cd -- "${folder%.}" || exit 126
while IFS= read -r line; do export "$line"; done <"$here/environment"
[ ! -s "$here/virtualenv" ] || . "$(cat "$here/virtualenv")/bin/activate" || exit 126
[ ! -s "$here/conda" ] || { eval "$(conda shell.posix hook)"; conda activate "$(cat "$here/conda")" || exit 126; }
exec "$(command -v bash || command -v sh)" "$here/command"
}
end() {
read -r p s b _ <started && [ "$(start "$p") $boot" != "$s $b" ] && exit
[ ! -e exit ] && { (set -C; echo "$1" >reason) || [ "$1" = kill ]; } || exit
[ "$1" != kill ] || grace=0
read -r p s b _ <started && kill -TERM "-$p"
[ -s container ] && docker stop -t "$grace" "$(cat container)" &
finish "$grace"
}
id=$2
"$1" "${3-}"
