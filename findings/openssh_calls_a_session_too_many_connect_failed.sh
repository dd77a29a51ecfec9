#!/bin/sh
# OpenSSH's sshd (seen with 9.2p1) and paramiko 5.1.0: the channel beyond MaxSessions is refused as
# "connect failed".
#
# RFC 4254 has four reasons for which a channel is not opened: 1 administratively prohibited,
# 2 connect failed (of a forwarded port whose target does not answer), 3 unknown channel type,
# 4 resource shortage. A client that shares one log-in among many looks for 1 or 4 to learn that
# `MaxSessions` (10 unless set) is reached, and takes 2 for a target that does not answer – of a
# session, which has no target, it expects no 2 at all. sshd answers with 2; the reason stands in
# its own log alone ("no more sessions").
#
# Seen, with MaxSessions=2: the third session: ChannelException code 2, "Connect failed"
# Needs sshd, ssh-keygen and python3; says so and ends with 3 where they are missing.
set -eu
PATH=$PATH:/usr/sbin
for program in sshd ssh-keygen python3; do
    command -v $program >/dev/null || { echo "$program is missing"; exit 3; }
done
folder=$(mktemp -d)
daemon=
trap '[ -z "$daemon" ] || kill "$daemon"; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet install paramiko==5.1.0 2>"$folder/pip" || { cat "$folder/pip"; exit 2; }
ssh-keygen -q -t ed25519 -N '' -f "$folder/host"
ssh-keygen -q -t ed25519 -N '' -f "$folder/user"
sshd -V 2>&1 | grep OpenSSH || true
port=$("$folder/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir -p /run/sshd 2>/dev/null || true
"$(command -v sshd)" -D -e -f /dev/null -p "$port" -h "$folder/host" -o PidFile=none \
    -o StrictModes=no -o "AuthorizedKeysFile=$folder/user.pub" -o MaxSessions=2 2>"$folder/log" &
daemon=$!
"$folder/venv/bin/python" - "$port" "$folder/user" >"$folder/seen" 2>/dev/null <<'PYTHON'
import getpass
import socket
import sys
import time

import paramiko

port, key = int(sys.argv[1]), sys.argv[2]
for _ in range(200):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        break
    except OSError:
        time.sleep(0.05)
client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
client.connect(
    "127.0.0.1", port, getpass.getuser(), key_filename=key, look_for_keys=False, allow_agent=False
)
opened = [client.get_transport().open_session() for _ in range(2)]
try:
    client.get_transport().open_session()
except paramiko.ChannelException as error:
    print(f"the third session: code {error.code}, {error.text!r}")
client.close()
PYTHON
cat "$folder/seen"
grep -c 'no more sessions' "$folder/log" >/dev/null
echo "the third session: code 2, 'Connect failed'" | diff - "$folder/seen"
