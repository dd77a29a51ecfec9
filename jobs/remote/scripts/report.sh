# What a machine knows about jobs, as records between random markers. POSIX sh; leaves no file.
#   <marker> B boot now
#   <marker> J id here supervised alive pid start boot began code reason ended container spoilt
#              size n, n bytes, \n      spoilt: files that are no plain ones, or not readable
#   <marker> P pid job      which job started this process
#   <marker> O id n, n bytes, \n      what its run began from, once that is written down
#   <marker> X id           it took too long and was ended, perhaps in the middle of a record
#   <marker> E
# A field that is not there is "-"; now, began and ended are seconds of the machine's clock. What
# ends a job is read before the size of its log, and what lives before what has ended: so an end
# that is seen comes with the whole log, and a job that is neither alive nor ended was really left
# without a supervisor. Alive: 1 is its first process, 2 others of it. Those are looked for once
# neither the first process nor a supervisor is there: where 0 is said, nothing of it lives.
# A job can put a FIFO or a file system of its own in the place of its record, so whatever touches
# its folder does so in a child, which is ended when it hangs; then the next job is read.
m=@MARKER@
cuts=0

# spoil NAME: it cannot be read as what it should be.
spoil() { spoilt=$spoilt${spoilt:+,}$1; }
# plain FILE: whether it is there to be read.
plain() {
[ -e "$1" ] || [ -L "$1" ] || return
[ -f "$1" ] && [ ! -L "$1" ] && [ -r "$1" ] && return
spoil "${1##*/}"
return 1
}
# supervises ID PID: whether that process is its supervisor.
supervises() { grep -qzxF "$1" "/proc/$2/cmdline" && grep -qzx supervise "/proc/$2/cmdline"; }
# child PID PARENT
child() { s=$(cat "/proc/$1/stat") && set -- "$2" ${s##*) } && [ "$3" = "$1" ]; }
# left ID PID START: whether anything of it lives beside its first process and its supervisor. In
# the session of a first process that is known for certain nobody else can be; the mark is a word
# that anybody can carry, and decides only where no first process was seen.
left() { if [ "$2" = - ]; then [ -n "$(marked "$1")" ]; else [ -n "$(session "$2" "$3")" ]; fi; }

# look ID OFFSET LIMIT [PID START BOOT]: the line of a job; the site names the process once it has
# seen it, and then nothing that is written here can make another of it.
look() {
here=0 alive=0 p=- t=- b=- e=- code=- reason=- ended=- box=- spoilt= size=0
known=${4:--} sp=0 supervised=0
if [ -d "$1" ] && [ ! -L "$1" ] && [ -r "$1" ] && [ -x "$1" ]; then here=1
elif [ -e "$1" ] || [ -L "$1" ]; then here=1; spoil folder
fi
plain "$1/supervisor" && words "$1/supervisor" && is "$w1" "$w2" "$w3" && sp=$w1 supervised=1
plain "$1/started" && words "$1/started" && p=$w1 t=$w2 b=$w3 e=$w4
if [ "$known" != - ]; then
p=$4 t=$5 b=$6
is "$p" "$t" "$b" && alive=1
elif is "$p" "$t" "$b"; then
if own "$1" "$p" || { [ $supervised = 1 ] && child "$p" "$sp"; }; then alive=1; else spoil started; fi
fi
[ $supervised$alive != 10 ] || supervises "$1" "$sp" || supervised=0
if plain "$1/exit"; then words "$1/exit"; code=$w1 reason=$w2 ended=$w3
elif plain "$1/reason"; then words "$1/reason"; reason=$w1
fi
if [ $supervised$alive = 00 ] && [ "${6:-$boot}" = "$boot" ]; then
left "$1" "$known" "${5:--}" && alive=2
fi
plain "$1/container" && words "$1/container" && box=$w1
plain "$1/log" && size=$(($(wc -c <"$1/log")))
n=$((size-$2))
[ $n -gt "$3" ] && n=$3
[ $n -lt 0 ] && n=0
printf '%s J %s %s ' $m "$1" $here
printf '%s ' $supervised $alive "$p" "$t" "$b" "$e" "$code" "$reason" "$ended" "$box" "${spoilt:--}"
printf '%s %s\n' $size $n
}
# size FILE
size() { [ -f "$1" ] && [ ! -L "$1" ] && echo $(($(wc -c <"$1"))); }
# owned PID
owned() {
j=$(tr '\0' '\n' <"/proc/$1/environ" | sed -n 's/^DGXSITE_JOB=//p;/^DGXSITE_JOB=/q')
case $j in *[!0-9a-f-]*|'') j=- ;; esac
echo "$j"
}

# cut ID: four of them are enough for one report, the rest is left out.
cut() { cuts=$((cuts+1)); printf '\n%s X %s\n' $m "$1"; }
# copy ID FILE OFFSET N: so many bytes and the end of their line.
copy() {
(tail -c +$(($3+1)) "$1/$2" | head -c "$4")
[ $? -lt 128 ] && echo || cut "$1"
}
# job ID OFFSET LIMIT [PID START BOOT]
job() {
[ $cuts -lt 4 ] || return
h=$(look "$@")
[ $? -lt 128 ] || { cut "$1"; return; }
printf '%s\n' "$h"
if [ "${h##* }" -gt 0 ]; then copy "$1" log "$2" "${h##* }"; else echo; fi
}
# origin ID LIMIT
origin() {
n=$(size "$1/origin") && [ $cuts -lt 4 ] || return
[ "$n" -gt "$2" ] && n=$2
printf '%s O %s %s\n' $m "$1" "$n"
copy "$1" origin 0 "$n"
}
# owner PID
owner() {
[ $cuts -lt 4 ] || return
j=$(owned "$1") || j=-
printf '%s P %s %s\n' $m "$1" "$j"
}

# fell PID: it, and what it waits for.
fell() {
below=
read -r below <"/proc/$1/task/$1/children"
kill -KILL "$1"
for one in $below; do fell "$one"; done
}
# guard: ends a child of this program that is the same for more than three seconds; where it writes
# to the site, which may be far away, for more than eight. After the first it has less patience.
# Once it is no child of this program any more, that has died, and its number may be another's.
guard() {
read -r me _ </proc/self/stat
last= same=0 patience=3 far=8
while sleep 1; do
now= found= enough=$patience
read -r now </proc/$$/task/$$/children
case " $now " in *" $me "*) ;; *) exit ;; esac
for one in $now; do [ "$one" = "$me" ] || found=$one; done
[ "/proc/$found/fd/1" -ef /proc/$$/fd/1 ] && enough=$far
if [ "$found" != "$last" ]; then same=0; else same=$((same+1)); fi
last=$found
[ -z "$found" ] || [ $same -lt $enough ] || { fell "$found"; patience=1 far=1; }
done
}

# stop ID REASON [PID START BOOT]: what was never claimed is claimed now, so that a late start finds
# it ended. The program that ends it comes from the site, not from the job's folder.
stop() {
[ -n "$there" ] || return
mkdir "$1" && echo "143 $2 $(date +%s)" >"$1/exit" && [ -z "${3-}" ] && return
( (cd "$1" && printf '%s\n' "$ending" | exec setsid sh -s -- end "$@") </dev/null >/dev/null & )
}

exec 2>/dev/null
there=
cd && mkdir -p .dgxsite/jobs && cd .dgxsite/jobs && there=1
printf '%s B %s %s\n' $m "$boot" "$(date +%s)"
guard >/dev/null &
guardian=$!
finished() { kill $guardian; printf '%s E\n' $m; }
