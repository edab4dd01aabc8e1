#!/usr/bin/env bash
# The journey, one command a step. Run again, it reuses what is done already.
set -euo pipefail
cd "$(dirname "$0")"
export PATH="$PWD/.venv/bin:$PATH"
port=${PORT:-3000}
step() { printf '\n== %s\n' "$*"; "$@"; }

[ -e sample/interactions.csv ] || step flyweight sample --out sample
step flyweight validate --interactions sample
for rung in popularity item-to-item sasrec; do  # --all is nine trainings, and takes five minutes more
  step flyweight train --interactions sample --rung $rung
done
step flyweight export --all
step flyweight measure
step flyweight promote
step flyweight report

printf '\n== flyweight serve   (in the background for now)\n'
setsid flyweight serve &  # so that Ctrl-C reaches this script alone, which passes one SIGTERM on
service=$!
trap 'kill -TERM $service 2>/dev/null; wait $service' EXIT
flyweight ask --wait 60
step flyweight materialize --interactions sample --traffic sample/traffic.json
step flyweight ask u0019 u0113 somebody-new
step flyweight loadtest --traffic sample/traffic.json --seconds 10

[ -n "${EXIT:-}" ] && exit 0
printf '\nServing on http://127.0.0.1:%s until Ctrl-C. Try:\n' "$port"
printf "  curl -s http://127.0.0.1:%s/predict -H 'Content-Type: application/json' -d '{\"user_id\": \"u0019\", \"k\": 3}'\n" "$port"
wait $service
