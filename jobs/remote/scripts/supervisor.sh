# Runs one job on its machine; needs neither the site, nor the network, nor the log-in. POSIX sh.
#   watch ID NEW    claim the folder ID with what lies in NEW, run the job, keep its log
#   end ID REASON [PID START BOOT]    TERM to the job's process group, a pause, KILL
# Begins with `living.sh`. Reads: command folder environment umask virtualenv conda limits (log
# blocks, seconds, grace). Writes: supervisor ("pid start boot"), started (time too), log, drained,
# reason, exit ("code reason time"). The job can write there too: an end is what is written last.
umask 077
leader= tick=
[ ! -f limits ] || read -r blocks seconds grace <limits

# members: every process that this job started, also in sessions of their own.
members() { marked "$id"; session "$leader" "$tick"; }
# finish SECONDS: wait for the last of them, then KILL. A container outlives its client.
finish() {
n=$1
while m=$(members) && [ -n "$m" ] && [ "$n" -gt 0 ]; do sleep 1; n=$((n-1)); done
[ -n "$m" ] && kill -KILL $m
# What a driver still holds takes its time; an end that is written counts once nothing lives.
n=60
while m=$(members) && [ -n "$m" ] && [ $n -gt 0 ]; do sleep 1; n=$((n-1)); done
[ -e container ] && docker kill "dgxsite-$id"
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
DGXSITE_JOB="$id" DGXSITE_PATH="$PATH" setsid sh ./supervisor.sh run "$id" & leader=$!
tick=$(start $leader)
exec >/dev/null 2>&1
(t=; trap 'kill $t' TERM; sleep "$seconds" & t=$!; wait $t && trap '' TERM && end time_limit) &
timer=$!
wait $leader
code=$? n=0
kill $timer
if [ -e reason ]; then finish "$grace"; else m=$(members); [ -n "$m" ] && kill $m; finish 2; fi
until [ -e drained ] || [ $n -ge 20 ]; do sleep 0.1; n=$((n+1)); done
words reason
n=$w1
until write exit "$code $n $(date +%s)" || [ ! -d "../$id" ]; do sleep 5; done
}
# run, inner: the job's own process, before it becomes the command.
run() {
write started "$$ $(start $$) $boot $(date +%s)" && [ ! -e reason ] || exit 126
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
# end: of processes that a record names only those that carry the job's mark.
end() {
if [ -n "${2-}" ]; then leader=$2 tick=$3
elif [ -z "$leader" ]; then words started && own "$id" "$w1" && leader=$w1 tick=$w2; fi
[ "${4:-$boot}" = "$boot" ] || leader=
[ ! -e started ] || [ -n "$(members)" ] || exit
[ -f reason ] && [ ! -L reason ] || rm -rf reason
(set -C; echo "$1" >reason) || [ "$1" = kill ] || exit
[ "$1" != kill ] || grace=0
[ -n "$leader" ] && is "$leader" "${tick:-$(start "$leader")}" "$boot" && kill -TERM "-$leader"
[ -e container ] && docker stop -t "$grace" "dgxsite-$id" &
finish "$grace"
}
call=$1 id=$2
shift 2
"$call" "$@"
exit
