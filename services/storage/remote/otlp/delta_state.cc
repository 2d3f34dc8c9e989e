#include "services/storage/remote/otlp/delta_state.h"

#include <algorithm>
#include <random>
#include <utility>

#include "lib/base/coding.h"
#include "lib/base/strings.h"

namespace narthex::otlp {
namespace {

constexpr uint64_t kRestNs = uint64_t{3600} * 1'000'000'000;
// Buckets of an exponential histogram from the first to the last; beyond it the scale is reduced.
constexpr int64_t kBucketsMax = 4096;

void AppendAttributes(const Request& request, const Range& range, std::string* key) {
  std::vector<Attribute> sorted;
  for (const Attribute& one : Request::Of(request.attributes, range)) sorted.push_back(one);
  std::sort(sorted.begin(), sorted.end(),
            [](const Attribute& a, const Attribute& b) { return a.key < b.key; });
  AppendUvarint(key, sorted.size());
  for (const Attribute& one : sorted) {
    AppendLengthPrefixed(key, one.key);
    AppendLengthPrefixed(key, one.value);
  }
}

bool IsDelta(const Metric& metric) {
  const bool has_temporality = metric.kind == MetricKind::kSum ||
                               metric.kind == MetricKind::kHistogram ||
                               metric.kind == MetricKind::kExponential;
  return has_temporality && metric.temporality == Temporality::kDelta;
}

int64_t Width(const std::map<int64_t, uint64_t>& buckets) {
  return buckets.empty() ? 0 : buckets.rbegin()->first - buckets.begin()->first + 1;
}

void AddBuckets(const Request& request, const Range& range, int64_t offset, int32_t scale_down,
                std::map<int64_t, uint64_t>* buckets) {
  const std::span<const uint64_t> counts = Request::Of(request.counts, range);
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    (*buckets)[(offset + static_cast<int64_t>(i)) >> scale_down] += counts[i];
  }
}

// All buckets from the first to the last, at the end of the request's counts.
void WriteBuckets(const std::map<int64_t, uint64_t>& buckets, Request* request, int32_t* offset,
                  Range* range) {
  range->begin = request->counts.size();
  request->counts.resize(range->begin + static_cast<size_t>(Width(buckets)), 0);
  range->end = request->counts.size();
  if (buckets.empty()) return;
  const int64_t first = buckets.begin()->first;
  *offset = static_cast<int32_t>(first);
  for (const auto& [index, count] : buckets) {
    request->counts[range->begin + static_cast<size_t>(index - first)] = count;
  }
}

uint64_t RandomSeed() {
  std::random_device device;
  return static_cast<uint64_t>(device()) << 32 | device();
}

}  // namespace

DeltaState::DeltaState(size_t streams_max) : streams_max_(streams_max), seed_(RandomSeed()) {}

size_t DeltaState::streams() const {
  MutexLock lock(&mu_);
  return streams_.size();
}

DeltaState::Result DeltaState::ToCumulative(Request* request) {
  Result result;
  std::string key;
  MutexLock lock(&mu_);
  for (const Resource& resource : request->resources) {
    for (size_t s = resource.scopes.begin; s < resource.scopes.end; ++s) {
      const Scope& scope = request->scopes[s];
      for (size_t m = scope.metrics.begin; m < scope.metrics.end; ++m) {
        Metric& metric = request->metrics[m];
        if (!IsDelta(metric)) continue;
        metric.temporality = Temporality::kCumulative;
        key.clear();
        AppendAttributes(*request, resource.attributes, &key);
        AppendLengthPrefixed(&key, scope.name);
        AppendLengthPrefixed(&key, scope.version);
        AppendAttributes(*request, scope.attributes, &key);
        AppendLengthPrefixed(&key, metric.name);
        AppendLengthPrefixed(&key, metric.unit);
        key.push_back(static_cast<char>(metric.kind));
        const size_t of_metric = key.size();
        for (size_t p = metric.points.begin; p < metric.points.end; ++p) {
          Point& point = request->points[p];
          if (point.no_recorded_value()) continue;
          key.resize(of_metric);
          AppendAttributes(*request, point.attributes, &key);
          Stream* const stream = FindStreamLocked(FastHash128(key, seed_), point, &result);
          if (stream == nullptr) {
            point.dropped = true;
            ++result.dropped_points;
            continue;
          }
          point.start_ns = stream->start_ns;
          if (metric.kind == MetricKind::kSum) point.value = stream->value += point.value;
          if (metric.kind == MetricKind::kHistogram) AddExplicit(request, &point, stream);
          if (metric.kind == MetricKind::kExponential) AddExponential(request, &point, stream);
        }
      }
    }
  }
  return result;
}

