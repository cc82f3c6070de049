"""The environment an operator writes becomes checked settings, or one line that helps."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from agent.console.reference import SETTINGS_PAGE, settings_reference
from agent.settings import VARIABLES, Credentials, Settings, SettingsError, load, read_credentials

URL = {"DOCKMON_URL": "https://dockmon.example.com"}
SECRET = "5f0c1d9e-1111-4222-8333-944455556666"


def settings(**environ: str) -> Settings:
    """The settings in `environ`, which gives no reason for a warning."""
    loaded = load(URL | environ)
    assert loaded.warnings == ()
    return loaded.settings


def refusal(**environ: str) -> str:
    """Why the agent does not start with `environ`: always one line without the secret."""
    with pytest.raises(SettingsError) as refused:
        load(URL | environ)
    shown = "".join(traceback.format_exception(refused.value))
    assert SECRET not in shown
    assert len(str(refused.value).splitlines()) == 1
    return str(refused.value)


def test_a_url_is_enough() -> None:
    """With nothing else set, every default of the Go agent holds."""
    assert settings().model_dump() == {
        "url": "wss://dockmon.example.com",
        "registration_token": None,
        "permanent_token": None,
        "insecure_skip_verify": False,
        "ca_cert": None,
        "docker_host": None,
        "docker_cert_path": None,
        "docker_tls_verify": False,
        "agent_name": None,
        "force_unique_registration": False,
        "proto_version": "1.1",
        "reconnect_initial_s": 1.0,
        "reconnect_max_s": 60.0,
        "data_path": Path("/data"),
        "stacks_dir": Path("/data/stacks"),
        "host_stacks_dir": None,
        "stats_interval_s": 1.0,
        "update_timeout_s": 120.0,
        "update_repositories": (),
        "update_registry_auth_file": None,
        "ignore_slots": False,
        "log_level": "info",
        "log_json": True,
    }


def test_every_variable_is_read_under_its_name() -> None:
    """The names are those of the Go agent's environment, so a container can be taken over."""
    environ = {
        "DOCKMON_URL": "ws://10.0.0.1:8080/dockmon/",
        "REGISTRATION_TOKEN": SECRET,
        "PERMANENT_TOKEN": "abc_DEF:012",
        "INSECURE_SKIP_VERIFY": "t",
        "DOCKMON_CA_CERT": "/certs/ca.pem",
        "DOCKER_HOST": "tcp://192.0.2.7:2376",
        "DOCKER_CERT_PATH": "/certs/docker",
        "DOCKER_TLS_VERIFY": "1",
        "AGENT_NAME": "  rack7 nas ",
        "FORCE_UNIQUE_REGISTRATION": "True",
        "PROTO_VERSION": "1.0",
        "RECONNECT_INITIAL": "500ms",
        "RECONNECT_MAX": "1m30s",
        "DATA_PATH": "/srv/dockmon",
        "AGENT_STACKS_DIR": "/srv/stacks",
        "HOST_STACKS_DIR": "/volume1/stacks",
        "STATS_INTERVAL": "500ms",
        "UPDATE_TIMEOUT": "2m",
        "UPDATE_REPOSITORIES": "registry.example.com/team/agent, me/agent,",
        "UPDATE_REGISTRY_AUTH_FILE": "/run/secrets/config.json",
        "AGENT_IGNORE_SLOTS": "1",
        "LOG_LEVEL": "DEBUG",
        "LOG_JSON": "F",
    }
    assert set(environ) == set(VARIABLES)
    assert load(environ).warnings == ()
    assert load(environ).settings.model_dump() == {
        "url": "ws://10.0.0.1:8080/dockmon",
        "registration_token": SecretStr(SECRET),
        "permanent_token": SecretStr("abc_DEF:012"),
        "insecure_skip_verify": True,
        "ca_cert": Path("/certs/ca.pem"),
        "docker_host": "tcp://192.0.2.7:2376",
        "docker_cert_path": Path("/certs/docker"),
        "docker_tls_verify": True,
        "agent_name": "rack7 nas",
        "force_unique_registration": True,
        "proto_version": "1.0",
        "reconnect_initial_s": 0.5,
        "reconnect_max_s": 90.0,
        "data_path": Path("/srv/dockmon"),
        "stacks_dir": Path("/srv/stacks"),
        "host_stacks_dir": Path("/volume1/stacks"),
        "stats_interval_s": 0.5,
        "update_timeout_s": 120.0,
        "update_repositories": ("registry.example.com/team/agent", "docker.io/me/agent"),
        "update_registry_auth_file": Path("/run/secrets/config.json"),
        "ignore_slots": True,
        "log_level": "debug",
        "log_json": False,
    }


