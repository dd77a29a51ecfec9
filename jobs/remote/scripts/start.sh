# Unpacks the files of a job beside the jobs' folders and starts its supervisor, detached.
# It runs in the folder that its loader has made, where `box` holds this program and the files.
# `take NAME LENGTH` lines and `launch ID` follow.
at=$(wc -c <program)
take() {
tail -c +$((at+1)) box | head -c "$2" >"$1" && [ $(wc -c <"$1") -eq "$2" ] || exit 3
at=$((at+$2))
}
launch() {
command -v setsid >/dev/null || { echo 'The machine has no setsid.' >&2; exit 4; }
echo "$mask" >umask || exit 3
rm box program
new=${PWD##*/}
cd ..
# Where sessions linger, a scope of one's own outlives the log-in also under KillUserProcesses;
# where they do not, it would be the scope that dies.
scope=
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
if [ -e "/var/lib/systemd/linger/$(id -un)" ] \
&& timeout 5 systemd-run --user --scope --quiet true </dev/null >/dev/null 2>&1; then
scope='systemd-run --user --scope --quiet'
fi
setsid $scope sh "./$new/supervisor.sh" watch "$1" "$new" </dev/null >/dev/null 2>&1 &
n=0
until [ -e "$1/started" ] || [ -e "$1/exit" ] || [ $n -ge 50 ]; do sleep 0.1; n=$((n+1)); done
}
