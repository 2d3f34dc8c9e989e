"""Three hours of a small world in the shape of what people monitor: machines (node_exporter), a Kubernetes cluster (kube-state-metrics,
cAdvisor, kubelet, API server) and services with latency histograms. The same at every run.

Prometheus 2.42 includes the first instant of a range and 3.x does not, so no sample lies on a border: samples have odd milliseconds, queries
end on half seconds."""

import random

START_MS = 1699999200000
INTERVAL_MS = 30000
SCRAPES = 360  # Three hours.
END_MS = START_MS + SCRAPES * INTERVAL_MS


class World:
    def __init__(self, seed=1234):
        self.rng = random.Random(seed)
        self.series = []  # (metric with labels, [(ms, value), …])
        self.last = None

    def times(self, keep=1.0):
        # The samples of one page have one time.
        if self.last is None:
            self.page()
        return [t for t in self.last if keep >= 1 or self.rng.random() < keep]

    def page(self):
        self.last = [START_MS + i * INTERVAL_MS + 2 * self.rng.randrange(1, 400) + 1 for i in range(SCRAPES)]

    def add(self, name, labels, samples):
        inner = ",".join(f'{k}="{v}"' for k, v in sorted(labels.items()))
        self.series.append((f"{name}{{{inner}}}" if inner else name, samples))

    def constant(self, name, labels, value):
        self.add(name, labels, [(t, float(value)) for t in self.times()])

    def gauge(self, name, labels, low, high, digits=3, keep=1.0, step=0.05):
        value = self.rng.uniform(low, high)
        samples = []
        for t in self.times(keep):
            value = min(high, max(low, value + self.rng.uniform(-step, step) * (high - low)))
            samples.append((t, round(value, digits)))
        self.add(name, labels, samples)

    def counter(self, name, labels, per_second, resets=0, digits=0, start=None):
        # Far from zero, also after a reset: near it 2.42 extrapolates otherwise than 3.x.
        per_scrape = per_second * INTERVAL_MS / 1000
        value = per_scrape * SCRAPES * self.rng.uniform(3, 9) + 1000 if start is None else start
        at = {self.rng.randrange(10, SCRAPES - 10) for _ in range(resets)}
        samples = []
        for i, t in enumerate(self.times()):
            value = value * 0.4 if i in at else value + self.rng.uniform(0.3, 1.7) * per_scrape
            samples.append((t, round(value, digits)))
        self.add(name, labels, samples)

    def histogram(self, name, labels, bounds, per_second, typical):
        page = self.times()
        totals = [1e5] * (len(bounds) + 1)
        total_sum = 1e5 * typical
        columns = [[] for _ in totals]
        sums = []
        per_scrape = per_second * INTERVAL_MS / 1000
        for t in page:
            hits = [0] * (len(bounds) + 1)
            for _ in range(int(self.rng.uniform(0.5, 1.5) * per_scrape)):
                seen = self.rng.expovariate(1 / typical)
                total_sum += seen
                hits[next((i for i, b in enumerate(bounds) if seen <= b), len(bounds))] += 1
            so_far = 0
            for i, n in enumerate(hits):
                so_far += n
                totals[i] += so_far
                columns[i].append((t, totals[i]))
            sums.append((t, round(total_sum, 6)))
        for bound, column in zip([*map(str, bounds), "+Inf"], columns):
            self.add(f"{name}_bucket", {**labels, "le": bound}, column)
        self.add(f"{name}_count", labels, columns[-1])
        self.add(f"{name}_sum", labels, sums)