def test_only_the_given_environment_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the process's environment nor a .env file has a say."""
    (tmp_path / ".env").write_text("AGENT_NAME=from-a-file\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGENT_NAME", "from-the-process")
    monkeypatch.setenv("agent_name", "in-lower-case")
    assert settings().agent_name is None


@pytest.mark.parametrize("name", [name for name in VARIABLES if name != "DOCKMON_URL"])
@pytest.mark.parametrize("blank", ["", "  ", "\n"])
def test_a_blank_value_is_none(name: str, blank: str) -> None:
    """`-e NAME=` in a compose file is the same as no NAME at all."""
    assert settings(**{name: blank}) == settings()


def test_settings_do_not_change() -> None:
    """What was decided at the start holds until the end."""
    with pytest.raises(ValidationError, match="frozen"):
        settings().log_level = "debug"  # type: ignore[misc]  # the point of the test


def test_settings_can_be_logged() -> None:
    """Neither text form shows a token."""
    shown = settings(REGISTRATION_TOKEN=SECRET, PERMANENT_TOKEN=SECRET)
    assert SECRET not in f"{shown!r} {shown}"


# The address of the server


@pytest.mark.parametrize(
    ("url", "agent_ws_url"),
    [
        ("https://h", "wss://h/api/agent/ws"),
        ("http://h", "ws://h/api/agent/ws"),
        ("wss://h:8443", "wss://h:8443/api/agent/ws"),
        ("WS://h", "ws://h/api/agent/ws"),
        ("https://h///", "wss://h/api/agent/ws"),
        ("https://h/dockmon", "wss://h/dockmon/api/agent/ws"),
        ("https://h/a/b//", "wss://h/a/b/api/agent/ws"),
        ("https://[2001:db8::7]:8001/", "wss://[2001:db8::7]:8001/api/agent/ws"),
        (" https://h\r\n", "wss://h/api/agent/ws"),
    ],
)
def test_the_url_leads_to_the_agent_socket(url: str, agent_ws_url: str) -> None:
    """The scheme becomes that of WebSockets, slashes at the end go, a sub-path stays."""
    assert settings(DOCKMON_URL=url).agent_ws_url == agent_ws_url


def test_the_url_leads_to_the_stats_socket() -> None:
    """Both sockets share the base."""
    url = settings(DOCKMON_URL="https://h/dockmon/").stats_ws_url
    assert url == "wss://h/dockmon/api/stats/ws/ingest"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("dockmon.example.com", "not an http, https, ws or wss URL"),
        ("dockmon.example.com:8001", "not an http, https, ws or wss URL"),
        ("//dockmon.example.com", "not an http, https, ws or wss URL"),
        ("ftp://h", "not an http, https, ws or wss URL"),
        ("https:h", "not an http, https, ws or wss URL"),
        ("https://", "has no host"),
        ("https:///path", "has no host"),
        ("https://:8001", "has no host"),
        ("https://a b", "characters that no URL has"),
        ("https://a\tb", "characters that no URL has"),
        ("https://h:port", "not a valid URL"),
        ("https://h:99999", "not a valid URL"),
        ("https://[::1", "not a valid URL"),
        (f"https://h?token={SECRET}", "a query or a fragment"),
        (f"https://h/#{SECRET}", "a query or a fragment"),
        ("https://h?", "a query or a fragment"),
        (f"https://admin:{SECRET}@h", "leave that part out"),
        (f"https://{SECRET}@h", "leave that part out"),
        (f"https://admin:{SECRET}@[::1", "not a valid URL"),
    ],
)
def test_an_odd_url_is_refused(url: str, reason: str) -> None:
    """The line says what is wrong with it, and repeats no password."""
    line = refusal(DOCKMON_URL=url)
    assert line.startswith("DOCKMON_URL: ")
    assert reason in line


