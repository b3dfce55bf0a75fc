# What the examples' run.sh have in common: sourced by them, in their own folders.
set -euo pipefail

logs=$(mktemp -d)
trap 'the_end $?' EXIT
trap 'exit 143' TERM

receiver() { # PROGRAM: runs it, until all is done
  python3 -u "$1" >"$logs/receiver" 2>&1 &
  wait_for receiver listening
}

hooklane_dev() { # DOCUMENT: all of Hooklane in one process, with a broker of its own
  hooklane dev "$1" --port 0 --no-receiver >"$logs/hooklane" 2>&1 &
  wait_for hooklane 'ready, for example for'
  # Where that broker is, as it says itself.
  eval "$(sed -n 's/^  export /export /p' "$logs/hooklane")"
}

arrived() { # WORDS: waits until the receiver has verified and said them
  wait_for receiver "$1"
  grep -F "$1" "$logs/receiver"
}

wait_for() { # LOG WORDS
  local tries
  for ((tries = 0; tries < 300; tries++)); do
    if grep -qF "$2" "$logs/$1"; then return; fi
    if grep -qF 'not genuine' "$logs/receiver"; then break; fi
    sleep 0.1
  done
  echo "Not seen: $2" >&2
  return 1
}

the_end() { # STATUS
  trap - EXIT
  set +e # whatever fails, what was started here is ended
  # shellcheck disable=SC2046 # each is a number
  kill $(jobs -p) 2>/dev/null
  wait
  if [ "$1" != 0 ]; then tail -n 20 "$logs"/* >&2; fi
  rm -rf "$logs"
  exit "$1"
}
