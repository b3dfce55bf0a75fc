#!/usr/bin/env bash
# Ends with 0 only if each receiver got its own version, signed.
cd "$(dirname "$0")"
. ../steps.sh

HOOKLANE_SECRET_ACCOUNTING=$(hooklane secrets generate)
export HOOKLANE_SECRET_ACCOUNTING
receiver receive_payments.py
hooklane_dev subscriptions
hooklane catalog list --schemas schemas
python3 publish.py
hooklane trigger invoice.paid.v2 --schemas schemas --key i-4712 --set invoice=i-4712 >/dev/null
arrived 'verified: /old invoice.paid.v1 i-4711: 120.50'
arrived 'verified: /new invoice.paid.v2 i-4711: 120.50 EUR by card'
arrived 'verified: /new invoice.paid.v2 i-4712: 120.50 EUR by card'
