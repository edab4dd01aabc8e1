"""From an interaction log to trained models: reading, splitting, the ladder of models, metrics."""

import os

# Read when torch is loaded. Its threads otherwise spin while they wait, and on a machine where anything else
# runs, that made training on two cores ten times slower than on one.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
