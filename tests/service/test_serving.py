from pathlib import Path

import pytest

from contracts.sections import Features, Paths, Service, Settings
from contracts.settings import read_settings
from service.lifetime import private_folder
from service.serving import server_environment


def test_server_reads_the_settings_it_is_started_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths(**{name: tmp_path / name for name in Paths.__struct_fields__})
    settings = Settings(
        paths=paths, service=Service(port=4000, workers=3), features=Features(redis_url="redis://one")
    )
    (tmp_path / "flyweight.toml").write_text("[service]\nport = 5000\nmax-batch = 7\n")
    monkeypatch.chdir(tmp_path)
    environ = server_environment(settings, {"PORT": "6000", "REDIS_URL": "redis://other", "PATH": "/bin"})
    assert read_settings(environ=environ) == settings
    assert environ["PATH"] == "/bin"


def test_every_state_folder_has_its_own_bentoml_home(tmp_path: Path) -> None:
    settings = Settings(paths=Paths(state=tmp_path))
    assert server_environment(settings, {})["BENTOML_HOME"] == str(tmp_path / "bentoml")
    chosen = str(tmp_path / "chosen")
    assert server_environment(settings, {"BENTOML_HOME": chosen})["BENTOML_HOME"] == chosen


@pytest.mark.parametrize("is_there", [True, False])
def test_state_folder_is_shut_for_others(tmp_path: Path, is_there: bool) -> None:
    state = tmp_path / "state"
    if is_there:
        state.mkdir(mode=0o755)
    server_environment(Settings(paths=Paths(state=state)), {})
    assert state.stat().st_mode & 0o777 == 0o700


def test_folder_that_is_shared_by_design_stays_open(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    private_folder(tmp_path)
    assert tmp_path.stat().st_mode & 0o7777 == 0o1777
