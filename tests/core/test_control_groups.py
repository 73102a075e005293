"""Processors and memory are those that the control groups allow, of both kinds and through all levels."""

import pytest

from elit_helpers.core import control_groups, settings

V2 = "35 31 0:30 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 {root} /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "33 31 0:32 {root} /sys/fs/cgroup/memory rw,relatime shared:10 - cgroup cgroup rw,memory\n"
)


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Lay out /proc and /sys: which group the process is in, what is mounted, files with what they hold."""

    def lay(cgroup, mounts, files):
        texts = {"proc/self/cgroup": cgroup, "proc/self/mountinfo": mounts}
        texts |= {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
        for name, text in texts.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)

    monkeypatch.setattr(control_groups, "SYSTEM", tmp_path)
    for name in ("ELIT_THREADS", "BINDER_SERVICE_HOST", "BINDER_REPO_URL", "MEM_LIMIT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(settings.os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    return lay


@pytest.mark.parametrize(
    ("quota", "threads"),
    [("200000 100000", 2), ("150000 100000", 2), ("50000 100000", 1), ("max 100000", 64), ("", 64),
     ("9900000 100000", 64)],
)  # fmt: skip
def test_a_container_of_the_second_kind_has_its_quota_rounded_up(system, quota, threads):
    system("0::/\n", V2, {"cpu.max": quota + "\n"})
    assert settings.threads() == threads


@pytest.mark.parametrize(("quota", "threads"), [("250000", 3), ("-1", 64), ("100000", 1)])
@pytest.mark.parametrize("root", ["/", "/docker/abc"])
def test_so_has_one_of_the_first_kind(system, quota, threads, root):
    files = {"cpu,cpuacct/cpu.cfs_quota_us": quota, "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}
    system("4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n", V1.format(root=root), files)
    assert settings.threads() == threads


@pytest.mark.parametrize("level", ["", "job_1/", "job_1/step_0/"])
def test_the_least_quota_of_all_levels_counts(system, level):
    files = {f"{name}cpu.max": "800000 100000" for name in ("", "job_1/", "job_1/step_0/")}
    system("0::/job_1/step_0\n", V2, files | {f"{level}cpu.max": "300000 100000"})
    assert settings.threads() == 3


def test_groups_of_both_kinds_beside_each_other(system):
    unified = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    files = {"cpu,cpuacct/a/cpu.cfs_quota_us": "400000", "cpu,cpuacct/a/cpu.cfs_period_us": "100000",
             "unified/b/cpu.max": "200000 100000"}  # fmt: skip
    system("3:cpu,cpuacct:/a\n0::/b\n", V1.format(root="/") + unified, files)
    assert settings.threads() == 2


def test_the_affinity_counts_where_it_is_less_and_the_users_word_before_all(system, monkeypatch):
    system("0::/\n", V2, {"cpu.max": "800000 100000"})
    monkeypatch.setattr(settings.os, "sched_getaffinity", lambda _: {0, 5}, raising=False)
    assert settings.threads() == 2
    monkeypatch.setenv("ELIT_THREADS", "5")
    assert settings.threads() == 5


def test_memory_that_is_free_is_the_limit_less_what_is_in_use_but_for_files(system):
    stat = "anon 300\ninactive_file 200\n"
    files = {"memory.max": "1000", "memory.current": "700", "memory.stat": stat}
    system("0::/\n", V2, files)
    assert settings.memory_limit() == (500.0, "the control group")


def test_so_it_is_in_groups_of_the_first_kind_and_through_all_levels(system):
    files = {
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "memory/memory.usage_in_bytes": "5",
        "memory/pod/memory.limit_in_bytes": "2000",
        "memory/pod/memory.usage_in_bytes": "1900",
        "memory/pod/memory.stat": "total_inactive_file 300\n",
        "memory/pod/one/memory.limit_in_bytes": "1000",
        "memory/pod/one/memory.usage_in_bytes": "100",
    }
    system("4:memory:/pod/one\n", V1.format(root="/"), files)
    assert settings.memory_limit() == (400.0, "the control group")


@pytest.mark.parametrize("cgroup", ["", "0::/\n", "1:name=systemd:/x\n", "0::/../elsewhere\n"])
def test_without_limits_or_groups_the_machine_counts(system, cgroup):
    system(cgroup, V2, {})
    assert settings.threads() == 64
    assert settings.memory_limit()[1] == "the machine"


def test_a_system_that_knows_no_groups_has_none(tmp_path, monkeypatch):
    monkeypatch.setattr(control_groups, "SYSTEM", tmp_path)
    assert control_groups.processors() is None
    assert control_groups.free_bytes() is None
