#!/usr/bin/env bash
# What users did becomes the next artifact: one command a step, again and again. LOG: what to learn from. RUNGS: which
# rungs of the ladder, with spaces between; empty: all. Ends with the exit code of the step that failed; 1: nothing new
# is good enough, and what serves serves on.
set -euo pipefail
step() { printf '\n== %s\n' "$*"; "$@"; }

step flyweight ingest || printf 'ingest ended with exit code %d: learning from what the log holds\n' $?
if [ -z "${RUNGS:-}" ]; then
  step flyweight train --interactions "$LOG" --all
fi
for rung in ${RUNGS:-}; do
  step flyweight train --interactions "$LOG" --rung "$rung"
done
step flyweight export --all
step flyweight measure
step flyweight promote