def machines(w):
    for n in (1, 2, 3):
        w.page()
        of = {"instance": f"node{n}:9100", "job": "node"}
        w.add("up", of, [(t, float(w.rng.random() < 0.98)) for t in w.times()])
        for cpu in "0123":
            for mode, rate in (("idle", 0.7), ("user", 0.15), ("system", 0.06), ("iowait", 0.04), ("steal", 0.01), ("softirq", 0.02), ("nice", 0.02)):
                w.counter("node_cpu_seconds_total", {**of, "cpu": cpu, "mode": mode}, rate, digits=2)
        total = 16e9 * n
        for name, share in (("MemFree", 0.2), ("MemAvailable", 0.5), ("Buffers", 0.05), ("Cached", 0.25), ("Slab", 0.04), ("SReclaimable", 0.03),
                            ("Active", 0.3), ("Inactive", 0.3), ("Dirty", 0.001), ("Committed_AS", 0.7), ("AnonPages", 0.4), ("Mapped", 0.1)):
            w.gauge(f"node_memory_{name}_bytes", of, total * share * 0.6, total * share, 0)
        w.constant("node_memory_MemTotal_bytes", of, total)
        w.constant("node_memory_SwapTotal_bytes", of, 0 if n == 1 else 4e9)
        w.gauge("node_memory_SwapFree_bytes", of, 0, 0 if n == 1 else 4e9, 0)
        for device, mount, fs in (("/dev/sda1", "/", "ext4"), ("/dev/sdb1", "/var/lib", "xfs"), ("tmpfs", "/run", "tmpfs"), ("/dev/sda2", "/boot/efi", "vfat")):
            disk = {**of, "device": device, "mountpoint": mount, "fstype": fs}
            w.constant("node_filesystem_size_bytes", disk, 100e9)
            w.gauge("node_filesystem_avail_bytes", disk, 2e9, 90e9, 0, step=0.01)
            w.gauge("node_filesystem_free_bytes", disk, 3e9, 95e9, 0, step=0.01)
            w.constant("node_filesystem_files", disk, 6e6)
            w.gauge("node_filesystem_files_free", disk, 1e6, 6e6, 0, step=0.01)
            w.constant("node_filesystem_readonly", disk, 0)
        for device in ("sda", "sdb", "dm-0"):
            disk = {**of, "device": device}
            for name, rate in (("read_bytes_total", 1e6), ("written_bytes_total", 3e6), ("reads_completed_total", 40), ("writes_completed_total", 90),
                               ("io_time_seconds_total", 0.3), ("io_time_weighted_seconds_total", 0.5), ("read_time_seconds_total", 0.1),
                               ("write_time_seconds_total", 0.3)):
                w.counter(f"node_disk_{name}", disk, rate, digits=3)
            w.gauge("node_disk_io_now", disk, 0, 9, 0, step=0.4)
        for device in ("eth0", "lo", "veth12ab", "docker0"):
            link = {**of, "device": device}
            for way in ("receive", "transmit"):
                for name, rate in (("bytes", 2e6), ("packets", 2000), ("errs", 0.01), ("drop", 0.2)):
                    w.counter(f"node_network_{way}_{name}_total", link, rate)
            w.constant("node_network_up", link, device != "docker0")
            w.constant("node_network_speed_bytes", link, 125e6)
        for minutes, high in ((1, 8), (5, 6), (15, 5)):
            w.gauge(f"node_load{minutes}", of, 0.1, high, 2)
        w.constant("node_boot_time_seconds", of, START_MS / 1000 - 86400 * n)
        w.add("node_time_seconds", of, [(t, t / 1000) for t in w.times()])
        w.constant("node_uname_info", {**of, "nodename": f"node{n}", "release": "6.1.0", "sysname": "Linux", "machine": "x86_64"}, 1)
        for name, rate in (("node_context_switches_total", 5000), ("node_intr_total", 3000), ("node_forks_total", 10), ("node_vmstat_pgmajfault", 2),
                           ("node_vmstat_pgfault", 900), ("node_vmstat_pswpin", 0.2), ("node_vmstat_oom_kill", 0.001), ("node_netstat_Tcp_RetransSegs", 2),
                           ("node_netstat_Tcp_OutSegs", 900), ("node_netstat_TcpExt_ListenDrops", 0.01), ("node_netstat_Udp_InErrors", 0.05)):
            w.counter(name, of, rate)
        for name, low, high in (("node_procs_running", 1, 12), ("node_procs_blocked", 0, 4), ("node_filefd_allocated", 900, 4000),
                                ("node_nf_conntrack_entries", 200, 60000), ("node_entropy_available_bits", 200, 4096), ("node_sockstat_TCP_alloc", 10, 400)):
            w.gauge(name, of, low, high, 0)
        w.constant("node_filefd_maximum", of, 1e6)
        w.constant("node_nf_conntrack_entries_limit", of, 65536)
        w.gauge("node_timex_offset_seconds", of, -0.06, 0.06, 6, step=0.3)
        w.gauge("node_timex_sync_status", of, 0, 1, 0, step=0.2)
        for unit in ("ssh.service", "cron.service", "docker.service"):
            for state in ("active", "failed", "inactive"):
                w.constant("node_systemd_unit_state", {**of, "name": unit, "state": state}, (state == "active") != (n == 3 and unit.startswith("cron")))
        for chip in ("temp1", "temp2"):
            w.gauge("node_hwmon_temp_celsius", {**of, "chip": "platform_coretemp_0", "sensor": chip}, 30, 90, 1)
        w.constant("node_textfile_scrape_error", of, 0)


