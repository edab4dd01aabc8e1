"""Flag beats environment beats file beats default; what cannot be is refused with key, value, allowed."""

import tomllib
from pathlib import Path

import msgspec
import pytest

import contracts
from contracts.faults import SettingsFault
from contracts.sections import Settings
from contracts.settings import CONFIG_FILE, read_settings, setting_keys, variable_of

ROOT = Path(contracts.__file__).parent.parent
PORT = ("service", "port")


@pytest.fixture
def write(tmp_path):
    def write_file(text: str) -> Path:
        path = tmp_path / CONFIG_FILE
        path.write_text(text)
        return path

    return write_file


def refusal(file=None, *, flags=None, environ=None) -> str:
    with pytest.raises(SettingsFault) as refused:
        read_settings(file, flags, environ or {})
    assert refused.value.exit_code == 2
    return str(refused.value)


def test_without_a_file_the_defaults_hold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = read_settings(environ={})
    assert msgspec.structs.replace(settings, paths=Settings().paths) == Settings()


def test_flag_beats_environment_beats_file_beats_default(write):
    assert Settings().service.port == 3000
    file = write("[service]\nport = 3001")
    environ = {"FLYWEIGHT_SERVICE_PORT": "3002"}
    assert read_settings(file, environ={}).service.port == 3001
    assert read_settings(file, environ=environ).service.port == 3002
    assert read_settings(file, {PORT: 3003}, environ).service.port == 3003


@pytest.mark.parametrize(
    ("variable", "text", "section", "name", "value"),
    [
        ("PORT", "3005", "service", "port", 3005),
        ("FLYWEIGHT_HOST", "0.0.0.0", "service", "host", "0.0.0.0"),
        ("REDIS_URL", "redis://cache:6379", "features", "redis_url", "redis://cache:6379"),
        ("FLYWEIGHT_SASREC_LEARNING_RATE", "0.01", "sasrec", "learning_rate", 0.01),
        ("FLYWEIGHT_MEASURING_BATCH_SIZES", "[1, 8]", "measuring", "batch_sizes", (1, 8)),
        ("FLYWEIGHT_LOG_USER_ID", "42", "log", "user_id", "42"),
    ],
)
def test_variable_of_the_environment_is_read_as_the_file_would_be(write, variable, text, section, name, value):
    settings = read_settings(write(""), environ={variable: text})
    assert getattr(getattr(settings, section), name) == value


def test_short_name_of_a_variable_beats_the_long_one(write):
    environ = {"PORT": "3005", "FLYWEIGHT_SERVICE_PORT": "3006"}
    assert read_settings(write(""), environ=environ).service.port == 3005


def test_empty_variable_counts_as_unset(write):
    assert read_settings(write(""), environ={"PORT": "", "REDIS_URL": ""}).service.port == 3000


def test_paths_are_relative_to_the_directory_of_the_file(write, tmp_path):
    settings = read_settings(write('[paths]\nruns = "my/runs"\nreports = "/reports"'), environ={})
    assert settings.paths.runs == tmp_path / "my/runs"
    assert settings.paths.artifacts == tmp_path / "artifacts"
    assert settings.paths.reports == Path("/reports")


def test_path_given_as_a_flag_or_variable_is_taken_too(write, tmp_path):
    flags = {("paths", "artifacts"): tmp_path / "other"}
    settings = read_settings(write(""), flags, {"FLYWEIGHT_STATE": "/state"})
    assert (settings.paths.artifacts, settings.paths.state) == (tmp_path / "other", Path("/state"))


def test_variable_names_the_file(write):
    file = write("[service]\nport = 3001")
    assert read_settings(environ={"FLYWEIGHT_CONFIG": str(file)}).service.port == 3001