def test_a_missing_url_is_asked_for_with_an_example() -> None:
    """Without a server there is nothing to do."""
    assert refusal(DOCKMON_URL="") == (
        "DOCKMON_URL: not set: write the server's address, "
        "like DOCKMON_URL=https://dockmon.example.com"
    )


# Where the engine is


@pytest.mark.parametrize(
    ("present", "engine_url"),
    [
        ({"/var/run/docker.sock", "/run/docker.sock"}, "unix:///var/run/docker.sock"),
        ({"/run/docker.sock", "/run/podman/podman.sock"}, "unix:///run/docker.sock"),
        ({"/run/podman/podman.sock"}, "unix:///run/podman/podman.sock"),
        (set(), "unix:///var/run/docker.sock"),
    ],
)
def test_the_engine_is_found(present: set[str], engine_url: str) -> None:
    """The first socket that exists; Docker's own if none does yet."""
    assert settings().engine_url(lambda path: str(path) in present) == engine_url


@pytest.mark.parametrize(
    ("docker_host", "engine_url"),
    [
        ("unix:///tmp/d.sock", "unix:///tmp/d.sock"),
        ("/tmp/d.sock", "unix:///tmp/d.sock"),  # noqa: S108  a made-up socket
        ("tcp://192.0.2.7:2376", "tcp://192.0.2.7:2376"),
    ],
)
def test_docker_host_decides(docker_host: str, engine_url: str) -> None:
    """What the operator says is not checked against what exists; a bare path is a socket."""
    assert settings(DOCKER_HOST=docker_host).engine_url(lambda path: True) == engine_url


@pytest.mark.parametrize("docker_host", ["docker.sock", "ssh://root@h", "tcp://", "npipe:////./x"])
def test_an_engine_that_cannot_be_reached_is_refused(docker_host: str) -> None:
    """Only sockets and TCP are spoken."""
    assert "unix:///var/run/docker.sock or tcp://" in refusal(DOCKER_HOST=docker_host)


def test_a_password_for_the_engine_is_refused() -> None:
    """It would end in every error about the engine."""
    assert "leave it out" in refusal(DOCKER_HOST=f"tcp://me:{SECRET}@h:2375")


# Booleans


@pytest.mark.parametrize("name", ["INSECURE_SKIP_VERIFY", "DOCKER_TLS_VERIFY", "LOG_JSON"])
@pytest.mark.parametrize("odd", ["yes", "off", "tRUE", " true", "2"])
def test_an_odd_boolean_leaves_the_default_with_a_warning(name: str, odd: str) -> None:
    """Go ignores it in silence; we ignore it and say so."""
    loaded = load(URL | {name: odd})
    assert loaded.settings == settings()
    default = "true" if name == "LOG_JSON" else "false"
    assert loaded.warnings == (
        f"{name}: not a boolean: write one of 1 t T true TRUE True or 0 f F false FALSE False; "
        f"until then it is {default}",
    )


# Names, durations, levels, paths


def test_a_long_name_is_cut_with_a_warning() -> None:
    """The server takes 255 characters; blanks around them do not count."""
    loaded = load(URL | {"AGENT_NAME": "n" * 256})
    assert loaded.settings.agent_name == "n" * 255
    assert [line.partition(":")[0] for line in loaded.warnings] == ["AGENT_NAME"]
    assert settings(AGENT_NAME=f"  {'n' * 255}  ").agent_name == "n" * 255


