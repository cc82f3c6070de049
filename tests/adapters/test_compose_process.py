"""Docker Compose as a program: what it is given, what is made of what it prints, and that it ends when it has to."""

from __future__ import annotations

import asyncio
import base64
import json
import stat
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.adapters.compose import DockerCompose, candidates, find_compose
from agent.adapters.compose.docker_config import docker_config, sweep
from agent.adapters.compose.engine_access import engine_env, link_tls_files
from agent.adapters.compose.output import Output
from agent.adapters.compose.process import MAX_LINE_BYTES, Ended, OutputTooLarge, run
from agent.adapters.engine import Endpoint
from agent.ports import Json, RegistryAuth
from agent.ports.compose import ComposeError, Project

pytestmark = pytest.mark.real_time

PAPER = Project("paper", "/srv/paper", "/srv/paper/docker-compose.yml", profiles=["debug"])
SOCKET = Endpoint("unix:///run/docker.sock")
AUTHS = {"nas:5000": RegistryAuth("me", "hush", "nas:5000")}

MakeProgram = Callable[[str], str]


@pytest.fixture
def program(tmp_path: Path) -> MakeProgram:
    """Makes a program of Python source that knows `json`, `os`, `sys` and `time`; returns its path."""

    def make(source: str) -> str:
        path = tmp_path / "docker-compose"
        head = f"#!{sys.executable} -IS\nimport json, os, sys, time\n"
        path.write_text(head + textwrap.dedent(source))
        path.chmod(0o755)
        return str(path)

    return make


def compose(path: str, private_dir: Path | None = None) -> DockerCompose:
    return DockerCompose(path, "2.40.3", SOCKET, private_dir=private_dir)


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


# --- What it is given


TELL_ALL = """
    config = os.environ.get("DOCKER_CONFIG", "")
    print(json.dumps({
        "argv": sys.argv[1:], "env": dict(os.environ), "stdin": sys.stdin.read(), "cwd": os.getcwd(),
        "config": json.load(open(config + "/config.json")), "mode": os.stat(config).st_mode & 0o777,
    }))
"""


async def told(path: str, project: Project, tmp_path: Path) -> Json:
    return await compose(path, tmp_path).config(project, deadline_s=20)


async def test_arguments(program: MakeProgram, tmp_path: Path) -> None:
    """The file as it is stored; one option for each thing, so that no value can become an option."""
    said = await told(program(TELL_ALL), PAPER, tmp_path)
    assert said["argv"] == [
        *("--progress", "json", "--project-name", "paper", "--project-directory", "/srv/paper"),
        *("--file", "/srv/paper/docker-compose.yml", "--profile", "debug"),
        *("config", "--format", "json"),
    ]
    assert (said["stdin"], said["cwd"]) == ("", "/")


async def test_a_resolved_project(program: MakeProgram, tmp_path: Path) -> None:
    """It goes in by the standard input, and is on no disk."""
    document = {"services": {"web": {"image": "nginx"}}}
    project = Project("paper", "/host/paper", document=document)
    said = await told(program(TELL_ALL), project, tmp_path)
    assert said["argv"][6:8] == ["--file", "-"]
    assert json.loads(said["stdin"]) == document


