"""Kills a step, looks at what a reader would find, and runs it again."""

import random
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from signal import SIGKILL, SIGXFSZ

import msgspec
from killing import Kill
from writing_steps import STEPS

NO_KILL = Kill()


class CrashSite:
    """One folder in which a step is killed, looked at and run again, always from the same start."""

    def __init__(self, warm: subprocess.Popen, step: str, root: Path, seed: int) -> None:
        self.warm, self.step, self.seed = warm, step, seed
        self.folder, self.start = root / "site", root / "start"
        self.folder.mkdir(parents=True)
        self.before = self._ask("build", "view")["view"]
        shutil.copytree(self.folder, self.start)
        self.start_content = self._content()
        self._undisturbed: dict[str, dict] = {}
        self.after = self._run_undisturbed()["view"]
        self.largest_bytes = self._largest_written()
        self.file_names = self._content().keys()

    def kills_between_operations(self) -> list[Kill]:
        """Points chosen by chance, all of them where there are few. Each lies between two changes."""
        return self._choose(self._all_between_operations(), self._chance("between operations"))

    def power_cuts(self) -> list[Kill]:
        """As before, and one after the last change, when the step may already have ended."""
        chance = self._chance("power cuts")
        return self._choose(self._all_power_cuts(chance), chance)

    def kills_while_sending(self) -> list[Kill]:
        """In the middle of what is sent to Redis for it to store."""
        return self._choose(self._all_while_sending(), self._chance("while sending"))

    def kills_within_a_file(self) -> list[Kill]:
        """While the largest file is written, after a number of bytes chosen by chance."""
        chance = self._chance("within a file")
        return [Kill(at_bytes=chance.randrange(1, self.largest_bytes)) for _ in range(2)]

    def kill(self, kill: Kill, *, switched_off: str = "") -> None:
        """Run the step from the start until it dies. Asserts that it was hit while it wrote."""
        self._restore()
        answer = self._ask("act", kill=kill, switched_off=switched_off)
        assert answer["signal"] == (SIGXFSZ if kill.at_bytes else SIGKILL), f"{kill} did not hit"
        assert self._content() != self.start_content, f"{kill} hit before anything was written"
        if kill.at_bytes:
            sizes = [path.stat().st_size for path in self.folder.rglob("*") if path.is_file()]
            assert kill.at_bytes in sizes, f"{kill} left no file of this size"

    def assert_survives(self, kills: list[Kill]) -> None:
        """After each kill readers find a whole state, and another run leaves what an undisturbed one leaves."""
        assert kills, "the step never wrote"
        for kill in kills:
            self.kill(kill)
            found = self.find_half_written()
            assert not found, f"readers after {kill} find {found}"
            differences = self.find_differences_after_another_run()
            assert not differences, f"another run after {kill} leaves {differences}"

    def detects(self, kills: list[Kill], switched_off: str) -> bool:
        """Whether readers find something half-written after one of `kills`, with a protection switched off."""
        for kill in kills:
            self.kill(kill, switched_off=switched_off)
            if self.find_half_written():
                return True
        return False

    def detects_writing_in_place(self) -> bool:
        last_first = self._all_between_operations("write_in_place")[::-1]
        return self.detects(self.kills_within_a_file() + last_first, "write_in_place")

    def detects_flushing_nothing(self) -> bool:
        """Tries each point many times: what is lost decides whether anyone can see it."""
        chance = self._chance("power cuts")
        last_first = [kill for _ in range(20) for kill in self._all_power_cuts(chance, "flush_nothing")[::-1]]
        return self.detects(last_first, "flush_nothing")

    def detects_marking_first(self) -> bool:
        return self.detects(self._all_while_sending("mark_first"), "mark_first")

    def find_half_written(self) -> list[str]:
        """What a reader finds that is neither the old state nor the new one."""
        try:
            view = self._ask("view")["view"]
        except StepFailed as error:
            return [str(error)]
        before, after = self.before, self.after
        return [
            f"{part}: {view.get(part)}, expected {before.get(part)} or {after.get(part)}"
            for part in sorted({*view, *before, *after})
            if view.get(part) not in (before.get(part), after.get(part))
        ]

    def find_differences_after_another_run(self) -> list[str]:
        """How another run differs from one that was never disturbed, and what it leaves lying about."""
        view = self._ask("act", "view")["view"]
        leftovers = sorted(self._content().keys() ^ self.file_names)
        return leftovers + ([] if view == self.after else [f"{view}, expected {self.after}"])

    def _run_undisturbed(self, switched_off: str = "") -> dict:
        if switched_off not in self._undisturbed:
            self._restore()
            self._undisturbed[switched_off] = self._ask("act", "view", switched_off=switched_off)
        return self._undisturbed[switched_off]

    def _largest_written(self) -> int:
        """A file with a second name may be old: the bundle links what is sealed."""
        names = [name for name, _ in self._content().items() - self.start_content.items()]
        found = [(self.folder / name).lstat() for name in names if (self.folder / name).is_file()]
        return max(file.st_size for file in found if file.st_nlink == 1)

    def _all_between_operations(self, switched_off: str = "") -> list[Kill]:
        first, last = self._first_and_last_change(switched_off)
        return [Kill(before_operation=number) for number in range(first + 1, last + 1)]

    def _all_power_cuts(self, chance: random.Random, switched_off: str = "") -> list[Kill]:
        first, last = self._first_and_last_change(switched_off)
        points = range(first + 1, last + 2)
        return [Kill(before_operation=number, power_seed=chance.randrange(10**6)) for number in points]

    def _all_while_sending(self, switched_off: str = "") -> list[Kill]:
        messages = self._run_undisturbed(switched_off)["messages"]
        return [Kill(within_message=number) for number in range(1, messages + 1)]

    def _first_and_last_change(self, switched_off: str) -> tuple[int, int]:
        changes = self._run_undisturbed(switched_off)["changes"]
        changing = [number for number, changed in enumerate(changes, start=1) if changed]
        return changing[0], changing[-1]

    def _chance(self, purpose: str) -> random.Random:
        """The same for the same seed, whichever other tests run."""
        return random.Random(f"{self.seed} {self.step} {purpose}")

    def _choose(self, kills: list[Kill], chance: random.Random) -> list[Kill]:
        return chance.sample(kills, min(len(kills), STEPS[self.step].kills))

    def _restore(self) -> None:
        shutil.rmtree(self.folder)
        shutil.copytree(self.start, self.folder)

    def _content(self) -> dict[str, tuple[str, int]]:
        """What each file holds and when it was written: which run is the newest is a change, too."""
        return {
            str(path.relative_to(self.folder)): (
                (sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) if path.is_file() else ("", 0)
            )
            for path in self.folder.rglob("*")
        }

    def _ask(self, *tasks: str, kill: Kill = NO_KILL, switched_off: str = "") -> dict:
        request = dict(step=self.step, tasks=tasks, folder=self.folder, kill=kill, switched_off=switched_off)
        self.warm.stdin.write(msgspec.json.encode(request, enc_hook=str) + b"\n")
        self.warm.stdin.flush()
        answer = msgspec.json.decode(self.warm.stdout.readline())
        if answer["error"] or (answer["signal"] and kill == NO_KILL):
            ending = answer["error"] or f"signal {answer['signal']}"
            raise StepFailed(f"{self.step}: {' and '.join(tasks)} ended with {ending}")
        return answer


class StepFailed(Exception):
    """A step, or a reader of what it wrote, ended with an error where it should not."""
