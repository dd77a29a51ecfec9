# The program that a machine runs while the site watches it. POSIX sh: dash, bash, busybox.
#
# It comes through stdin, lives in memory, and leaves no file. It prints to stdout only:
#   <marker>T payload\n           a record; T is its tag, a letter
#   <marker>F n\r...lines...\rE n\n  a frame: the kernel's files, their line ends as \r, and
#                                 the records gathered since the last as lines "=T payload"
# Payload of a record: " line", "?fields asked", "!ended", "-" (no such tool), ".exit status".
# Long-lived children print the records, or have them gathered; the loop at the end prints the
# frames.
# It ends, with all its children, when stdin ends or stays silent, on a signal, and when stdout
# is closed. It must be the only program of its process group, as it is under sshd.
exec 3>&1 4<&0 </dev/null 2>/dev/null
unset TMOUT ENV BASH_ENV CDPATH GREP_OPTIONS
unset IFS
newline='
'
return=$(printf '\r')
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/cuda/bin
PATH=$PATH:/opt/rocm/bin:/usr/lib/wsl/lib:/run/current-system/sw/bin:/snap/bin
export LC_ALL PATH
cd /
m=@MARKER@

end() {
trap '' HUP INT TERM PIPE
trap - EXIT
kill -TERM 0
sleep 1
# What does not listen to TERM: a tool that waits for a dead file system.
kill -KILL 0
}
trap '' USR1
trap end HUP INT TERM PIPE EXIT

# Two watchers, because not every machine has timeout(1): one counts, the other resets the count
# with every byte of the heartbeat and ends everything at the end of stdin.
(
n=0
trap 'n=0' USR1
while n=$((n+1)); [ $n -le 6 ]; do sleep @TICK@; done
end
) >/dev/null &
watcher=$!
(
while [ -n "$(dd bs=1 count=1 <&4)" ]; do kill -USR1 $watcher; done
end
) >/dev/null &
exec 4<&-

say() { printf '%s%s\n' $m "$1" >&3 || end; }

# tell RECORD: what comes again and again goes with the next frame; a packet of its own would cost
# the site as much as the frame does.
tell() { printf '%s\n' "$1" >&5 || end; }

# lines TAG: each line of stdin becomes a record.
lines() {
while IFS= read -r l || [ -n "$l" ]; do
[ ${#l} -gt 65536 ] && l="a line of ${#l} characters"
case $l in
=exit=*) say "$1.${l#=exit=}" ;;
*) say "$1 $l" ;;
esac
done
}
# whole TAG COMMAND...: the output of a command, and its exit status.
whole() {
tag=$1
shift
{ "$@" 2>&1; printf '\n=exit=%s\n' $?; } | lines $tag
}

# replace FIELDS REFUSED...: the query without the fields that this driver refuses, with what
# there is to ask instead.
replace() {
q=,$1,
shift
for f; do
case $f in
@INSTEAD@
*) r= ;;
esac
case $q in
*",$f,"*) q=${q%%,$f,*},$r${r:+,}${q#*,$f,} ;;
esac
done
q=${q#,}
q=${q%,}
}

# stream TAG QUERY FIELDS MILLISECONDS EACH: one long-lived nvidia-smi; EACH takes every line. It
# is started again when it ends, as it does when the driver is reloaded, after a growing pause.
stream() {
asked=$3
pause=1
while :; do
tell "$1?$asked"
told=$(
n=0
nvidia-smi "$2=$asked" --format=csv,noheader,nounits -lms $4 2>&1 | {
while IFS= read -r l; do
[ ${#l} -gt 4000 ] && l="a line of ${#l} characters"
case $l in
'Field "'*) l=${l#*\"}; printf '%s ' "${l%%\"*}" ;;
*) tell "$1 $l"; $5; n=$((n+1)) ;;
esac
done
[ $n -gt 30 ] && printf +
}
)
case $told in
+) pause=1 ;;
?*) replace "$asked" ${told%+}
[ "$q" != "$asked" ] && asked=$q && continue ;;
esac
tell "$1!"
$6
sleep $pause
pause=$((pause*2))
[ $pause -gt 30 ] && pause=30
done
}

# owner: the user and the cgroups of the process in line $l, told once, and again once a minute
# because pids are used again.
seen=
passes=0
stamp=
owner() {
pid=${l%%,*}
case $pid in
''|*[!0-9]*) return ;;
esac
rest=${l#*, }
if [ "${rest%%,*}" != "$stamp" ]; then
stamp=${rest%%,*}
passes=$((passes+1))
[ $((passes%15)) -eq 0 ] && seen=
fi
case $seen in
*" $pid "*) return ;;
esac
seen="$seen $pid "
[ -d /proc/$pid ] || return
groups=
while IFS= read -r g; do groups="$groups|$g"; done </proc/$pid/cgroup
set -- $(ls -ld /proc/$pid)
tell "U $pid ${3:-?} $groups"
}

# xml ARGUMENTS...: the lines of `nvidia-smi -q -x` that hold what is read. It succeeds when a
# GPU has MIG enabled. When the slices of a GPU change, they are listed again.
slices=
xml() {
nvidia-smi -q -x "$@" 2>&1 | {
mig=
now=
while IFS= read -r l; do
case $l in
*"</nvidia_smi_log>"*)
say "X $l"
say "X.0"
[ "$now" != "$slices" ] && whole L nvidia-smi -L
slices=$now
now=
continue ;;
*"<current_mig>Enabled<"*) mig=1 ;;
*"_instance_id>"*) now=$now$l ;;
esac
case $l in
*"</"*"</"*|*"<"*"<"*"<"*) ;;
@LEAVES@) ;;
*"<"*">"*"</"*">"*) continue ;;
esac
say "X $l"
done
[ -n "$mig" ]
}
}
inventory() {
whole L nvidia-smi -L
xml || return
while :; do xml -l @XML_SECONDS@; sleep @SLOW@; done
}