def cluster(w):
    ksm = {"job": "kube-state-metrics", "instance": "ksm:8080"}
    pods = []
    for namespace, workloads in (("shop", ("cart", "checkout", "search")), ("infra", ("ingress", "dns")), ("monitoring", ("agent",))):
        for workload in workloads:
            for i in range(3):
                pods.append((namespace, workload, f"{workload}-{w.rng.randrange(16**5):05x}-{i}", f"node{i + 1}"))
    w.page()
    for n in (1, 2, 3):
        node = {**ksm, "node": f"node{n}"}
        w.constant("kube_node_info", {**node, "kubelet_version": "v1.28.3", "os_image": "Debian"}, 1)
        for condition in ("Ready", "MemoryPressure", "DiskPressure"):
            for status in ("true", "false", "unknown"):
                w.constant("kube_node_status_condition", {**node, "condition": condition, "status": status}, (status == "true") == (condition == "Ready") and status != "unknown")
        for resource, unit, value in (("cpu", "core", 4), ("memory", "byte", 16e9 * n), ("pods", "integer", 110)):
            w.constant("kube_node_status_allocatable", {**node, "resource": resource, "unit": unit}, value)
            w.constant("kube_node_status_capacity", {**node, "resource": resource, "unit": unit}, value)
        w.constant("kube_node_spec_unschedulable", node, n == 3)
    for index, (namespace, workload, pod, node) in enumerate(pods):
        of = {**ksm, "namespace": namespace, "pod": pod}
        w.constant("kube_pod_info", {**of, "node": node, "host_ip": f"10.0.0.{node[-1]}", "created_by_kind": "ReplicaSet", "created_by_name": workload}, 1)
        w.constant("kube_pod_owner", {**of, "owner_kind": "ReplicaSet", "owner_name": f"{workload}-abc"}, 1)
        phase = "Pending" if index % 7 == 6 else "Running"
        for name in ("Pending", "Running", "Failed", "Succeeded", "Unknown"):
            w.constant("kube_pod_status_phase", {**of, "phase": name}, name == phase)
        w.constant("kube_pod_status_ready", {**of, "condition": "true"}, phase == "Running")
        w.constant("kube_pod_created", of, START_MS / 1000 - 3600 * index)
        for container in ("app", "proxy"):
            one = {**of, "container": container}
            w.counter("kube_pod_container_status_restarts_total", one, 0.0002 * index, start=index)
            w.constant("kube_pod_container_status_waiting_reason", {**one, "reason": "CrashLoopBackOff"}, index % 5 == 4)
            w.constant("kube_pod_container_status_last_terminated_reason", {**one, "reason": "OOMKilled"}, index % 6 == 5)
            for resource, unit, value in (("cpu", "core", 0.25), ("memory", "byte", 256e6)):
                w.constant("kube_pod_container_resource_requests", {**one, "node": node, "resource": resource, "unit": unit}, value * (1 + index % 3))
                if index % 4:
                    w.constant("kube_pod_container_resource_limits", {**one, "node": node, "resource": resource, "unit": unit}, 2 * value * (1 + index % 3))
    for namespace, workload in sorted({(p[0], p[1]) for p in pods}):
        of = {**ksm, "namespace": namespace, "deployment": workload}
        w.constant("kube_deployment_spec_replicas", of, 3)
        w.gauge("kube_deployment_status_replicas_available", of, 1, 3, 0, step=0.4)
        w.gauge("kube_deployment_status_replicas_updated", of, 2, 3, 0, step=0.4)
        w.constant("kube_deployment_metadata_generation", of, 7)
        w.gauge("kube_deployment_status_observed_generation", of, 6, 7, 0, step=0.3)
        w.constant("kube_horizontalpodautoscaler_spec_max_replicas", {**ksm, "namespace": namespace, "horizontalpodautoscaler": workload}, 3)
        w.gauge("kube_horizontalpodautoscaler_status_current_replicas", {**ksm, "namespace": namespace, "horizontalpodautoscaler": workload}, 1, 3, 0, step=0.4)
    for job, failed in (("backup", 1), ("report", 0)):
        w.constant("kube_job_status_failed", {**ksm, "namespace": "shop", "job_name": job}, failed)
        w.constant("kube_job_spec_completions", {**ksm, "namespace": "shop", "job_name": job}, 1)
        w.constant("kube_job_status_succeeded", {**ksm, "namespace": "shop", "job_name": job}, 1 - failed)
    for n in (1, 2, 3):
        w.page()
        of = {"job": "kubelet", "metrics_path": "/metrics/cadvisor", "instance": f"10.0.0.{n}:10250", "node": f"node{n}"}
        for namespace, workload, pod, node in pods:
            if node != f"node{n}":
                continue
            for container in ("app", "proxy"):
                one = {**of, "namespace": namespace, "pod": pod, "container": container, "image": f"registry/{workload}:1.2"}
                w.counter("container_cpu_usage_seconds_total", {**one, "cpu": "total"}, 0.2, digits=4, resets=w.rng.randrange(3) == 0)
                w.counter("container_cpu_cfs_throttled_periods_total", one, 0.4)
                w.counter("container_cpu_cfs_periods_total", one, 8)
                for name in ("working_set_bytes", "rss", "cache", "usage_bytes"):
                    w.gauge(f"container_memory_{name}", one, 50e6, 500e6, 0)
                w.counter("container_fs_writes_bytes_total", {**one, "device": "/dev/sda"}, 9000)
            for name, rate in (("receive_bytes", 20000), ("transmit_bytes", 30000), ("receive_packets_dropped", 0.05)):
                w.counter(f"container_network_{name}_total", {**of, "namespace": namespace, "pod": pod, "interface": "eth0"}, rate)
        claim = {"job": "kubelet", "metrics_path": "/metrics", "instance": f"10.0.0.{n}:10250", "node": f"node{n}", "namespace": "shop", "persistentvolumeclaim": f"data-{n}"}
        w.constant("kubelet_volume_stats_capacity_bytes", claim, 50e9)
        w.gauge("kubelet_volume_stats_available_bytes", claim, 0.5e9, 20e9, 0, step=0.02)
        w.gauge("kubelet_running_pods", {k: claim[k] for k in ("job", "metrics_path", "instance", "node")}, 5, 8, 0, step=0.3)
    w.page()
    api = {"job": "apiserver", "instance": "10.0.0.1:6443"}
    for verb in ("GET", "LIST", "POST", "WATCH"):
        for resource in ("pods", "nodes"):
            for code in ("200", "404", "500"):
                w.counter("apiserver_request_total", {**api, "verb": verb, "resource": resource, "code": code}, {"200": 20, "404": 1, "500": 0.2}[code])
            w.histogram("apiserver_request_duration_seconds", {**api, "verb": verb, "resource": resource, "scope": "cluster"}, (0.05, 0.1, 0.5, 1, 5), 0.5, 0.2)
    w.histogram("etcd_request_duration_seconds", {**api, "operation": "get", "type": "pods"}, (0.005, 0.025, 0.1, 0.5), 0.5, 0.02)
    for queue in ("deployments", "endpoints"):
        w.counter("workqueue_adds_total", {**api, "name": queue}, 3)
        w.gauge("workqueue_depth", {**api, "name": queue}, 0, 40, 0)
    w.counter("rest_client_requests_total", {**api, "code": "200", "method": "GET"}, 10)
    w.counter("rest_client_requests_total", {**api, "code": "503", "method": "GET"}, 0.3)


