# Writes down what a run began from: machine, git and Python, so that it can be repeated. POSIX sh.
# Runs in the job's folder beside the supervisor, in a session of its own: it delays nothing, and
# nothing that it cannot find out harms the job. When it is done, or after 30 s, what is known by
# then becomes `origin` with a rename. Lines "key value"; what was not found out has no line.
umask 077
finish() { trap - EXIT; mv origin.new origin; kill -KILL 0; }
if [ "${1-}" != inner ]; then
(sleep 30; finish) &
shell=$(command -v bash) && exec "$shell" -l "$PWD/origin.sh" inner
exec sh "$PWD/origin.sh" inner
fi
here=${0%/*} folder=$(cat "${0%/*}/folder"; echo .) PATH=$PATH:$DGXSITE_PATH
cd "$here" || exit
trap 'cd "$here"; finish' EXIT
nl='
'
# tell KEY VALUE: its first line, if there is one.
tell() { [ -z "$2" ] || printf '%s %s\n' "$1" "${2%%"$nl"*}" >>"$here/origin.new"; }
# repo: without the locks that the job's own git may need, and without what a repository could run.
repo() { LC_ALL=C GIT_TERMINAL_PROMPT=0 git --no-optional-locks -c core.fsmonitor=false "$@"; }

tell host "$(uname -n)"
tell kernel "$(uname -sr)"
tell architecture "$(uname -m)"
tell distribution "$(sed -n 's/^PRETTY_NAME=//p' /etc/os-release | tr -d \"\')"
tell driver "$(cat /sys/module/nvidia/version)"

while IFS= read -r line; do export "$line"; done <environment
cd -- "${folder%.}" || exit
if ! command -v git >/dev/null; then
tell git_reason 'The machine has no git.'
elif commit=$(repo rev-parse --verify HEAD 2>"$here/origin.why"); then
tell commit "$commit"
tell branch "$(repo symbolic-ref --quiet --short HEAD)"
tell remote "$(repo config --get remote.origin.url)"
repo status --porcelain --no-renames >"$here/origin.list" \
&& tell changed_files $(($(wc -l <"$here/origin.list")))
else
tell git_reason "$(cat "$here/origin.why")"
fi
rm -f "$here/origin.list" "$here/origin.why"
tell cuda "$(nvidia-smi --version | sed -n 's/^CUDA Version *: *//p')"

# In a container Python is the image's.
[ -e "$here/virtualenv" ] || exit
[ ! -s "$here/virtualenv" ] || . "$(cat "$here/virtualenv")/bin/activate" || exit
[ ! -s "$here/conda" ] || { eval "$(conda shell.posix hook)"; conda activate "$(cat "$here/conda")" || exit; }
python=$(command -v python || command -v python3) || exit
# Here is no file that Python could take for a module.
cd "$here" || exit
tell python_path "$python"
tell python "$("$python" -c 'import platform; print(platform.python_version())')"
"$python" -c '
from importlib.metadata import distributions
for found in distributions():
    print("package %s==%s" % (found.metadata["Name"], found.version))' | head -c 65536 >>origin.new