async def test_its_environment(
    program: MakeProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine's address and a configuration of its own: our tokens are no variables of anybody's project."""
    monkeypatch.setenv("PERMANENT_TOKEN", "hush")
    said = await told(program(TELL_ALL), PAPER, tmp_path)
    assert said["env"].keys() - {"LC_CTYPE"} == {
        "DOCKER_HOST",
        "DOCKER_CONFIG",
        "COMPOSE_IGNORE_ORPHANS",
    }
    assert said["mode"] == 0o700
    assert names(tmp_path) == {"docker-compose"}, "the configuration is gone"


@pytest.mark.parametrize(
    ("action", "arguments"),
    [
        ("pull", ["pull"]),
        ("up", ["up", "--detach", "--no-build", "--remove-orphans"]),
        ("forced up", ["up", "--detach", "--no-build", "--remove-orphans", "--force-recreate"]),
        ("down", ["down", "--remove-orphans"]),
        ("down -v", ["down", "--remove-orphans", "--volumes"]),
    ],
)
async def test_commands(
    program: MakeProgram, tmp_path: Path, action: str, arguments: list[str]
) -> None:
    """Each with its progress as JSON, and credentials only for what may pull."""
    path = program(
        """
        config = json.load(open(os.environ["DOCKER_CONFIG"] + "/config.json"))
        print(json.dumps({"argv": sys.argv[1:], "auths": config["auths"]}), file=sys.stderr)
        """
    )
    docker = compose(path, tmp_path)
    lines: list[Json] = []
    match action.split():
        case ["pull"]:
            await docker.pull(PAPER, auths=AUTHS, watch=lines.append, deadline_s=20)
        case [*force, "up"]:
            await docker.up(
                PAPER, force_recreate=bool(force), auths=AUTHS, watch=lines.append, deadline_s=20
            )
        case ["down", *volumes]:
            await docker.down(
                "paper", remove_volumes=bool(volumes), watch=lines.append, deadline_s=20
            )
    [line] = lines
    assert line["argv"][-len(arguments) :] == arguments
    if arguments[0] == "down":
        assert "--file" not in line["argv"]
        assert line["auths"] == {}
    else:
        assert line["auths"] == {"nas:5000": {"auth": base64.b64encode(b"me:hush").decode()}}


@pytest.mark.parametrize(
    ("endpoint", "env"),
    [
        (SOCKET, {"DOCKER_HOST": "unix:///run/docker.sock"}),
        (Endpoint("http://192.0.2.7:2375"), {"DOCKER_HOST": "tcp://192.0.2.7:2375"}),
        (
            Endpoint("https://e:2376", Path("/certs")),
            {"DOCKER_HOST": "tcp://e:2376", "DOCKER_TLS_VERIFY": "1"},
        ),
        (
            Endpoint("https://e:2376", Path("/certs"), verify=False),
            {"DOCKER_HOST": "tcp://e:2376", "DOCKER_TLS": "1"},
        ),
        (Endpoint("https://e:2376"), {"DOCKER_HOST": "tcp://e:2376", "DOCKER_TLS_VERIFY": "1"}),
    ],
)
def test_the_engine_is_ours(endpoint: Endpoint, env: dict[str, str]) -> None:
    """The same one, reached in the same way, a Podman socket that was found by itself included."""
    assert engine_env(endpoint) == env


@pytest.mark.parametrize(
    ("own", "links"),
    [
        ((), {"ca.pem"}),
        (("cert.pem", "key.pem"), {"ca.pem", "cert.pem", "key.pem"}),
        (("ca.pem", "cert.pem", "key.pem"), {"ca.pem", "cert.pem", "key.pem"}),
    ],
)
def test_tls_files(tmp_path: Path, own: tuple[str, ...], links: set[str]) -> None:
    """Our own where we have them; without authorities of our own, the system's."""
    certs, config = tmp_path / "certs", tmp_path / "config"
    for directory in (certs, config):
        directory.mkdir()
    for name in own:
        (certs / name).write_text(name)
    link_tls_files(Endpoint("https://e:2376", certs), config)
    assert names(config) == links
    assert {name for name in links if (config / name).read_text() == name} == set(own)
    link_tls_files(SOCKET, config / "not even looked at")


# --- What it prints


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (['{"error":true,"message":"Error response from daemon: no such image"}'], "no such image"),
        (['{"error":true,"message":"one"}', '{"error":true,"message":"two"}'], "two"),
        (["usage: ...", "unknown flag: --progress"], "unknown flag: --progress"),
        (["in words", '{"error":true,"message":"in JSON"}', "in words"], "in JSON"),
        (["{broken", ""], "{broken"),
        (['{"error":true,"message":"many\\n  lines"}'], "many lines"),
        ([], ""),
        (
            ["fatal error: runtime: cannot allocate memory", "", "runtime stack:", "main.main()"],
            "Compose ran out of memory: the project is too large, or its YAML aliases multiply",
        ),
        (
            ["fatal error: all goroutines are asleep", "goroutine 1:"],
            "fatal error: all goroutines are asleep",
        ),
    ],
)
def test_why_it_failed(lines: list[str], reason: str) -> None:
    """The last error, without what says only where it came from, and without the pages of a crash."""
    output = Output(lambda _: None)
    for line in lines:
        output.take(line.encode())
    assert output.reason == reason


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            'failed to read /s/.env: line 3: unterminated quoted value "hush\nhush',
            "failed to read /s/.env: line 3: unterminated quoted value",
        ),
        (
            'failed to read /s/.env: Invalid template: "hu${sh"',
            "failed to read /s/.env: Invalid template",
        ),
        (
            'failed to read /s/.env: line 2: unexpected character "!" in variable name "hu!sh"',
            "failed to read /s/.env: line 2: unexpected character",
        ),
        (
            "invalid interpolation format for services.web.environment.PASSWORD.\n"
            "You may need to escape any $ with another $.\nhu${sh",
            "invalid interpolation format for services.web.environment.PASSWORD. "
            "You may need to escape any $ with another $.",
        ),
    ],
)
def test_what_it_quotes(message: str, reason: str) -> None:
    """It shows the line that it cannot read, and that may be a password: only where it stands is told."""
    output = Output(lambda _: None)
    output.take(json.dumps({"error": True, "message": message}).encode())
    assert output.reason == reason


