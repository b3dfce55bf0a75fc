#!/usr/bin/env bash
# Ends with 0 only if the push arrived and its signature was right.
cd "$(dirname "$0")"
. ../steps.sh

HOOKLANE_SECRET_GITHUB=$(openssl rand -hex 20)
export HOOKLANE_SECRET_GITHUB
receiver receive_push.py
hooklane_dev subscription.yaml
hooklane publish repository.events --type push --key octo/hello --file event.json
arrived 'verified: 2 commits on refs/heads/main of octo/hello'
