"""The table of every step that writes. To add a step, add its entry to a table: the crash tests do the rest.

Importing it is cheap: what is slow, the functions of a step import, in the process where they run.
"""

from contract_steps import CONTRACT_STEPS
from feature_cache_steps import FEATURE_CACHE_STEPS
from step import Step
from verb_steps import VERB_STEPS

STEPS: dict[str, Step] = CONTRACT_STEPS | VERB_STEPS | FEATURE_CACHE_STEPS