DeltaState::Stream* DeltaState::FindStreamLocked(const Hash128& key, const Point& point,
                                                 Result* result) {
  const auto found = streams_.find(key);
  if (found != streams_.end()) {
    Stream& stream = found->second;
    if (point.time_ns <= stream.time_ns) {
      result->reason = "a point of delta temporality is not newer than its stream";
      return nullptr;
    }
    if (point.time_ns - stream.time_ns > kRestNs) {
      stream = Stream();
      stream.start_ns = point.start_ns;
    }
    stream.time_ns = point.time_ns;
    return &stream;
  }
  if (streams_.size() >= streams_max_) DropRestingLocked(point.time_ns);
  if (streams_.size() >= streams_max_) {
    result->reason = "there are too many streams of delta temporality";
    return nullptr;
  }
  Stream& stream = streams_[key];
  stream.start_ns = point.start_ns;
  stream.time_ns = point.time_ns;
  return &stream;
}

void DeltaState::DropRestingLocked(uint64_t time_ns) {
  absl::erase_if(streams_,
                 [time_ns](const auto& entry) { return entry.second.time_ns + kRestNs < time_ns; });
}

void DeltaState::AddExplicit(Request* request, Point* point, Stream* stream) {
  const std::span<const double> bounds = Request::Of(request->reals, point->bounds);
  const std::span<const uint64_t> counts = Request::Of(request->counts, point->bucket_counts);
  const bool same =
      std::equal(bounds.begin(), bounds.end(), stream->bounds.begin(), stream->bounds.end()) &&
      stream->counts.size() == counts.size();
  if (!same) {
    // Other bounds: the totals begin anew.
    stream->bounds.assign(bounds.begin(), bounds.end());
    stream->counts.assign(counts.size(), 0);
    stream->count = 0;
    stream->sum = 0;
    stream->start_ns = point->start_ns;
  }
  for (size_t i = 0; i < counts.size(); ++i) {
    stream->counts[i] += counts[i];
    request->counts[point->bucket_counts.begin + i] = stream->counts[i];
  }
  point->start_ns = stream->start_ns;
  point->count = stream->count += point->count;
  point->sum = stream->sum += point->sum;
}

void DeltaState::Rescale(Stream* stream, int32_t scale) {
  if (scale >= stream->scale) return;
  const int32_t down = std::min(62, stream->scale - scale);
  for (std::map<int64_t, uint64_t>* buckets : {&stream->positive, &stream->negative}) {
    std::map<int64_t, uint64_t> joined;
    for (const auto& [index, count] : *buckets) joined[index >> down] += count;
    buckets->swap(joined);
  }
  stream->scale = scale;
}

void DeltaState::AddExponential(Request* request, Point* point, Stream* stream) {
  if (stream->count == 0 && stream->positive.empty() && stream->negative.empty()) {
    stream->scale = point->scale;
  }
  Rescale(stream, point->scale);
  const int32_t down = std::min(62, std::max(0, point->scale - stream->scale));
  AddBuckets(*request, point->positive, point->positive_offset, down, &stream->positive);
  AddBuckets(*request, point->negative, point->negative_offset, down, &stream->negative);
  while (std::max(Width(stream->positive), Width(stream->negative)) > kBucketsMax) {
    Rescale(stream, stream->scale - 1);
  }
  stream->zero_threshold = std::max(stream->zero_threshold, point->zero_threshold);
  point->zero_threshold = stream->zero_threshold;
  point->zero_count = stream->zero_count += point->zero_count;
  point->count = stream->count += point->count;
  point->sum = stream->sum += point->sum;
  point->scale = stream->scale;
  WriteBuckets(stream->positive, request, &point->positive_offset, &point->positive);
  WriteBuckets(stream->negative, request, &point->negative_offset, &point->negative);
}

}  // namespace narthex::otlp