def test_what_is_progress() -> None:
    """Objects that are neither errors nor remarks."""
    watched: list[Json] = []
    output = Output(watched.append)
    for line in (
        b'{"id":"web","text":"Pulling"}',
        b'{"level":"warning","msg":"a variable is not set"}',
        b'{"error":true,"message":"no"}',
        b"[1]",
        b"\xff",
    ):
        output.take(line)
    assert watched == [{"id": "web", "text": "Pulling"}]


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("sys.exit(3)", "Compose failed, status 3"),
        ("os.kill(os.getpid(), 9)", "Compose failed, status -9"),
        ("sys.exit('cannot go on')", "cannot go on"),
        ("print('no JSON')", "Compose printed something else than the project"),
        ("print('[]')", "Compose printed something else than the project"),
        ("sys.stdout.write('x' * (17 << 20))", "the project is too large"),
    ],
)
async def test_failures(program: MakeProgram, tmp_path: Path, source: str, error: str) -> None:
    """Its own words where it has any."""
    with pytest.raises(ComposeError) as failed:
        await told(program(source), PAPER, tmp_path)
    assert str(failed.value) == error
    assert names(tmp_path) == {"docker-compose"}


async def test_a_program_that_is_gone(tmp_path: Path) -> None:
    """It may be upgraded while we run."""
    with pytest.raises(ComposeError, match=r"^Compose cannot be run: No such file or directory$"):
        await told(str(tmp_path / "gone"), PAPER, tmp_path)


async def test_lines_come_as_they_are_written(program: MakeProgram) -> None:
    """Whole ones, however they were cut on the way; one that is too long for anybody is skipped."""
    path = program(
        f"""
        for piece in ("o", "ne\\ntw", "o\\n", "x" * {MAX_LINE_BYTES + 70_000}, "\\nthree"):
            sys.stderr.write(piece)
            sys.stderr.flush()
            time.sleep(0.05)
        """
    )
    lines: list[bytes] = []
    assert await run([path], env={}, line=lines.append, deadline_s=20) == Ended(0, b"")
    assert lines == [b"one", b"two", b"three"]


async def test_both_outputs_at_once(program: MakeProgram) -> None:
    """Neither pipe fills up while the other is read, and what it does not want to read is no error."""
    path = program("sys.stderr.write('e\\n' * 200_000); sys.stdout.write('o' * 1_000_000)")
    lines: list[bytes] = []
    feed = b"x" * 10_000_000
    ended = await run([path], env={}, feed=feed, line=lines.append, deadline_s=20)
    assert (ended.status, len(ended.output), len(lines)) == (0, 1_000_000, 200_000)


# --- That it ends


SLEEPS = """
    import signal, subprocess
    child = subprocess.Popen(["sleep", "3600"])
    signal.signal(signal.SIGTERM, {on_term})
    print(json.dumps({{"pids": [os.getpid(), child.pid]}}), file=sys.stderr, flush=True)
    time.sleep(3600)
"""
POLITE, DEAF = "lambda *_: os._exit(0)", "signal.SIG_IGN"


async def gone(pids: list[int]) -> bool:
    """Whether all of them end within a moment; those that nobody waits for stay as zombies."""
    for _ in range(100):
        if not any(map(_lives, pids)):
            return True
        await asyncio.sleep(0.05)
    return False


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("on_term", [POLITE, DEAF])
async def test_nobody_awaits_it_any_more(
    program: MakeProgram, tmp_path: Path, on_term: str
) -> None:
    """It is ended with all that it started, whether or not it listens, and its credentials go with it."""
    begun: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
    docker = compose(program(SLEEPS.format(on_term=on_term)), tmp_path)

    def watch(line: Json) -> None:
        begun.set_result(line["pids"])

    async with asyncio.TaskGroup() as tasks:
        pulling = tasks.create_task(docker.pull(PAPER, auths=AUTHS, watch=watch, deadline_s=60))
        pids = await begun
        pulling.cancel()
    assert await gone(pids)
    assert names(tmp_path) == {"docker-compose"}


async def test_it_takes_too_long(program: MakeProgram, tmp_path: Path) -> None:
    """It is ended at its deadline, and the error says so."""
    lines: list[Json] = []
    docker = compose(program(SLEEPS.format(on_term=DEAF)), tmp_path)
    with pytest.raises(ComposeError, match=r"^Compose did not end within 1 s$"):
        await docker.pull(PAPER, auths={}, watch=lines.append, deadline_s=1.0)
    assert await gone(lines[0]["pids"])


