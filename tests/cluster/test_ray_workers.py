"""Many workers on Ray: where they run, and what becomes of them when something dies.

Real Ray nodes, actors, processes and a real store; only the trials of the workers are fake.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_strategy.cluster.command import RayOptions, tune_on_ray
from nc_sigopt_strategy.cluster.errors import RayError
from nc_sigopt_strategy.cluster.handover import TOKEN_VARIABLE
from nc_sigopt_strategy.cluster.run_state import RunState, Standing, only_driver
from nc_sigopt_strategy.jobs.job_options import JobOptions
from nc_sigopt_strategy.jobs.opening import open_job
from nc_sigopt_strategy.results.run_files import read_outcome
from tests.cluster.ray_fake_worker import connect

ray = pytest.importorskip("ray")
EVALUATED = re.compile(r"worker-\d: \d+ models? evaluated")
HERE = Path(__file__).resolve().parent
FAKE = (str(HERE / "ray_fake_worker.py"),)
CONFIG = """
name: fake
tuning: {{timeout: 0, max_trials: {trials}}}
strategies: [{{name: sigopt}}]
"""
# A driver in a process of its own, which can be killed.
DRIVER = """
import sys
from pathlib import Path
from nc_sigopt_strategy.jobs.job_options import JobOptions
from nc_sigopt_strategy.jobs.opening import open_job
from nc_sigopt_strategy.cluster.command import RayOptions, tune_on_ray

