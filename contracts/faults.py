"""Errors that a person has to act on, sorted by what the caller can do about them.

    Fault                  4  we are wrong: a bug, or a machine that failed under us
    ├── VerdictIsNo        1  the work was done and the answer is no (gate, SLO, validation, parity)
    ├── UsageFault         2  the request or the configuration is wrong
    │   ├── SettingsFault     a key or value of flyweight.toml, an environment variable or a flag
    │   ├── LogFault          an interaction log that cannot be read
    │   └── ArtifactFault     an artifact that is missing, damaged or of another version
    └── RunNotValid        3  the run could not give an honest figure

The number is the exit code of every `flyweight` verb. HTTP has its own tree in `service/errors.py`.
"""


class Fault(Exception):
    """An error with a message for a person: what was found, what was expected, the remedy."""

    exit_code = 4


class VerdictIsNo(Fault):
    exit_code = 1


class UsageFault(Fault):
    exit_code = 2


class SettingsFault(UsageFault):
    pass


class LogFault(UsageFault):
    pass


class ArtifactFault(UsageFault):
    pass


class RunNotValid(Fault):
    exit_code = 3