def test_named_file_must_exist(tmp_path):
    missing = tmp_path / "missing.toml"
    assert "does not exist" in refusal(missing)
    assert "does not exist" in refusal(environ={"FLYWEIGHT_CONFIG": str(missing)})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[service]\nport = 0", ["[service] port = 0", "`int` >= 1"]),
        ("[service]\nport = 70000", ["[service] port = 70000", "`int` <= 65535"]),
        ('[service]\nport = "3000"', ["[service] port = '3000'", "Expected `int`, got `str`"]),
        ("[service]\nport = true", ["[service] port = True", "Expected `int`, got `bool`"]),
        ("[service]\nmax-batchh = 3", ["[service]", "`max-batchh`", "Allowed: host, port, workers, shortcut,"]),
        ("[servic]\nport = 1", ["`servic`", "Allowed: paths, log, split"]),
        ("service = 3", ["[service] = 3", "Expected `object`"]),
        ('[split]\nprotocol = "random"', ["[split] protocol = 'random'", "Allowed: time-split, leave-one-out."]),
        ('[promotion]\nmetric = "MAP"', ["[promotion] metric = 'MAP'", "Allowed: NDCG@10, HitRate@10,"]),
        ("[loadtest]\nknown-percent = nan", ["[loadtest] known-percent = nan", ">= 0.0"]),
        ("[loadtest]\nzipf-exponent = inf", ["[loadtest] zipf-exponent = inf", "<= 10.0"]),
        ("[popularity]\nhalf-lives-days = []", ["[popularity] half-lives-days = []", "length >= 1"]),
        ("[popularity]\nhalf-lives-days = [1, 0]", ["[popularity] half-lives-days = [1, 0]", "`float` > 0.0"]),
        ("[paths]\nruns = 5", ["[paths] runs = 5", "str"]),
        ("[sasrec]\nheads = 3", ["[sasrec] heads = 3", "divisor of dimension = 64"]),
        ("[slo]\npredict = []", ["[slo] predict = []", "length >= 1"]),
        ('[slo]\npredict = ["p99"]', ["[slo] predict = ['p99']", "expected `p(99) < 20`"]),
        ("port = = 3", ["cannot be read as TOML"]),
    ],
)  # fmt: skip
def test_impossible_file_is_refused_with_file_key_value_and_what_is_allowed(write, text, expected):
    message = refusal(write(text))
    for part in [CONFIG_FILE, *expected]:
        assert part in message


def test_refusal_names_the_variable_or_flag_that_brought_the_value(write):
    file = write("[service]\nport = 3001")
    assert "environment variable PORT: [service] port = 'many'" in refusal(file, environ={"PORT": "many"})
    assert "flag --port: [service] port = 0" in refusal(file, flags={PORT: 0})
    assert "flag --predict: [slo] predict = ['p99']" in refusal(file, flags={("slo", "predict"): ["p99"]})


def test_unknown_variable_of_ours_is_refused_with_an_example(write):
    message = refusal(write(""), environ={"FLYWEIGHT_SERVICE_PROT": "1"})
    assert "FLYWEIGHT_SERVICE_PROT is no setting" in message
    assert "FLYWEIGHT_SERVICE_MAX_BATCH" in message


def test_variable_of_somebody_else_is_ignored(write):
    assert read_settings(write(""), environ={"SERVICE_PORT": "1", "HOME": "/"}).service.port == 3000


def test_flyweight_toml_mentions_every_setting_with_its_default():
    document = tomllib.loads((ROOT / CONFIG_FILE).read_text())
    written = {(section, key): value for section, keys in document.items() for key, value in keys.items()}
    defaults = msgspec.to_builtins(Settings(), enc_hook=str)
    expected = {
        (section, key): list(value) if isinstance(value, tuple) else value
        for section, keys in defaults.items()
        for key, value in keys.items()
    }
    assert written == expected
    assert set(written) == set(setting_keys())


def test_every_variable_name_is_unique():
    variables = [variable_of(key) for key in setting_keys()]
    assert len(set(variables)) == len(variables)
    assert "FLYWEIGHT_SASREC_LEARNING_RATE" in variables


def test_variables_that_kubernetes_injects_for_a_service_named_flyweight_are_nobodys_settings(tmp_path):
    injected = {
        "FLYWEIGHT_SERVICE_HOST": "10.96.0.7",
        "FLYWEIGHT_SERVICE_PORT": "3000",
        "FLYWEIGHT_PORT": "tcp://10.96.0.7:3000",
        "FLYWEIGHT_PORT_3000_TCP": "tcp://10.96.0.7:3000",
        "FLYWEIGHT_PORT_3000_TCP_ADDR": "10.96.0.7",
    }
    file = tmp_path / "flyweight.toml"
    file.write_text("")
    settings = read_settings(file, environ=injected | {"FLYWEIGHT_HOST": "0.0.0.0", "PORT": "3100"})
    assert (settings.service.host, settings.service.port) == ("0.0.0.0", 3100)
