from pathlib import Path

import pytest

from contracts.sections import Features, Paths, Service, Settings
from contracts.settings import read_settings
from service.serving import server_environment


def test_server_reads_the_settings_it_is_started_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths(**{name: tmp_path / name for name in ("artifacts", "runs", "reports", "bundle", "state")})
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