@pytest.mark.parametrize("name", [{}, {"AGENT_NAME": "   "}])
def test_a_forced_registration_needs_a_name(name: dict[str, str]) -> None:
    """The server would refuse it; a blank name is none."""
    line = refusal(FORCE_UNIQUE_REGISTRATION="true", **name)
    assert line.startswith("FORCE_UNIQUE_REGISTRATION: ")
    assert line.endswith("set AGENT_NAME too")


@pytest.mark.parametrize(
    "name", ["RECONNECT_INITIAL", "RECONNECT_MAX", "STATS_INTERVAL", "UPDATE_TIMEOUT"]
)
@pytest.mark.parametrize("odd", ["5", "fast", "0", "0s", "-1s", "1d"])
def test_an_odd_duration_is_refused(name: str, odd: str) -> None:
    """No unit, no number, nothing or less: the line shows a form that works."""
    line = refusal(**{name: odd})
    assert line.startswith(f"{name}: not ")
    assert "s" in line.rpartition("write ")[2]


def test_the_longest_delay_is_not_below_the_first() -> None:
    """The line names both variables, for the default of one may be the reason."""
    assert refusal(RECONNECT_INITIAL="2m") == (
        "RECONNECT_MAX: its 60 s are below RECONNECT_INITIAL with 120 s: "
        "raise the one or lower the other"
    )
    assert settings(RECONNECT_INITIAL="60s").reconnect_initial_s == 60.0


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("debug", "debug"),
        ("Info", "info"),
        ("WARN", "warn"),
        ("Warning", "warn"),
        ("error", "error"),
    ],
)
def test_log_levels_have_no_case(text: str, level: str) -> None:
    """`warning` is another word for `warn`."""
    assert settings(LOG_LEVEL=text).log_level == level


def test_an_odd_log_level_is_refused() -> None:
    """The line lists the levels there are."""
    line = refusal(LOG_LEVEL="verbose")
    assert line == "LOG_LEVEL: not a log level: write debug, info, warn or error"


def test_stacks_live_under_the_data_path() -> None:
    """Unless they are given a place of their own."""
    assert settings(DATA_PATH="/srv/d").stacks_dir == Path("/srv/d/stacks")
    assert settings(DATA_PATH="/srv/d", AGENT_STACKS_DIR="/s").stacks_dir == Path("/s")


def test_the_hosts_stacks_dir_is_absolute() -> None:
    """The engine's host resolves it, and that has no working directory."""
    assert refusal(HOST_STACKS_DIR="stacks").startswith("HOST_STACKS_DIR: not an absolute path")


def test_a_certificate_is_given_by_its_path() -> None:
    """Pasting its text is an easy mistake; the line says what to write and repeats none of it."""
    line = refusal(DOCKMON_CA_CERT=f"-----BEGIN CERTIFICATE-----\n{SECRET}\n")
    assert line.endswith("write the path of the file instead")


def test_a_long_protocol_version_is_refused() -> None:
    """The server would refuse the registration."""
    assert refusal(PROTO_VERSION="1" * 21).startswith("PROTO_VERSION: longer than 20")


def test_all_that_is_wrong_is_told_at_once() -> None:
    """So that it takes one more start to work, not three."""
    line = refusal(DOCKMON_URL="", LOG_LEVEL="loud", RECONNECT_MAX="1", DATA_PATH="/d")
    told = [problem.partition(":")[0] for problem in line.split("; ")]
    assert told == ["DOCKMON_URL", "RECONNECT_MAX", "LOG_LEVEL"]


# Tokens


@pytest.mark.parametrize("name", ["REGISTRATION_TOKEN", "PERMANENT_TOKEN"])
@pytest.mark.parametrize(
    "token", [f"{SECRET} x", f'"{SECRET}"', f"{SECRET}\nx", f"{SECRET}é", SECRET * 8]
)
def test_what_cannot_be_a_token_is_refused_unseen(name: str, token: str) -> None:
    """The server would refuse it without saying which part; we do not print it either."""
    line = refusal(**{name: token})
    assert line.startswith(f"{name}: ")
    assert "copy" in line


