"""What dashboards and alerts of the node, Kubernetes and service world ask: several hundred expressions."""

# A line is one expression; lines with {…|…} in angle brackets stand for one expression an alternative: <a|b>.
LINES = """
100 - (avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[<2m|5m|10m>])) * 100)
sum by (instance, mode) (rate(node_cpu_seconds_total{mode!="idle"}[5m]))
sum by (mode) (irate(node_cpu_seconds_total[2m])) / scalar(count(count by (instance, cpu) (node_cpu_seconds_total)))
avg without (cpu) (rate(node_cpu_seconds_total{mode=~"<user|system|iowait|steal|softirq|nice>"}[5m])) * 100
1 - avg without (cpu) (sum without (mode) (rate(node_cpu_seconds_total{job="node", mode=~"idle|iowait|steal"}[2m])))
count without (cpu, mode) (node_cpu_seconds_total{mode="idle"})
max by (instance) (1 - rate(node_cpu_seconds_total{mode="idle"}[5m]))
sum(rate(node_cpu_seconds_total{mode="iowait"}[5m])) by (instance) / on (instance) count by (instance) (node_cpu_seconds_total{mode="iowait"}) > 0.03
topk(3, sum by (instance, cpu) (rate(node_cpu_seconds_total{mode!~"idle|iowait"}[5m])))
node_load<1|5|15>
node_load<1|5|15> / on (instance) count by (instance) (node_cpu_seconds_total{mode="idle"})
avg_over_time(node_load1[<10m|30m|1h>])
max_over_time(node_load1[<10m|1h>]) - min_over_time(node_load1[<10m|1h>])
node_load1 > 1.5 * on (instance) group_left count by (instance) (node_cpu_seconds_total{mode="system"})
node_memory_MemTotal_bytes - node_memory_MemFree_bytes - node_memory_Buffers_bytes - node_memory_Cached_bytes
(1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes) * 100
100 * (1 - ((avg_over_time(node_memory_MemFree_bytes[<5m|10m>]) + avg_over_time(node_memory_Cached_bytes[5m]) + avg_over_time(node_memory_Buffers_bytes[5m])) / avg_over_time(node_memory_MemTotal_bytes[5m])))
node_memory_<MemFree|MemAvailable|Buffers|Cached|Slab|Active|Inactive|Dirty|AnonPages|Mapped|Committed_AS>_bytes / node_memory_MemTotal_bytes
sum(node_memory_<MemTotal|MemAvailable|Cached|SReclaimable>_bytes) by (job)
1 - (node_memory_SwapFree_bytes / node_memory_SwapTotal_bytes)
(node_memory_SwapTotal_bytes - node_memory_SwapFree_bytes) / node_memory_SwapTotal_bytes * 100 and node_memory_SwapTotal_bytes != 0
node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes * 100 < <30|50> and rate(node_vmstat_pgmajfault[1m]) > 1
rate(node_vmstat_<pgmajfault|pgfault|pswpin>[5m])
increase(node_vmstat_oom_kill[30m]) > 0
100 - ((node_filesystem_avail_bytes{mountpoint="<\\/|/var/lib>", fstype!="rootfs"} * 100) / node_filesystem_size_bytes{fstype!="rootfs"})
max by (instance, mountpoint) (1 - node_filesystem_avail_bytes{fstype!~"tmpfs|vfat"} / node_filesystem_size_bytes)
node_filesystem_avail_bytes{fstype!="",mountpoint!=""} / node_filesystem_size_bytes{fstype!="",mountpoint!=""} * 100 < <15|40> and node_filesystem_readonly == 0
predict_linear(node_filesystem_avail_bytes{fstype=~"ext4|xfs"}[<30m|1h>], <4|24> * 3600) < 0
predict_linear(node_filesystem_files_free{fstype!="tmpfs"}[1h], 24*60*60)
node_filesystem_files_free / node_filesystem_files
deriv(node_filesystem_avail_bytes{mountpoint="/"}[<15m|1h>])
delta(node_filesystem_free_bytes{device=~"/dev/sd.*"}[1h])
sum by (instance) (node_filesystem_size_bytes{device!~"rootfs|tmpfs"}) - sum by (instance) (node_filesystem_avail_bytes{device!~"rootfs|tmpfs"})
bottomk(3, node_filesystem_avail_bytes / node_filesystem_size_bytes)
rate(node_disk_<read_bytes|written_bytes|reads_completed|writes_completed|io_time_seconds|io_time_weighted_seconds>_total{device=~"sd[a-z]+"}[5m])
sum by (instance) (rate(node_disk_<read|written>_bytes_total[5m]))
rate(node_disk_read_time_seconds_total[5m]) / rate(node_disk_reads_completed_total[5m])
rate(node_disk_write_time_seconds_total[10m]) / ignoring () rate(node_disk_writes_completed_total[10m])
clamp_max(rate(node_disk_io_time_seconds_total{device!~"dm-.*"}[2m]), 1)
instance:x:sum or sum by (instance) (node_disk_io_now)
rate(node_network_<receive|transmit>_bytes_total{device!~"lo|veth.*|docker.*"}[5m]) * 8
sum without (device) (irate(node_network_<receive|transmit>_<bytes|packets>_total{device!="lo"}[1m]))
rate(node_network_<receive|transmit>_errs_total[5m]) / rate(node_network_<receive|transmit>_packets_total[5m]) > 0.000001
increase(node_network_<receive|transmit>_drop_total{device="eth0"}[<10m|1h>])
rate(node_network_receive_bytes_total[5m]) / node_network_speed_bytes
count by (instance) (node_network_up == 1)
time() - node_boot_time_seconds
node_time_seconds - node_boot_time_seconds
(time() - node_boot_time_seconds) / 86400
changes(node_boot_time_seconds[1h])
node_uname_info * on (instance) group_left node_load1
label_replace(node_uname_info, "short", "$1", "nodename", "(node)\\\\d+")
label_join(node_uname_info, "id", "/", "sysname", "machine", "release")
node_load1 * on (instance) group_left (nodename, release) node_uname_info
rate(node_<context_switches|intr|forks>_total[<1m|5m>])
irate(node_context_switches_total[5m]) / on (instance) count by (instance) (node_cpu_seconds_total{mode="idle"})
node_procs_<running|blocked>
node_filefd_allocated / node_filefd_maximum * 100
(node_nf_conntrack_entries / node_nf_conntrack_entries_limit) > 0.75
rate(node_netstat_Tcp_RetransSegs[5m]) / rate(node_netstat_Tcp_OutSegs[5m])
increase(node_netstat_<TcpExt_ListenDrops|Udp_InErrors>[1h])
abs(node_timex_offset_seconds) > 0.05
(node_timex_offset_seconds > 0.05 and deriv(node_timex_offset_seconds[5m]) >= 0) or (node_timex_offset_seconds < -0.05 and deriv(node_timex_offset_seconds[5m]) <= 0)
min_over_time(node_timex_sync_status[<1m|5m>]) == 0
node_systemd_unit_state{state="<active|failed>"} == 1
count by (state) (node_systemd_unit_state == 1)
max by (instance) (node_hwmon_temp_celsius{chip=~".*coretemp.*"})
avg_over_time(node_hwmon_temp_celsius[15m]) > 60
stddev_over_time(node_hwmon_temp_celsius[<15m|1h>])
node_hwmon_temp_celsius - avg_over_time(node_hwmon_temp_celsius[1h])
node_entropy_available_bits < 1000
node_textfile_scrape_error == 1
up == 0
up{job="node"} == bool 1
avg_over_time(up[<5m|30m|1h>]) * 100
count by (job) (up == 1) / count by (job) (up)
100 * (count by (job) (up == 0) / count by (job) (up)) > 10
sum(up{job=~"cart|checkout"}) by (job) or vector(0)
absent(up{job="<node|gone>"})
absent_over_time(up{job="<cart|missing>"}[10m])
changes(up{job="node"}[30m]) > 2
quantile_over_time(<0.5|0.9|0.99>, node_load1[30m])
quantile(<0.1|0.5|0.95>, node_load1)
quantile by (mode) (0.9, rate(node_cpu_seconds_total[5m]))
stdvar by (instance) (rate(node_network_receive_bytes_total[5m]))
node_load1 offset <5m|1h>
node_load1 - node_load1 offset 30m
rate(node_intr_total[5m]) / rate(node_intr_total[5m] offset 1h)
node_load1 @ end()
rate(node_context_switches_total[5m] @ start())
sum(kube_pod_status_phase{phase="<Running|Pending|Failed>"})
sum by (namespace, phase) (kube_pod_status_phase) > 0
sum by (namespace) (kube_pod_info)
count by (node) (kube_pod_info)
kube_pod_info * on (namespace, pod) group_left (owner_name) kube_pod_owner
sum by (namespace, pod) (max by (namespace, pod) (kube_pod_status_phase{phase=~"Pending|Unknown"}) * on (namespace, pod) group_left (owner_kind) topk by (namespace, pod) (1, max by (namespace, pod, owner_kind) (kube_pod_owner{owner_kind!="Job"}))) > 0
increase(kube_pod_container_status_restarts_total[<10m|30m|1h>])
sum by (namespace) (changes(kube_pod_container_status_restarts_total[1h]))
max_over_time(kube_pod_container_status_waiting_reason{reason="CrashLoopBackOff"}[5m]) >= 1
rate(kube_pod_container_status_restarts_total{job="kube-state-metrics"}[10m]) * 60 * 5 > 0
(kube_pod_container_status_restarts_total - kube_pod_container_status_restarts_total offset 10m >= 1) and ignoring (reason) min_over_time(kube_pod_container_status_last_terminated_reason{reason="OOMKilled"}[10m]) == 1
sum by (namespace) (kube_pod_container_resource_<requests|limits>{resource="<cpu|memory>"})
sum by (node) (kube_pod_container_resource_requests{resource="<cpu|memory>"}) / on (node) kube_node_status_allocatable{resource="<cpu|memory>"}
sum(kube_pod_container_resource_requests{resource="cpu"}) / sum(kube_node_status_allocatable{resource="cpu"})
sum(kube_pod_container_resource_requests{resource="memory"} * on (namespace, pod) group_left max by (namespace, pod) (kube_pod_status_phase{phase=~"Pending|Running"} == 1)) by (namespace)
count(count by (namespace) (kube_pod_info))
kube_deployment_spec_replicas != kube_deployment_status_replicas_available
(kube_deployment_spec_replicas{namespace=~"shop|infra"} > kube_deployment_status_replicas_available) and (changes(kube_deployment_status_replicas_updated[10m]) == 0)
kube_deployment_status_observed_generation != kube_deployment_metadata_generation
kube_deployment_status_replicas_available / kube_deployment_spec_replicas
kube_horizontalpodautoscaler_status_current_replicas == kube_horizontalpodautoscaler_spec_max_replicas
avg_over_time(kube_horizontalpodautoscaler_status_current_replicas[30m]) / kube_horizontalpodautoscaler_spec_max_replicas
kube_job_status_failed > 0
kube_job_spec_completions - kube_job_status_succeeded > 0
kube_node_status_condition{condition="<Ready|MemoryPressure|DiskPressure>", status="true"} == 1
sum(changes(kube_node_status_condition{status="true", condition="Ready"}[15m])) by (node) > 2
kube_node_spec_unschedulable == 1
count(kube_node_info) by (kubelet_version)
kube_node_info * on (node) group_right (kubelet_version, os_image) sum by (node) (kube_pod_info)
count by (node) ((kube_pod_status_phase{phase="Running"} == 1) * on (namespace, pod) group_left (node) topk by (namespace, pod) (1, kube_pod_info)) / max by (node) (kube_node_status_capacity{resource="pods"})
(time() - kube_pod_created) / 3600
sum by (namespace) (rate(container_cpu_usage_seconds_total{container!="", image!=""}[5m]))
sum by (<pod|namespace|container|node>) (rate(container_cpu_usage_seconds_total{container!="POD"}[<2m|5m>]))
topk(<3|5>, sum by (namespace, pod) (rate(container_cpu_usage_seconds_total[5m])))
sum by (namespace, pod, container) (irate(container_cpu_usage_seconds_total{job="kubelet", metrics_path="/metrics/cadvisor"}[5m])) * on (namespace, pod) group_left (node) topk by (namespace, pod) (1, max by (namespace, pod, node) (kube_pod_info{node!=""}))
sum(rate(container_cpu_usage_seconds_total[5m])) by (pod) / sum(kube_pod_container_resource_<requests|limits>{resource="cpu"}) by (pod)
sum(container_memory_<working_set_bytes|rss|cache>{container!=""}) by (namespace)
sum by (pod) (container_memory_working_set_bytes) / on (pod) sum by (pod) (kube_pod_container_resource_limits{resource="memory"}) > 0.5
max by (namespace, pod, container) (max_over_time(container_memory_working_set_bytes[<30m|1h>]))
quantile_over_time(0.95, container_memory_working_set_bytes{container="app"}[1h])
sum(container_memory_usage_bytes) without (container, image) - sum(container_memory_cache) without (container, image)
sum(increase(container_cpu_cfs_throttled_periods_total[5m])) by (container, pod, namespace) / sum(increase(container_cpu_cfs_periods_total[5m])) by (container, pod, namespace) > ( 5 / 100 )
sum by (namespace) (rate(container_network_<receive|transmit>_bytes_total[5m]))
sort_desc(sum by (pod) (rate(container_network_transmit_bytes_total[5m])))
sort(sum by (pod) (rate(container_network_receive_packets_dropped_total[10m])))
avg by (pod) (rate(container_fs_writes_bytes_total{device=~"/dev/.+"}[5m]))
kubelet_volume_stats_available_bytes / kubelet_volume_stats_capacity_bytes < 0.3
(kubelet_volume_stats_available_bytes / kubelet_volume_stats_capacity_bytes) < 0.9 and predict_linear(kubelet_volume_stats_available_bytes[1h], 4 * 24 * 3600) < 0
1 - kubelet_volume_stats_available_bytes / ignoring (x) kubelet_volume_stats_capacity_bytes
sum(kubelet_running_pods) by (node) - on (node) count by (node) (kube_pod_info)
sum by (verb) (rate(apiserver_request_total[5m]))
sum by (resource, verb) (rate(apiserver_request_total{code=~"5.."}[10m])) / sum by (resource, verb) (rate(apiserver_request_total[10m]))
sum(rate(apiserver_request_total{code=~"<2..|4..|5..>", verb=~"GET|LIST"}[5m])) / sum(rate(apiserver_request_total[5m]))
histogram_quantile(<0.5|0.9|0.99>, sum by (verb, le) (rate(apiserver_request_duration_seconds_bucket{verb!="WATCH"}[<5m|15m>])))
histogram_quantile(0.99, sum without (instance, scope) (rate(apiserver_request_duration_seconds_bucket[10m])))
sum by (resource) (rate(apiserver_request_duration_seconds_sum[5m])) / sum by (resource) (rate(apiserver_request_duration_seconds_count[5m]))
(sum(rate(apiserver_request_duration_seconds_bucket{le="0.1"}[30m])) + sum(rate(apiserver_request_duration_seconds_bucket{le="0.5"}[30m]))) / 2 / sum(rate(apiserver_request_duration_seconds_count[30m]))
histogram_quantile(0.9, rate(etcd_request_duration_seconds_bucket[5m]))
sum by (name) (rate(workqueue_adds_total[5m]))
workqueue_depth > 10
sum(rate(rest_client_requests_total{code=~"5.."}[5m])) by (instance, job) / sum(rate(rest_client_requests_total[5m])) by (instance, job) > 0.01
sum by (job) (rate(http_requests_total[<1m|5m|30m>]))
sum by (job, code) (rate(http_requests_total[5m]))
sum(rate(http_requests_total{code=~"5.."}[<5m|30m|1h>])) by (job) / sum(rate(http_requests_total[<5m|30m|1h>])) by (job)
1 - sum(rate(http_requests_total{code!~"5.."}[1h])) / sum(rate(http_requests_total[1h]))
(sum(rate(http_requests_total{job="<cart|checkout>", code=~"5.."}[5m])) / sum(rate(http_requests_total{job="<cart|checkout>"}[5m]))) > (14.4 * 0.001) and (sum(rate(http_requests_total{job="<cart|checkout>", code=~"5.."}[1h])) / sum(rate(http_requests_total{job="<cart|checkout>"}[1h]))) > (14.4 * 0.001)
sum_over_time((sum(rate(http_requests_total{code=~"5.."}[5m])) / sum(rate(http_requests_total[5m])))[1h:5m]) / 12
1 - (sum(increase(http_requests_total{code=~"5.."}[2h])) / sum(increase(http_requests_total[2h]))) / (1 - 0.999)
sum(increase(http_requests_total[<10m|1h|2h>])) by (instance)
rate(http_requests_total{code="200"}[5m]) / ignoring (code) group_left sum without (code) (rate(http_requests_total[5m]))
sum by (job) (rate(http_requests_total[5m])) / sum by (job) (rate(http_requests_total[5m] offset <5m|1h>))
avg_over_time(sum(rate(http_requests_total[5m]))[30m:<1m|5m>])
max_over_time((sum by (job) (rate(http_requests_total[2m])))[1h:])
stddev_over_time(sum(rate(http_requests_total[5m]))[1h:5m])
(sum(rate(http_requests_total[5m])) - avg_over_time(sum(rate(http_requests_total[5m]))[1h:5m])) / stddev_over_time(sum(rate(http_requests_total[5m]))[1h:5m])
histogram_quantile(<0.5|0.9|0.95|0.99>, sum by (<le|job, le|instance, le>) (rate(http_request_duration_seconds_bucket[5m])))
histogram_quantile(0.9, rate(http_request_duration_seconds_bucket{job="cart"}[<1m|10m>]))
sum(rate(http_request_duration_seconds_bucket{le="<0.1|0.25|1>"}[5m])) by (job) / sum(rate(http_request_duration_seconds_count[5m])) by (job)
(sum(rate(http_request_duration_seconds_bucket{le="0.25"}[5m])) by (job) + sum(rate(http_request_duration_seconds_bucket{le="1.0"}[5m])) by (job)) / 2 / sum(rate(http_request_duration_seconds_count[5m])) by (job)
rate(http_request_duration_seconds_sum[5m]) / rate(http_request_duration_seconds_count[5m])
sum by (le) (increase(http_request_duration_seconds_bucket{job="checkout"}[10m]))
sum(rate(http_request_duration_seconds_count[5m])) * 60
http_requests_in_flight
avg by (job) (avg_over_time(http_requests_in_flight[10m]))
max(http_requests_in_flight) by (job) > 20
go_goroutines{job=~"cart|checkout"}
deriv(go_goroutines[15m]) > 0
go_memstats_alloc_bytes / process_resident_memory_bytes
rate(go_gc_duration_seconds_sum[5m]) / rate(go_gc_duration_seconds_count[5m])
go_gc_duration_seconds{quantile="<0|0.5|1>"}
rate(process_cpu_seconds_total[<1m|5m>]) * 100
process_open_fds / process_max_fds * 100 > 5
time() - process_start_time_seconds
resets(http_requests_total[<30m|2h>])
changes(process_start_time_seconds[2h])
count by (job, version) (build_info)
sum by (version) (rate(http_requests_total[5m]) * on (job, instance) group_left (version) build_info)
rate(http_requests_total{code="200"}[5m]) * on (job, instance) group_left (version, revision) build_info
count_values("version", build_info)
count_values by (job) ("goroutines", round(go_goroutines, 50))
queue_length > 100
max_over_time(queue_length[10m])
last_over_time(queue_length[5m])
present_over_time(queue_length[1m])
count_over_time(queue_length[10m]) / 20
sum_over_time(queue_length[<10m|1h>])
min_over_time(queue_length[30m])
delta(queue_length[30m])
idelta(queue_length[5m])
batch_duration_seconds
last_over_time(batch_duration_seconds[1h])
(time() - batch_last_success_timestamp_seconds) > 86400
(time() - batch_last_success_timestamp_seconds) / 3600
ALERTS{alertstate="firing"}
count by (alertname, severity) (ALERTS)
sum(ALERTS{alertstate="firing"}) or vector(0)
count_over_time(ALERTS[1h])
probe_success == 0
avg_over_time(probe_success[<10m|1h>]) * 100
min_over_time(probe_duration_seconds[5m]) > 0.1
(probe_ssl_earliest_cert_expiry - time()) / 86400 < <14|30>
probe_duration_seconds * on (instance) probe_success
quantile(0.9, probe_duration_seconds) without (module)
clamp(node_load1, 1, 3)
round(node_load5, 0.1)
ceil(node_load1) + floor(node_load5)
sqrt(node_memory_MemFree_bytes)
ln(node_memory_MemTotal_bytes) / ln(2)
exp(-node_load1)
sgn(deriv(node_load15[10m]))
node_load1 ^ 2 % 3
-node_load1
node_load1 % 2 / node_load5
hour() >= bool 9 and hour() < 17
day_of_week(timestamp(up)) == 2
minute(batch_last_success_timestamp_seconds)
days_in_month(node_time_seconds)
year(node_boot_time_seconds)
vector(1) unless on () (hour() > 25)
timestamp(node_load1) - time()
scalar(sum(node_load1)) + node_load5
sum({__name__=~"node_memory_(Active|Inactive|Mapped)_bytes"}) by (__name__)
count({job=~".+"}) by (job)
count by (__name__) ({__name__=~"kube_pod_container.*", namespace="shop"})
sum by (job) ({__name__=~"go_.*|process_.*"})
topk(2, count by (__name__) ({__name__=~".+"}))
rate({__name__=~"node_disk_(read|written)_bytes_total"}[5m])
{__name__="up", job!="node"}
{job="cart", __name__!~"http.*|go.*"}
node_load1{instance!~"node[12].*"}
node_load1{instance=~"node1:9100|node3:9100"}
node_load1{instance=~".*"}
node_load1{instance!=""}
node_load1{nothere=""}
node_filesystem_avail_bytes{mountpoint=~"/(var/.*|boot/.*)?"}
up and on (instance) node_load1 > 2
up unless node_load1
node_load1 or on (instance) node_load5
node_load1 > bool node_load5
node_load1 >= node_load15
(node_load1 > 1) == (node_load1 < 100)
sum(node_load1) by (instance) + ignoring (instance) group_left sum(node_load5)
node_load1 + node_load5 + node_load15
node_load1 + on (instance) node_load5 * on (instance) node_load15
node_cpu_seconds_total / on (instance) group_left node_load1
http_requests_total * on (instance) http_requests_total
node_load1{
sum by (instance (node_load1)
rate(node_load1)
rate(node_load1[5m:])
sum(1)
node_load1 + "a"
histogram_quantile(node_load1, 0.9)
label_replace(node_load1, "a", "$1", "instance", "(")
label_replace(node_load1, "instance", "x", "job", ".*")
topk(scalar(node_load1{instance="node1:9100"}), node_load1)
bottomk by (instance) (2, rate(node_cpu_seconds_total{mode="idle"}[5m]))
avg(avg by (instance) (node_load1)) - avg(node_load1)
group by (namespace) (kube_pod_info)
group(up) + count(up)
min by (instance) (node_load1) <= max by (instance) (node_load5)
stdvar(node_load1) ^ 0.5 - stddev(node_load1)
sum(rate(node_network_receive_bytes_total[5m])) by (device) > 1e6 or sum(rate(node_network_transmit_bytes_total[5m])) by (device) > 1e5
sum by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m] offset 10m)) - sum by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m]))
rate(http_requests_total[5m])[10m:1m]
http_requests_total[2m]
sum(rate(http_requests_total[5m]))[10m:30s]
max_over_time(deriv(rate(node_disk_read_bytes_total[5m])[9m30s:1m])[29m30s:5m])
min_over_time(sum by (job) (up)[15m:30s])
avg_over_time(node_load1[1h:10m] offset 10m)
sum_over_time(vector(1)[10m:1m])
rate(http_requests_total[5m] offset -5m)
increase(http_requests_total{code="200"}[5m]) > 1e9
<sum|avg|min|max|count|stddev> by (job) (rate(process_cpu_seconds_total[5m]))
<sum|avg|min|max|count|stddev> without (instance) (go_goroutines)
<avg|min|max|sum|count|stddev|last>_over_time(http_requests_in_flight[15m])
<avg|min|max|sum>_over_time(rate(http_requests_total{code="200", method="GET"}[5m])[30m:2m])
<rate|irate|increase>(node_network_receive_packets_total{device="eth0"}[3m])
<deriv|delta|changes|resets>(node_memory_MemAvailable_bytes[20m])
<abs|ceil|floor|round|sqrt|ln|log2|log10|exp|sgn>(node_load5 - 1)
<sin|cos|tan|asin|acos|atan|sinh|cosh|tanh|asinh|acosh|atanh>(node_load1 / 10)
<minute|hour|day_of_week|day_of_month|day_of_year|month>(kube_pod_created)
sum by (namespace) (kube_pod_container_resource_limits{resource="<cpu|memory>"}) - sum by (namespace) (kube_pod_container_resource_requests{resource="<cpu|memory>"})
topk(2, avg by (instance) (node_memory_<Buffers|Cached|Slab>_bytes))
avg by (job) (up) < <0.5|1>
sum by (instance) (increase(node_<context_switches|intr|forks>_total[<10m|1h>]))
histogram_quantile(<0.5|0.99>, sum by (resource, le) (rate(apiserver_request_duration_seconds_bucket{verb="<GET|LIST|POST>"}[10m])))
100 * sum by (mountpoint) (node_filesystem_<avail|free>_bytes{fstype="<ext4|xfs>"}) / sum by (mountpoint) (node_filesystem_size_bytes)
sum by (pod) (container_memory_<rss|cache|working_set_bytes>{namespace="<shop|infra>"}) / 1024 / 1024
"""


def expand(line):
    """One expression an alternative; several <…> with the same alternatives go along with each other."""
    start = line.find("<")
    while start >= 0:
        end = line.find(">", start)
        inner = line[start + 1:end] if end > 0 else ""
        if "|" in inner and not inner.startswith(("=", " ")) and "\"" not in inner:
            whole = line[start:end + 1]
            return [one for choice in inner.split("|") for one in expand(line.replace(whole, choice))]
        start = line.find("<", start + 1)
    return [line]


def expressions():
    return [one for line in LINES.strip().splitlines() for one in expand(line)]
