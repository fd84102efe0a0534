"""A real SLURM of one node on this machine, for tests: its own munge key, configuration and ports, no system files."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
_CONFIGURATION = """
ClusterName=dlx
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={place}/munge.socket,cred_expire=5
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,batch_sched_delay=0,defer=no,bf_interval=1
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.pid
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/slurmd.log
KillWait=5
MinJobAge=20
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=60 State=UP OverSubscribe=NO
"""


def missing() -> str | None:
    """Why there can be no cluster here; None where there can."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    absent = [program for program in NEEDED if shutil.which(program, path=path) is None]
    if absent:
        return f"no {', '.join(absent)} here: apt-get install slurm-wlm munge"
    if os.getuid() != 0:
        return "SLURM's daemons are started as root"
    return None


@contextlib.contextmanager
def cluster(place: Path) -> Iterator[Path]:
    """Start the daemons with everything under ``place``; gives the file for ``SLURM_CONF``, stops them in the end."""
    host = socket.gethostname().partition(".")[0]
    ports = _free_ports(2)
    for folder in ("state", "spool"):
        (place / folder).mkdir(parents=True)
    configuration = place / "slurm.conf"
    configuration.write_text(_CONFIGURATION.format(host=host, place=place, controller=ports[0], node=ports[1]))
    key = place / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    environment = os.environ | {"SLURM_CONF": str(configuration)}
    environment["PATH"] = f"{environment['PATH']}:/usr/sbin:/sbin"
    munge = [f"--{name}-file={place}/munge.{name}" for name in ("key", "pid", "log", "seed")]
    daemons: list[subprocess.Popen[bytes]] = []
    log = (place / "daemons.log").open("wb")

    def start(*command: str) -> None:
        daemons.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL))

    try:
        start("munged", "--foreground", "--force", f"--socket={place}/munge.socket", *munge)
        _wait(lambda: (place / "munge.socket").exists(), place, 20)
        start("slurmctld", "-D", "-c")
        _wait(lambda: _ask(environment, "scontrol", "ping") is not None, place, 30)
        start("slurmd", "-D", "-N", host)
        _wait(lambda: "idle" in (_ask(environment, "sinfo", "--noheader", "--format=%T") or ""), place, 30)
        yield configuration
    finally:
        _ask(environment, "scancel", "--full", "--signal=KILL", "--state=RUNNING", "--user=root")
        for daemon in reversed(daemons):
            daemon.terminate()
            try:
                daemon.wait(15)
            except subprocess.TimeoutExpired:
                daemon.kill()
        log.close()


def _ask(environment: dict[str, str], *command: str) -> str | None:
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return answer.stdout if answer.returncode == 0 else None


def _wait(condition: Callable[[], bool], place: Path, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            logs = "\n".join(
                f"== {path.name}\n{path.read_text('utf-8', 'replace')[-2000:]}" for path in place.glob("*.log")
            )
            raise RuntimeError(f"SLURM did not start:\n{logs}")
        time.sleep(0.1)


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