nvidia() {
until command -v nvidia-smi >/dev/null; do say G-; sleep 60; done
inventory &
stream P --query-compute-apps @APP_FIELDS@ @APP_MS@ owner : &
stream G --query-gpu @GPU_FIELDS@ @GPU_MS@ : xml
}

# AMD's tools cannot stream: each call starts an interpreter, so they are asked at half the pace.
amd() {
if command -v rocm-smi >/dev/null; then
while :; do whole R rocm-smi @ROCM@; sleep @AMD@; done
elif command -v amd-smi >/dev/null; then
whole B amd-smi static --json
while :; do whole A amd-smi metric --json; sleep @AMD@; done
else
say R-
fi
}

# mounts KIND: the mount points with storage behind them, local or over the network, in "$@" of
# the caller through $found, one per line. A mount point named twice counts once.
mounts() {
found=/
[ $1 = network ] && found=
devices=' '
while read -r device mount type rest; do
case $type in
nfs*|cifs|smb*|ceph|lustre|gpfs|glusterfs|afs|beegfs*|fuse.*) kind=network ;;
*) kind=local ;;
esac
[ $kind = $1 ] || continue
case $kind$type$device in
local*/dev/loop*) continue ;;
local*/dev/*|localzfs*|localbcachefs*|network*) ;;
*) continue ;;
esac
case $devices in
*" $device "*) continue ;;
esac
[ "$mount" = / ] && devices="$devices$device " && continue
case $mount in
*\\*) mount=$(printf %b "$mount") ;;
esac
[ $kind = network ] || [ -d "$mount" ] || continue
devices="$devices$device "
found="$found
$mount"
done </proc/mounts
}
# disks KIND TAG: a dead network file system blocks df for ever, so those have their own loop.
disks() {
where=$1
to=$2
command -v df >/dev/null || { say "$to-"; return; }
while :; do
mounts $where
IFS=$newline
set -f
set -- $found
set +f
unset IFS
if [ $# -gt 0 ]; then
whole $to df -P -k -- "$@"
sleep @SLOW@
else
say $to.0
sleep 60
fi
done
}

docker_names() {
command -v docker >/dev/null || { say C-; return; }
while :; do
whole C docker ps --no-trunc --format '{{json .}}'
sleep @SLOW@
done
}

# Facts that change slowly and cost next to nothing: read from files.
facts() {
while :; do
set --
for d in /sys/class/net/*/device; do
[ -e $d ] && d=${d%/device} && set -- "$@" ${d##*/}
done
say "N $*"
set --
[ -r /proc/net/route ] && while read -r i d g f r u n k x; do
[ "$d$k" = 0000000000000000 ] && set -- "$@" $i $n
done </proc/net/route
say "T $*"
set -- /sys/class/power_supply/*/uevent
if [ -e "$1" ]; then whole Q cat "$@"; else say Q.0; fi
khz=
for p in /sys/devices/system/cpu/cpufreq/policy*/scaling_cur_freq; do
read -r v <$p && khz="$khz $v"
done
if [ -n "$khz" ]; then
say "K$khz"
say K.0
else
mhz=
for v in $(grep '^cpu MHz' /proc/cpuinfo); do
case $v in
[0-9]*) mhz="$mhz $v" ;;
esac
done
[ -n "$mhz" ] && say "K cpu MHz :$mhz"
say K.0
fi
sleep @SLOW@
done
}

ports=
for p in /sys/class/infiniband/*/ports/*; do
[ -e $p/counters/port_rcv_data ] || continue
ports="$ports $p/counters/port_rcv_data $p/counters/port_xmit_data"
ports="$ports $p/counters/port_rcv_packets $p/counters/port_xmit_packets"
d=${p%/ports/*}
read -r link <$p/link_layer
for i in $d/device/net/*; do
[ -e $i ] && say "I ${d##*/}/${p##*/} ${i##*/} $link"
done
done

say "S 1"
amd &
disks local D &
disks network M &
docker_names &
facts &
# An empty line is the clock, every other one a record to go with the frame; lines as short as these
# come whole.
{
exec 5>&1
nvidia &
while echo; do sleep @INTERVAL@ || end; done
} | {
trap end PIPE
n=0
gathered=
while IFS= read -r l; do
if [ -n "$l" ]; then
[ ${#gathered} -lt 500000 ] && gathered=$gathered$return=$l
continue
fi
n=$((n+1))
f=$(cat /proc/uptime /proc/loadavg /proc/stat /proc/meminfo /proc/pressure/memory /proc/net/dev)
[ -n "$ports" ] && f="$f
$(grep -H . $ports)"
# One write, for one packet: bash writes at every line end, so the lines are joined.
set -f
IFS=$newline
set -- $f
IFS=$return
f="${m}F $n$return$*$gathered${return}E $n"
unset IFS
gathered=
printf '%s\n' "$f" || end
done
end
} &
# A signal interrupts this wait, and would not interrupt a pipeline in the foreground.
wait $!