async def test_it_takes_too_much_memory(program: MakeProgram) -> None:
    """It gets no more than its share, whatever a project makes of it: the host has other things to do."""
    path = program("time.sleep(0.5); bytearray(1 << 30)")
    lines: list[bytes] = []
    ended = await run([path], env={}, line=lines.append, deadline_s=30)
    assert (ended.status, lines[-1]) == (1, b"MemoryError")


async def test_it_floods_us(program: MakeProgram) -> None:
    """It is ended, and not at its convenience."""
    path = program("while True: sys.stdout.write('x' * 65536)")
    with pytest.raises(OutputTooLarge):
        await run([path], env={}, line=lambda _: None, deadline_s=30)


# --- Its configuration


def test_credentials_on_disk(tmp_path: Path) -> None:
    """Readable by us alone, and gone at the end of the block."""
    with docker_config(AUTHS, within=tmp_path) as directory:
        file = directory / "config.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert json.loads(file.read_text())["auths"].keys() == {"nas:5000"}
    assert names(tmp_path) == set()


def test_what_one_who_was_killed_has_left(tmp_path: Path) -> None:
    """It goes at the next start; what one that lives works with stays, and so does what a link leads to."""
    dead, link, another = (
        tmp_path / name for name in ("dockmon-agent-docker-x", "dockmon-agent-docker-y", "another")
    )
    for directory in (dead, another):
        directory.mkdir()
        (directory / "config.json").write_text("{}")
    link.symlink_to(another)
    with docker_config(AUTHS, within=tmp_path) as alive:
        sweep(tmp_path)
        assert names(tmp_path) == {alive.name, link.name, "another"}
        assert names(alive) == names(another) == {"config.json"}
    sweep(tmp_path)
    assert names(tmp_path) == {link.name, "another"}


async def test_it_goes_without_compose_too(tmp_path: Path) -> None:
    """Compose may have been removed since."""
    (tmp_path / "dockmon-agent-docker-x").mkdir()
    found, _ = await find_compose([], SOCKET, private_dir=tmp_path)
    assert (found, names(tmp_path)) == (None, set())


# --- Which one


GOOD = """
    if sys.argv[1:] == ["version", "--short"]:
        print("v2.40.3")
    else:
        sys.exit('{"error":true,"message":"empty compose file"}')
"""


async def test_it_is_found(program: MakeProgram) -> None:
    """The first that works is taken."""
    found, why_not = await find_compose(["/no/such/program", program(GOOD)], SOCKET)
    assert found is not None
    assert (found.version, why_not) == ("2.40.3", "")


@pytest.mark.parametrize(
    ("source", "why_not"),
    [
        ("print('1.29.2')", "it is no Docker Compose v2"),
        ("print('docker-compose version 1.29.2, build x')", "it is no Docker Compose v2"),
        ("sys.exit(1)", "it is no Docker Compose v2"),
        ("print('2.2.0'); sys.exit('unknown flag' if len(sys.argv) > 3 else 0)", "update it"),
        (
            # As the script of the Python package: what became of it is lost.
            'print(\'2.40.3\'); print(\'{"error":true,"message":"no"}\', file=sys.stderr)',
            "update it",
        ),
    ],
)
async def test_one_that_cannot_be_worked_with(
    program: MakeProgram, source: str, why_not: str
) -> None:
    """The reason names it; a Compose whose failures cannot be told from successes is none."""
    path = program(source)
    found, said = await find_compose([path], SOCKET)
    assert found is None
    assert said.startswith(f"{path} cannot be used: ")
    assert said.endswith(why_not)


async def test_there_is_none() -> None:
    """The reason says what to install."""
    assert await find_compose([], SOCKET) == (
        None,
        "Docker Compose is not installed: install its plugin (docker-compose-plugin)",
    )


def test_where_it_may_be(program: MakeProgram, tmp_path: Path) -> None:
    """A plugin of the user's comes before what is on PATH, and each place counts once."""
    path = program(GOOD)
    plugins = tmp_path / ".docker" / "cli-plugins"
    plugins.mkdir(parents=True)
    (plugins / "docker-compose").symlink_to(path)
    found = candidates({"HOME": str(tmp_path), "PATH": f"{tmp_path}:{tmp_path}::/no/such"})
    assert found[0] == str(plugins / "docker-compose")
    assert found.count(path) == 1
    assert found[-1] == path