config, output, program, address = sys.argv[1:]
options = RayOptions(
    2, address, Path(output), restart_seconds=0.1, program=(program,)
)
job = open_job(Path(config), JobOptions())
end, _ = tune_on_ray(job, lambda line: print(line, flush=True), options)
sys.exit(130 if end.interrupted else 0)
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes with one CPU each, as processes on this machine."""
    from ray.cluster_utils import Cluster

    small = {"num_cpus": 1, "object_store_memory": 80 * 1024 * 1024}
    # A dead node is noticed in two seconds instead of fifteen.
    noticing = {"health_check_period_ms": 500, "health_check_failure_threshold": 3}
    head = {**small, "include_dashboard": False, "_system_config": noticing}
    nodes = Cluster(initialize_head=True, head_node_args=head)
    nodes.add_node(**small)
    ray.init(address=nodes.address, log_to_driver=False, logging_level="ERROR")
    yield nodes
    ray.shutdown()
    nodes.shutdown()


class Run:
    """A run in a folder, and what it said and left."""

    def __init__(self, folder: Path, trials: int = 8) -> None:
        self.config = folder / "fake.yaml"
        self.config.write_text(CONFIG.format(trials=trials))
        self.output = folder / "run"
        self.said: list[str] = []
        self.actions: dict[str, Callable[[], None]] = {}

    def tell(self, line: str) -> None:
        self.said.append(line)
        print(time.monotonic(), line)
        if EVALUATED.match(line):
            action = self.actions.pop(line.split(":")[0], None)
            if action is not None:
                action()

    def go(self, workers: int = 2, **options: Any) -> Any:
        options = {"restart_seconds": 0.1, "program": FAKE, **options}
        chosen = RayOptions(workers, output=self.output, **options)
        return tune_on_ray(open_job(self.config, JobOptions()), self.tell, chosen)[0]

    def folder_of(self, worker: str) -> Path:
        return self.output / "workers" / worker

    def fault(self, worker: str, what: str) -> None:
        self.folder_of(worker).mkdir(parents=True, exist_ok=True)
        (self.folder_of(worker) / "fault").write_text(what)

    def alone(self) -> None:
        (self.output / "workers" / "alone").touch()

    def pid(self, worker: str) -> int:
        return int((self.folder_of(worker) / "pid").read_text())

    def state(self) -> RunState:
        state = RunState.read(self.output)
        assert state is not None
        return state

    def experiment(self) -> Any:
        connection = connect(f"sqlite:///{self.output / 'experiments.sqlite3'}")
        assert len(list(connection.experiments().fetch().iterate_pages())) == 1
        return connection.experiments(self.state().experiment_id)

    def check(self, trials: int = 8) -> Counter[str]:
        """The budget is used, nothing is doubled or left; how many each worker observed."""
        experiment = self.experiment()
        assert not list(experiment.suggestions().fetch(state="open").iterate_pages())
        observations = list(experiment.observations().fetch().iterate_pages())
        assert len(observations) == trials
        assert len({observation.suggestion for observation in observations}) == trials
        return Counter(observation.metadata["worker"] for observation in observations)

    def driver(self, address: str) -> subprocess.Popen[str]:
        code = [sys.executable, "-c", DRIVER, str(self.config), str(self.output), *FAKE, address]
        return subprocess.Popen(code, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for_trial(process: subprocess.Popen[str], worker: str) -> None:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if EVALUATED.match(line) and line.startswith(worker):
            return
    pytest.fail(f"the driver ended without a trial of {worker}: {''.join(lines)}")


def is_gone(pid: int) -> bool:
    for _ in range(1200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":  # ended; whoever adopted it has not asked
            return True
        time.sleep(0.1)
    return False


def kill_actor(worker: str) -> None:
    for actor in ray.util.list_named_actors(all_namespaces=True):
        if f"-{worker}-" in actor["name"]:
            ray.kill(ray.get_actor(actor["name"], namespace=actor["namespace"]))


def test_each_worker_has_a_node_of_its_own(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "not-for-everyone")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    run = Run(tmp_path)
    store = f"sqlite:///{run.output / 'experiments.sqlite3'}"
    end = run.go(storage=store)
    assert end.outcome.found
    assert end.outcome.trials == 8
    by_worker = run.check()
    assert by_worker["worker-1"] > 1
    assert by_worker["worker-2"] > 1
    started = [line for line in run.said if " started on " in line]
    assert len({line.split("(node")[1] for line in started}) == 2
    assert not any("more workers than nodes" in line for line in run.said)
    for worker in ("worker-1", "worker-2"):
        environment = json.loads((run.folder_of(worker) / "environment.json").read_text())
        assert environment["OMP_NUM_THREADS"] is None
        assert environment["CUDA_VISIBLE_DEVICES"] is None
        assert environment["RAY_JOB_ID"] is None
        assert signal.SIGINT not in environment["blocked"]
        assert environment["folder"] == str(tmp_path)
        assert environment[TOKEN_VARIABLE] == "not-for-everyone"
        # Without the right to be as fast as anybody it says so.
        log = (run.folder_of(worker) / "log.txt").read_text()
        assert (environment["nice"] == 0) != ("This worker runs at nice" in log)
    assert set(run.state().workers.values()) == {Standing.DONE}
    # The first worker calibrates, the other has it before it starts.
    assert (run.folder_of("worker-1") / "calibrated").read_text() == "made"
    assert (run.folder_of("worker-2") / "calibrated").read_text() == "by worker-1"
    for path in run.output.rglob("*"):
        if path.is_file() and path.name != "environment.json":
            assert b"not-for-everyone" not in path.read_bytes(), path
    # Called again it has nothing to do, and says the same.
    assert run.go().outcome == end.outcome
    assert run.said[-1].startswith("This run is finished.")


def test_the_token_is_in_no_file_of_ray(cluster: Any) -> None:
    for path in Path(ray._private.worker._global_node.get_session_dir_path()).rglob("*"):
        if path.is_file():
            assert b"not-for-everyone" not in path.read_bytes(), path


def test_workers_that_fail_are_started_again(cluster: Any, tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.fault("worker-1", "kill 1")
    run.fault("worker-2", "exit 1")
    run.go()
    by_worker = run.check()
    failed = {line.split(" (on ")[0] for line in run.said if " failed: " in line}
    assert failed == {
        "worker-1 failed: its process ended with signal 9",
        "worker-2 failed: its process ended with exit code 1",
    }
    assert min(by_worker.values()) > 1


def test_an_actor_that_dies_takes_its_process_along(cluster: Any, tmp_path: Path) -> None:
    run = Run(tmp_path)
    pids = []

    def kill() -> None:
        pids.append(run.pid("worker-2"))
        kill_actor("worker-2")
        assert is_gone(pids[0])

    run.actions["worker-2"] = kill
    run.go(workers=3)
    assert run.check()["worker-2"] > 1
    assert run.pid("worker-2") != pids[0]
    assert any(line.startswith("worker-2 failed: ActorDiedError") for line in run.said)
    assert any("more workers than nodes (2)" in line for line in run.said)


def test_a_node_that_dies(cluster: Any, tmp_path: Path) -> None:
    node = cluster.add_node(num_cpus=1, object_store_memory=80 * 1024 * 1024)
    # Enough trials that Ray notices before they are done.
    run = Run(tmp_path, trials=90)
    run.actions["worker-3"] = lambda: cluster.remove_node(node, allow_graceful=False)
    run.go(workers=3)
    by_worker = run.check(90)
    (failed,) = [line for line in run.said if " failed: " in line]
    assert by_worker[failed.split(" failed")[0]] > 1


def test_a_worker_is_given_up_and_the_others_go_on(cluster: Any, tmp_path: Path) -> None:
    run = Run(tmp_path, trials=3)
    run.fault("worker-1", "broken")
    run.alone()
    run.go(restarts=1)
    assert run.check(3)["worker-2"] == 3
    assert run.state().workers["worker-1"] is Standing.LOST
    problem = [line for line in run.said if line.startswith("worker-1 is given up")]
    assert "OSError: this worker is broken" in problem[0]


def test_all_workers_are_lost(cluster: Any, tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.fault("worker-1", "broken")
    with pytest.raises(RayError, match=r"No worker is left\..*this worker is broken"):
        run.go(workers=1, restarts=0)


def test_a_driver_that_is_killed_and_started_again(cluster: Any, tmp_path: Path) -> None:
    run = Run(tmp_path, trials=20)
    process = run.driver(cluster.address)
    wait_for_trial(process, "worker-2")
    pids = [run.pid(worker) for worker in ("worker-1", "worker-2")]
    process.kill()
    process.wait()
    before = run.state()
    assert before.experiment_id is not None
    run.go()
    assert all(is_gone(pid) for pid in pids)
    assert run.state().experiment_id == before.experiment_id
    by_worker = run.check(20)
    assert set(by_worker) == {"worker-1", "worker-2"}


def test_ctrl_c_lets_workers_close_their_trials(cluster: Any, tmp_path: Path) -> None:
    run = Run(tmp_path, trials=200)
    process = run.driver(cluster.address)
    wait_for_trial(process, "worker-2")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 130, out
    state = run.state()
    assert set(state.workers.values()) == {Standing.STOPPED}
    assert not state.finished
    observations = list(run.experiment().observations().fetch().iterate_pages())
    assert 2 <= len(observations) < 200
    assert sum(observation.failed for observation in observations) <= 2
    assert not list(run.experiment().suggestions().fetch(state="open").iterate_pages())
    assert read_outcome(run.output).stop_reason == "Interrupted."


def test_one_driver_per_folder(cluster: Any, tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.output.mkdir()
    with only_driver(run.output), pytest.raises(RayError, match="Another process drives"):
        run.go()
