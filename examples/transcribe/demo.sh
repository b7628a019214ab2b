#!/usr/bin/env bash
# demo.sh [DIR]: a call of real speech in the simulator, heard by the daemon, comes out as text by party while it goes on. No account, and
# nothing leaves the machine. `make demo-transcribe` builds and fetches what it needs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
earshot=$here/../../bin/earshot
out=${1:-demo/transcribe}
mkdir -p "$out"
out=$(cd "$out" && pwd)

give_up() {
  echo "demo.sh: $1" >&2
  exit 1
}
# until_is COMPLAINT COMMAND...: waits for the command to succeed, for a minute or a little more.
until_is() {
  local what=$1 i
  shift
  for ((i = 0; i < 600; i++)); do
    "$@" && return
    sleep 0.1
  done
  give_up "$what: look at $out/sim.log and $out/earshot.log"
}
command -v node >/dev/null || give_up "no node here"
[ -x "$earshot" ] || give_up "no bin/earshot: make demo-transcribe builds it"

sim='' daemon='' watch=''
trap 'kill $sim $daemon $watch 2>/dev/null || true; wait' EXIT

"$earshot" sim --scenario "$here/story.yaml" --out "$out" >"$out/sim.yaml" 2>"$out/sim.log" &
sim=$!
until_is "the simulator does not start" grep -qs '^  mode:' "$out/sim.yaml"

token=$(node -p 'crypto.randomBytes(24).toString("hex")')
(umask 077 && cat "$out/sim.yaml" - >"$out/earshot.yaml") <<YAML
record: {dir: "$out/recordings", consent: {mode: assumed, basis: "a demonstration"}}
media: {listen_ip: 127.0.0.1}
console: {listen: "127.0.0.1:0", auth: {token: $token}}
stream:
  - {name: moonshine, command: [node, "$here/transcribe.mjs"], rate: 16000, buffer: 30s, answers: json}
YAML
"$earshot" -c "$out/earshot.yaml" run 2>"$out/earshot.log" &
daemon=$!
until_is "the daemon does not start" grep -qs 'msg="earshot started"' "$out/earshot.log"
console=$(sed -n 's/.*msg="earshot started".* console=\([^ ]*\).*/\1/p' "$out/earshot.log")

echo "two people talk; a speech engine on this machine hears each party by itself (times: since the call's beginning)"
TOKEN=$token node "$here/watch.mjs" "http://$console/events" &
watch=$!
until_is "the call does not end" grep -qs 'msg="call ended"' "$out/earshot.log"
# What was said last is understood after it.
transcript() { find "$out/recordings" -name transcript.jsonl -newer "$out/sim.yaml" | grep .; }
until_is "nothing is written down" transcript >/dev/null

kill -TERM $daemon
wait $daemon || give_up "the daemon ended with an error: $out/earshot.log"
daemon=''
wait $watch || give_up "the event feed broke off"
watch=''
kill -TERM $sim
wait $sim || give_up "the simulator ended with an error: $out/sim.log"
sim=''
printf '\n%s sentences are kept beside the audio: %s\n' "$(grep -c '"text"' "$(transcript)")" "$(transcript)"