@pytest.mark.parametrize("token", [SECRET, "a", "A_b-c:9", "t" * 255, f" {SECRET}\r\n"])
def test_what_can_be_a_token_is_taken(token: str) -> None:
    """Blanks and line ends around it come from copying."""
    taken = settings(REGISTRATION_TOKEN=token).registration_token
    assert taken is not None
    assert taken.get_secret_value() == token.strip()


# NAME_FILE


@pytest.mark.parametrize("name", VARIABLES)
def test_any_variable_may_come_from_a_file(name: str, tmp_path: Path) -> None:
    """NAME_FILE with the value in it does what NAME does."""
    example = {
        "DOCKMON_URL": "ws://other.example.com",
        "INSECURE_SKIP_VERIFY": "true",
        "DOCKER_HOST": "unix:///x.sock",
        "DOCKER_TLS_VERIFY": "true",
        "FORCE_UNIQUE_REGISTRATION": "true",
        "RECONNECT_INITIAL": "3s",
        "RECONNECT_MAX": "3m",
        "STATS_INTERVAL": "2s",
        "UPDATE_TIMEOUT": "3m",
        "UPDATE_REPOSITORIES": "me/agent",
        "AGENT_IGNORE_SLOTS": "true",
        "LOG_LEVEL": "warn",
        "LOG_JSON": "false",
    }.get(name, "/x")
    if name.endswith("TOKEN"):
        example = SECRET
    others = {"AGENT_NAME": "x"} if name == "FORCE_UNIQUE_REGISTRATION" else {}
    environ = {key: value for key, value in (URL | others).items() if key != name}
    file = tmp_path / "value"
    file.write_text(f"{example}\n")
    from_file = load(environ | {f"{name}_FILE": str(file)})
    assert from_file == load(environ | {name: example})
    assert from_file.settings != load(URL | others).settings


def test_only_line_ends_are_cut_from_a_file(tmp_path: Path) -> None:
    """A path may end in a blank; it does not end in a line end."""
    (tmp_path / "path").write_bytes(b"/srv/data \r\n\n")
    assert settings(DATA_PATH_FILE=str(tmp_path / "path")).data_path == Path("/srv/data ")


@pytest.mark.parametrize("content", ["", "\n", "  \n"])
def test_a_blank_file_is_no_value(content: str, tmp_path: Path) -> None:
    """As a blank variable is none."""
    (tmp_path / "blank").write_text(content)
    assert settings(LOG_LEVEL_FILE=str(tmp_path / "blank")) == settings()


def test_a_variable_and_its_file_contradict_each_other() -> None:
    """Which one holds is not ours to guess, even if both were the same."""
    line = refusal(LOG_LEVEL="info", LOG_LEVEL_FILE="/run/secrets/level")
    assert line == "LOG_LEVEL: LOG_LEVEL_FILE is set too: keep one of the two"
    assert "REGISTRATION_TOKEN_FILE" in refusal(
        REGISTRATION_TOKEN=SECRET, REGISTRATION_TOKEN_FILE="/run/secrets/token"
    )


def test_a_bad_value_in_a_file_names_the_file_variable(tmp_path: Path) -> None:
    """The operator is led to where the value stands."""
    (tmp_path / "value").write_text("verbose")
    assert refusal(LOG_LEVEL_FILE=str(tmp_path / "value")).startswith("LOG_LEVEL_FILE: not a log ")
    loaded = load(URL | {"LOG_JSON_FILE": str(tmp_path / "value")})
    assert [line.partition(":")[0] for line in loaded.warnings] == ["LOG_JSON_FILE"]


