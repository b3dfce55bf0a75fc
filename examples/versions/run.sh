#!/bin/sh
# Two versions of one event type, each to the subscription that wants it. Needs no Kafka.
set -eu
cd "$(dirname "$0")"

HOOKLANE_SECRET_ACCOUNTING=$(hooklane secrets generate)
export HOOKLANE_SECRET_ACCOUNTING
export HOOKLANE_KAFKA__BOOTSTRAP_SERVERS=localhost:9092

hooklane dev subscriptions --port 9092 --receiver-port 8090 >dev.log 2>&1 &
dev=$!
trap 'kill $dev 2>/dev/null; wait $dev' EXIT

# Until dev has said so, or has ended with a reason.
waits_for() {
  tries=0
  until grep -q "$1" dev.log; do
    tries=$((tries + 1))
    if [ $tries -gt 300 ] || ! kill -0 $dev 2>/dev/null; then
      cat dev.log >&2
      exit 1
    fi
    sleep 0.1
  done
}

hooklane catalog build --schemas schemas --out catalog --title "Billing events"
waits_for "ready, for example for:"
python publish.py
hooklane trigger invoice.paid.v2 --schemas schemas --key i-4712 --set invoice=i-4712
waits_for "<- /old  invoice.paid.v1 i-4711"
waits_for "<- /new  invoice.paid.v2 i-4711"
waits_for "<- /new  invoice.paid.v2 i-4712"

sed -n 's/.*<- \(\/[a-z]*\)  \([a-z0-9.]*\) i-.* verified[^:]*: \(.*\)/\1 got \2: \3/p' dev.log
