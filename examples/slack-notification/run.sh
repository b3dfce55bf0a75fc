#!/usr/bin/env bash
# Ends with 0 only if the message arrived and its signature was right.
cd "$(dirname "$0")"
. ../steps.sh

HOOKLANE_SECRET_SLACK=$(openssl rand -hex 16)
export HOOKLANE_SECRET_SLACK
receiver receive_notification.py
hooklane_dev subscription.yaml
hooklane publish orders.events --type order.paid --key c-42 --file event.json
arrived 'verified: Order 4711 was paid by Zoë "Zo" Ångström: 12.50 EUR'
