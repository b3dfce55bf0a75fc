#!/usr/bin/env bash
# A receiver of Hooklane's webhooks, in bash with openssl. It stores, answers, and then works.
#
#   receiver.sh          listens, and works on what comes
#   receiver.sh handle   answers one request, from stdin to stdout: for inetd, socat, systemd
#
# Environment: WEBHOOK_SECRETS (one or more, separated by spaces), PORT (8080),
# INBOX (a file, inbox.txt).
set -euo pipefail
export LC_ALL=C # bytes, not characters

if [ -z "${WEBHOOK_SECRETS-}" ]; then
  echo 'Set WEBHOOK_SECRETS to signing secrets, separated by spaces.' >&2
  exit 1
fi
for secret in $WEBHOOK_SECRETS; do
  if ! base64 -d <<<"${secret#whsec_}" >/dev/null 2>&1; then
    echo 'A secret in WEBHOOK_SECRETS is not base64 behind whsec_.' >&2
    exit 1
  fi
done
export INBOX=${INBOX:-inbox.txt} PORT=${PORT:-8080}
readonly TOLERANCE_S=300 LARGEST_BODY=$((1024 * 1024))

# Your own work, one event after the other. Done twice for an event only after a crash.
work() { # TYPE BODY-IN-BASE64
  printf 'working on %s %s\n' "$1" "$(base64 -d <<<"$2" | tr -d '\0')"
}

# HMAC by its definition (RFC 2104): `openssl dgst -hmac` takes the key as an argument, which every
# user of the machine can see. The key is hexadecimal, of at most 64 bytes.
hmac() { # KEY: of stdin, in base64
  {
    key_with "$1" 0x5c
    { key_with "$1" 0x36 && cat; } | openssl dgst -sha256 -binary
  } | openssl dgst -sha256 -binary | base64
}

