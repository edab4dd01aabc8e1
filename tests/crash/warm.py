"""A warm process that forks a child for everything that is asked: importing torch anew for each kill is slow.

    warm.py [MODULE ...]    the modules to import first

Reads one request per line from standard input and answers each with one line. It only imports and forks: a
library that had begun to work would hold locks and pools of threads that its children could not use.
"""

import importlib
import os
import signal
import sys
import traceback
from pathlib import Path

import killing
import msgspec
from killing import Kill
from step import Step, View
from writing_steps import STEPS

from contracts.revision import LEARNING, code_revision

DEADLINE_SECONDS = 60


class Request(msgspec.Struct):
    """Do `tasks` ("build", "act", "view") of a step in `folder`, with a protection switched off or not."""

    step: str
    tasks: list[str]
    folder: str
    kill: Kill = Kill()
    switched_off: str = ""


class Answer(msgspec.Struct):
    """The signal that killed the child, or the traceback that ended it, or what the tasks found.

    An act that was not killed reports its operations: see `killing.Operations`.
    """

    signal: int = 0
    view: View = {}
    changes: list[bool] = []
    messages: int = 0
    error: str = ""


def do(request: Request) -> Answer:
    step, folder, answer = STEPS[request.step], Path(request.folder), Answer()
    if "build" in request.tasks:
        step.build(folder)
    if "act" in request.tasks:
        act(step, folder, request, answer)
    if "view" in request.tasks:
        answer.view = step.view(folder)
    return answer


def act(step: Step, folder: Path, request: Request, answer: Answer) -> None:
    if request.switched_off:
        getattr(killing, request.switched_off)()
    operations = killing.Operations(folder, request.kill)
    operations.watch()
    if request.kill.at_bytes is not None:
        killing.limit_file_size(request.kill.at_bytes)
    step.act(folder)
    operations.end()
    answer.changes, answer.messages = operations.changes, operations.messages


def answer_in_child(request: Request, write_to: int) -> None:
    signal.alarm(DEADLINE_SECONDS)
    try:
        answer = do(request)
    except BaseException:
        answer = Answer(error=traceback.format_exc())
    with os.fdopen(write_to, "wb") as pipe:
        pipe.write(msgspec.json.encode(answer))


def fork_and_wait(request: Request) -> Answer:
    read_from, write_to = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_from)
        answer_in_child(request, write_to)
        os._exit(0)
    os.close(write_to)
    with os.fdopen(read_from, "rb") as pipe:
        content = pipe.read()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return Answer(signal=os.WTERMSIG(status))
    return msgspec.json.decode(content, type=Answer)


def main() -> None:
    for name in sys.argv[1:]:
        importlib.import_module(name)
    for rooms in (), (LEARNING,):
        code_revision(*rooms)  # its children remember: who edits the code meanwhile changes no version
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_WRONLY)  # what a step prints must not mix with the answers, nor
    os.dup2(nowhere, 1)  # be written to a file: the kernel may kill the process for that one's size
    os.dup2(nowhere, 2)
    for line in sys.stdin.buffer:
        answer = fork_and_wait(msgspec.json.decode(line, type=Request))
        answers.write(msgspec.json.encode(answer) + b"\n")


main()