def services(w):
    for service, rate in (("cart", 4), ("checkout", 2)):
        for i in (1, 2):
            w.page()
            of = {"job": service, "instance": f"{service}-{i}:8080", "namespace": "shop"}
            w.constant("up", of, 1)
            for code, share in (("200", 1), ("404", 0.02), ("500", 0.01), ("503", 0.003)):
                for method in ("GET", "POST"):
                    w.counter("http_requests_total", {**of, "code": code, "method": method, "handler": "/api"}, rate * share * 10, resets=i == 2)
            w.histogram("http_request_duration_seconds", {**of, "handler": "/api"}, (0.05, 0.1, 0.25, 0.5, 1, 2.5), rate, 0.15)
            w.gauge("http_requests_in_flight", of, 0, 30, 0, step=0.2)
            w.gauge("go_goroutines", of, 20, 300, 0)
            w.gauge("go_memstats_alloc_bytes", of, 5e6, 90e6, 0)
            w.counter("go_gc_duration_seconds_sum", of, 0.001, digits=6)
            w.counter("go_gc_duration_seconds_count", of, 0.05)
            for q, value in (("0", 0.0001), ("0.5", 0.0004), ("1", 0.004)):
                w.gauge("go_gc_duration_seconds", {**of, "quantile": q}, value * 0.5, value, 7)
            w.counter("process_cpu_seconds_total", of, 0.3, digits=2)
            w.gauge("process_resident_memory_bytes", of, 20e6, 200e6, 0)
            w.gauge("process_open_fds", of, 10, 200, 0)
            w.constant("process_max_fds", of, 1024)
            w.constant("process_start_time_seconds", of, START_MS / 1000 - 5000 * i)
            w.constant("build_info", {**of, "version": f"1.{i}.0", "revision": f"abc{i}"}, 1)
            w.gauge("queue_length", {**of, "queue": "mail"}, 0, 500, 0, keep=0.5)
    w.page()
    batch = {"job": "batch", "instance": "push:9091"}
    w.gauge("batch_last_success_timestamp_seconds", batch, START_MS / 1000 - 90000, START_MS / 1000 - 3600, 0, step=0.001)
    w.gauge("batch_duration_seconds", batch, 20, 90, 2, keep=0.1)
    for alert, state in (("HighLatency", "firing"), ("DiskFull", "pending")):
        w.add("ALERTS", {"alertname": alert, "alertstate": state, "severity": "page"}, [(t, 1.0) for t in w.times() if (t // 600000) % 3])
    for probe in ("web", "dns"):
        one = {"job": "blackbox", "instance": f"https://{probe}.example", "module": probe}
        w.add("probe_success", one, [(t, float(w.rng.random() < 0.9)) for t in w.times()])
        w.gauge("probe_duration_seconds", one, 0.01, 0.9, 4)
        w.constant("probe_ssl_earliest_cert_expiry", one, START_MS / 1000 + 86400 * (10 if probe == "web" else 80))


def make_series():
    world = World()
    machines(world)
    cluster(world)
    services(world)
    return world.series


def write_openmetrics(path):
    with open(path, "w") as f:
        for metric, samples in make_series():
            f.writelines(f"{metric} {v!r} {t / 1000:.3f}\n" for t, v in samples)
        f.write("# EOF\n")