def unreadable_files(folder: Path) -> dict[str, str]:
    """Paths the agent must not read a value from, by the reason it gives."""
    os.mkfifo(folder / "fifo")
    (folder / "large").write_bytes(b"x" * (64 * 1024 + 1))
    (folder / "binary").write_bytes(b"\xff\xfe")
    (folder / "nul").write_bytes(b"/data\0")
    return {
        "No such file or directory": str(folder / "absent"),
        "Is a directory": str(folder),
        "not a regular file": str(folder / "fifo"),
        "larger than 64 KiB": str(folder / "large"),
        "not UTF-8": str(folder / "binary"),
        "not a text": str(folder / "nul"),
    }


def test_an_unreadable_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    """Absent, a directory, a FIFO without writer (it does not wait), too large, not a text."""
    for reason, path in unreadable_files(tmp_path).items():
        assert refusal(DATA_PATH_FILE=path) == (
            f"DATA_PATH_FILE: cannot read the file ({reason}): "
            "write the path of a readable text file"
        )


def test_a_file_of_exactly_64_kib_is_read(tmp_path: Path) -> None:
    """The bound belongs to what is allowed."""
    (tmp_path / "value").write_text("info".ljust(64 * 1024))
    assert settings(LOG_LEVEL_FILE=str(tmp_path / "value")).log_level == "info"


def test_a_missing_token_file_is_a_warning(tmp_path: Path) -> None:
    """A host registered long ago starts without the secret: its stored token is enough."""
    loaded = load(URL | {"REGISTRATION_TOKEN_FILE": str(tmp_path / "gone")})
    assert loaded.settings.registration_token is None
    assert [line.partition(":")[0] for line in loaded.warnings] == ["REGISTRATION_TOKEN_FILE"]


def test_a_token_in_place_of_its_path_is_not_repeated() -> None:
    """Nothing of the variable is shown, for it may hold the token itself."""
    (warning,) = load(URL | {"PERMANENT_TOKEN_FILE": SECRET}).warnings
    assert SECRET not in warning


# Credentials while the agent runs


def test_credentials_are_read_again(tmp_path: Path) -> None:
    """A secret replaced in its file is seen without a restart."""
    file = tmp_path / "token"
    environ = {"REGISTRATION_TOKEN_FILE": str(file), "PERMANENT_TOKEN": "kept"}
    file.write_text("first\n")
    before = read_credentials(environ)
    assert before == Credentials("first", "kept")
    assert read_credentials(environ) == before
    file.write_text("second\n")
    assert read_credentials(environ) == Credentials("second", "kept")
    assert "second" not in repr(read_credentials(environ))


def test_no_credentials_are_no_error() -> None:
    """A stored token may be all that is needed."""
    assert read_credentials({}) == Credentials(None, None)
    assert read_credentials({}).warnings == ()


def test_bad_credentials_are_none_with_a_warning(tmp_path: Path) -> None:
    """A running agent goes on with what it has, and the other token is read all the same."""
    (tmp_path / "bad").write_text(f"{SECRET} {SECRET}")
    (tmp_path / "good").write_text(SECRET)
    for path in [*unreadable_files(tmp_path).values(), str(tmp_path / "bad")]:
        read = read_credentials(
            {"REGISTRATION_TOKEN_FILE": path, "PERMANENT_TOKEN_FILE": str(tmp_path / "good")}
        )
        assert read == Credentials(None, SECRET)
        (warning,) = read.warnings
        assert warning.startswith("REGISTRATION_TOKEN_FILE: ")
        assert SECRET not in warning


# The reference


def test_the_settings_page_is_fresh() -> None:
    """docs/reference/settings.md is what `make docs` writes."""
    assert SETTINGS_PAGE.read_text(encoding="utf-8") == settings_reference()


def test_the_settings_page_has_a_row_for_every_variable() -> None:
    """With form, default and meaning, none of them empty."""
    rows = [line for line in settings_reference().splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[0] for row in cells] == [f"`{name}`" for name in VARIABLES]
    assert all(len(row) == 4 and all(row) for row in cells)