key_with() { # KEY BYTE: 64 bytes, each combined with that byte
  local key escapes='' place
  printf -v key '%-128s' "$1"
  key=${key// /0}
  for ((place = 0; place < 128; place += 2)); do
    printf -v escapes '%s\\x%02x' "$escapes" $((16#${key:place:2} ^ $2))
  done
  printf '%b' "$escapes"
}

# Whether two texts are the same. How long it takes tells nothing about them: compared are their
# digests under a key that nobody knows.
same() { # TEXT TEXT
  local key
  key=$(openssl rand -hex 32)
  [ "$(printf %s "$1" | hmac "$key")" = "$(printf %s "$2" | hmac "$key")" ]
}

# Whether one of the signatures was made with one of the secrets, a short while ago.
genuine() { # ID TIMESTAMP SIGNATURES BODY-FILE
  local age secret key expected given
  [[ $1 =~ ^[A-Za-z0-9_-]{1,128}$ && $2 =~ ^[0-9]{1,12}$ ]] || return 1
  age=$(($(date +%s) - 10#$2))
  ((${age#-} <= TOLERANCE_S)) || return 1
  for secret in $WEBHOOK_SECRETS; do
    key=$(base64 -d <<<"${secret#whsec_}" | od -An -v -tx1 | tr -d ' \n')
    expected=v1,$({ printf '%s.%s.' "$1" "$2" && cat "$4"; } | hmac "$key")
    for given in $3; do
      if same "$given" "$expected"; then return 0; fi
    done
  done
  return 1
}

# Keeps an event for good before this returns, unless it was here, or comes too late: a later event
# of its lane has been here since. One request at a time. In a service of yours this is a table.
take() { # ID LANE SEQUENCE TYPE BODY-FILE
  exec 9>>"$INBOX.lock"
  flock 9
  if awk -v id="$1" -v lane="$2" -v sequence="$3" '
    $1 == id { found = 1; exit }
    lane != "-" && sequence != "-" && $2 == lane && $3 + 0 >= sequence + 0 { found = 1; exit }
    END { exit !found }' "$INBOX"; then return; fi
  printf '%s %s %s %s %s\n' "$1" "$2" "$3" "$4" "$(base64 -w 0 "$5")" >>"$INBOX"
  sync "$INBOX"
}

end() { # STATUS [TEXT]
  printf 'HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' "$1" "${#2}" "$2"
  exit
}

handle() {
  local line method path name value length='' id='' timestamp='' signatures=''
  local lane=- sequence=- type=-
  IFS= read -r -t 10 line || exit 0
  read -r method path _ <<<"${line%$'\r'}"
  while IFS= read -r -t 10 line && line=${line%$'\r'} && [ -n "$line" ]; do
    name=${line%%:*} value=${line#*:}
    value=${value#"${value%%[! ]*}"}
    case ${name,,} in
      content-length) length=$value ;;
      webhook-id) id=$value ;;
      webhook-timestamp) timestamp=$value ;;
      webhook-signature) signatures=$value ;;
      hooklane-lane) [[ ! $value =~ ^[0-9a-f]{32}$ ]] || lane=$value ;;
      hooklane-sequence) [[ ! $value =~ ^[0-9]{1,15}$ ]] || sequence=$value ;;
      ce-type) [[ ! $value =~ ^[!-~]{1,512}$ ]] || type=$value ;;
    esac
  done
  case "$method ${path%%\?*}" in
    'GET /healthz') end '200 OK' $'ok\n' ;;
    'POST /webhooks') ;;
    *' /webhooks') end '405 Method Not Allowed' '' ;;
    *) end '404 Not Found' '' ;;
  esac
  [[ $length =~ ^[0-9]{1,9}$ ]] && ((10#$length <= LARGEST_BODY)) || end '413 Content Too Large' ''
  body=$(mktemp)
  trap 'rm -f "$body"' EXIT
  timeout 10 head -c "$length" >"$body" || exit 0
  genuine "$id" "$timestamp" "$signatures" "$body" || end '401 Unauthorized' ''
  # What cannot be stored is not answered: it comes again, to a receiver that was started again.
  trap 'rm -f "$body"; kill "$PPID"' EXIT
  take "$id" "$lane" "$sequence" "$type" "$body"
  trap 'rm -f "$body"' EXIT
  end '204 No Content' ''
}

# Works on each event of the inbox that is not in INBOX.done yet.
work_on() {
  local id type body
  tail --pid $$ -n "+$(($(wc -l <"$INBOX.done") + 1))" -f "$INBOX" |
    while read -r id _ _ type body; do
      work "$type" "$body"
      echo "$id" >>"$INBOX.done"
    done
}

# Half a line is what a crash left: it was never answered, and goes.
mend() { # FILE
  touch "$1"
  [ -z "$(tail -c 1 "$1")" ] || sed -i '$ d' "$1"
}

# Starts `receiver.sh handle` for each connection. Perl, since no shell can listen, and since every
# Debian has it; `socat TCP-LISTEN:$PORT,bind=127.0.0.1,fork,reuseaddr EXEC:'./receiver.sh handle'`
# does the same.
listen() {
  exec perl -MIO::Socket::INET -e '
    my ($port, @command) = @ARGV;
    $SIG{CHLD} = "IGNORE";
    my $listening = IO::Socket::INET->new(
      LocalAddr => "127.0.0.1", LocalPort => $port, Listen => 128, ReuseAddr => 1
    ) or die "Cannot listen on $port: $!\n";
    while (1) {
      my $client = $listening->accept or next;
      if (fork == 0) {
        $SIG{CHLD} = "DEFAULT";
        open STDIN, "<&", $client;
        open STDOUT, ">&", $client;
        exec @command;
      }
      close $client;
    }' "$PORT" "$@"
}

if [ "${1-}" = handle ]; then
  handle
else
  mend "$INBOX"
  mend "$INBOX.done"
  work_on &
  listen "$0" handle &
  trap 'kill $!' EXIT
  wait $!
fi
