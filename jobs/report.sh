# What a machine knows about jobs, as records between random markers. POSIX sh; leaves no file.
#   <marker> B boot now
#   <marker> J id here supervised alive pid start boot began code reason ended container size n,
#              n bytes, \n
#   <marker> P pid job      which job started this process
#   <marker> O id n, n bytes, \n      what its run began from, once that is written down
#   <marker> E
# A field that is not there is "-"; now, began and ended are seconds of the machine's clock. What
# ends a job is read before the size of its log, and what lives before what has ended: so an end
# that is seen comes with the whole log, and a job that is neither alive nor ended was really left
# without a supervisor.
m=@MARKER@
boot=$(cat "${DGXSITE_BOOT_ID:-/proc/sys/kernel/random/boot_id}")

start() {
s=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
set -- ${s##*) }
case $1 in [ZX]) ;; *) echo "${20}" ;; esac
}
# field FILE: its first word.
field() { w=; read -r w _ <"$1"; echo "${w:--}"; }

# job ID OFFSET LIMIT
job() {
if [ ! -d "$1" ]; then
printf '%s J %s 0 0 0 - - - - - - - - 0 0\n\n' $m "$1"
return
fi
supervised=0 alive=0 p= t= b= e= code= reason= ended=
read -r p t b <"$1/supervisor" && [ "$b $(start "$p")" = "$boot $t" ] && supervised=1
p= t= b=
read -r p t b e <"$1/started" && [ "$b $(start "$p")" = "$boot $t" ] && alive=1
read -r code reason ended <"$1/exit" || reason=$(field "$1/reason")
size=0
[ -e "$1/log" ] && size=$(($(wc -c <"$1/log")))
n=$((size-$2))
[ $n -gt "$3" ] && n=$3
[ $n -lt 0 ] && n=0
printf '%s J %s 1 ' $m "$1"
printf '%s ' $supervised $alive "${p:--}" "${t:--}" "${b:--}" "${e:--}"
printf '%s ' "${code:--}" "${reason:--}" "${ended:--}"
printf '%s ' "$(field "$1/container")" $size
printf '%s\n' $n
[ $n -gt 0 ] && tail -c +$(($2+1)) "$1/log" | head -c $n
echo
}

# origin ID LIMIT
origin() {
[ -f "$1/origin" ] || return
n=$(($(wc -c <"$1/origin")))
[ $n -gt "$2" ] && n=$2
printf '%s O %s %s\n' $m "$1" $n
head -c $n "$1/origin"
echo
}

# owner PID
owner() {
j=$(tr '\0' '\n' <"/proc/$1/environ" | sed -n 's/^DGXSITE_JOB=//p;/^DGXSITE_JOB=/q')
case $j in *[!0-9a-f-]*|'') j=- ;; esac
printf '%s P %s %s\n' $m "$1" "$j"
}

# stop ID REASON: what was never claimed is claimed now, so that a late start finds it ended.
stop() {
[ -n "$there" ] || return
mkdir "$1" && echo "143 $2 $(date +%s)" >"$1/exit" && return
(cd "$1" && [ ! -e exit ] && exec setsid sh ./supervisor.sh end "$1" "$2" </dev/null >/dev/null) &
}

exec 2>/dev/null
there=
cd && mkdir -p .dgxsite/jobs && cd .dgxsite/jobs && there=1
printf '%s B %s %s\n' $m "$boot" "$(date +%s)"
finished() { printf '%s E\n' $m; }
