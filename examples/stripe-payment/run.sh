#!/usr/bin/env bash
# Ends with 0 only if the payment arrived and its signature was right.
cd "$(dirname "$0")"
. ../steps.sh

HOOKLANE_SECRET_PAYMENTS=$(hooklane secrets generate)
export HOOKLANE_SECRET_PAYMENTS
receiver receive_payment.py
hooklane_dev subscription.yaml
hooklane publish payments.events --type payment_intent.succeeded --key cus_42 --file event.json
arrived 'verified: evt_1 payment_intent.succeeded, 1250 eur'
