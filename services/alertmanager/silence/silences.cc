#include "services/alertmanager/silence/silences.h"

#include <algorithm>
#include <random>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "services/alertmanager/alerts/matchers.h"
#include "services/alertmanager/snapshot/protobuf.h"

namespace narthex::silence {
namespace {

// Field numbers of upstream's MeshSilence, Silence, MatcherSet and Matcher.
constexpr uint32_t kMeshSilence = 1;
constexpr uint32_t kMeshExpiresAt = 2;
constexpr uint32_t kId = 1;
constexpr uint32_t kMatchers = 2;
constexpr uint32_t kStartsAt = 3;
constexpr uint32_t kEndsAt = 4;
constexpr uint32_t kUpdatedAt = 5;
constexpr uint32_t kCreatedBy = 8;
constexpr uint32_t kComment = 9;
constexpr uint32_t kAnnotations = 10;
constexpr uint32_t kMatcherSets = 11;
constexpr uint32_t kMatcherType = 1;
constexpr uint32_t kMatcherName = 2;
constexpr uint32_t kMatcherPattern = 3;

// Upstream numbers the types in another order than we do.
constexpr MatchType kTypes[] = {MatchType::kEqual, MatchType::kRegex, MatchType::kNotEqual,
                                MatchType::kNotRegex};

std::string EncodeMatcher(const Matcher& matcher) {
  const auto type = std::find(std::begin(kTypes), std::end(kTypes), matcher.type());
  snapshot::MessageWriter fields;
  fields.Varint(kMatcherType, static_cast<uint64_t>(type - std::begin(kTypes)));
  fields.Bytes(kMatcherName, matcher.name());
  fields.Bytes(kMatcherPattern, matcher.value());
  return fields.bytes();
}

bool DecodeMatcher(std::string_view bytes, std::vector<Matcher>* matchers) {
  uint64_t type = 0;
  std::string_view name;
  std::string_view pattern;
  snapshot::MessageReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == kMatcherType) type = reader.varint();
    if (reader.field() == kMatcherName) name = reader.bytes();
    if (reader.field() == kMatcherPattern) pattern = reader.bytes();
  }
  if (!reader.ok() || type >= std::size(kTypes)) return false;
  absl::StatusOr<Matcher> matcher = Matcher::Create(kTypes[type], name, pattern);
  if (!matcher.ok()) return false;
  matchers->push_back(*std::move(matcher));
  return true;
}

bool DecodeMatcherSet(std::string_view bytes, std::vector<Matcher>* matchers) {
  snapshot::MessageReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == 1 && !DecodeMatcher(reader.bytes(), matchers)) return false;
  }
  return reader.ok();
}

bool DecodeAnnotation(std::string_view bytes, Silence* silence) {
  std::pair<std::string, std::string> annotation;
  snapshot::MessageReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == 1) annotation.first = reader.bytes();
    if (reader.field() == 2) annotation.second = reader.bytes();
  }
  silence->annotations.push_back(std::move(annotation));
  return reader.ok();
}

bool DecodeSilenceFields(std::string_view bytes, Silence* silence) {
  std::vector<Matcher> set;
  snapshot::MessageReader reader(bytes);
  while (reader.Next()) {
    bool ok = true;
    if (reader.field() == kId) silence->id = reader.bytes();
    if (reader.field() == kMatchers) ok = DecodeMatcher(reader.bytes(), &silence->matchers);
    if (reader.field() == kStartsAt) silence->starts_at = reader.time();
    if (reader.field() == kEndsAt) silence->ends_at = reader.time();
    if (reader.field() == kUpdatedAt) silence->updated_at = reader.time();
    if (reader.field() == kCreatedBy) silence->created_by = reader.bytes();
    if (reader.field() == kComment) silence->comment = reader.bytes();
    if (reader.field() == kAnnotations) ok = DecodeAnnotation(reader.bytes(), silence);
    // Newer writers put the matchers here, and the first set into the old field as well.
    if (reader.field() == kMatcherSets && set.empty()) ok = DecodeMatcherSet(reader.bytes(), &set);
    if (!ok) return false;
  }
  if (silence->matchers.empty()) silence->matchers = std::move(set);
  return reader.ok() && !silence->id.empty() && !silence->matchers.empty();
}

// A random UUID, version 4.
std::string NewId() {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::random_device random;
  std::string id;
  for (int i = 0; i < 32; ++i) {
    if (i == 8 || i == 12 || i == 16 || i == 20) id.push_back('-');
    auto digit = static_cast<unsigned>(random()) & 15U;
    if (i == 12) digit = 4;
    if (i == 16) digit = 8U | (digit & 3U);
    id.push_back(kDigits[digit]);
  }
  return id;
}

absl::Status Validate(const Silence& silence) {
  if (silence.matchers.empty()) {
    return InvalidArgument("invalid silence: at least one matcher required");
  }
  const bool all_match_empty =
      std::all_of(silence.matchers.begin(), silence.matchers.end(),
                  [](const Matcher& matcher) { return matcher.MatchesEmpty(); });
  if (all_match_empty) {
    return InvalidArgument("invalid silence: at least one matcher must not match the empty string");
  }
  if (silence.ends_at < silence.starts_at) {
    return InvalidArgument("invalid silence: end time must not be before start time");
  }
  return absl::OkStatus();
}

// Whether `changed` may take the place of `old` under the same id.
bool CanUpdate(const Silence& old, const Silence& changed, absl::Time now) {
  if (!(old.matchers == changed.matchers)) return false;
  switch (old.StateAt(now)) {
    case State::kActive:
      return absl::ToUnixSeconds(old.starts_at) == absl::ToUnixSeconds(changed.starts_at) &&
             changed.ends_at >= now;
    case State::kPending:
      return changed.starts_at >= now;
    case State::kExpired:
      return false;
  }
  return false;
}

}  // namespace

std::string_view StateText(State state) {
  switch (state) {
    case State::kPending:
      return "pending";
    case State::kActive:
      return "active";
    case State::kExpired:
      return "expired";
  }
  return "";
}

State Silence::StateAt(absl::Time now) const {
  if (now < starts_at) return State::kPending;
  return now < ends_at ? State::kActive : State::kExpired;
}

std::string EncodeSilence(const Silence& silence, absl::Time forgotten_at) {
  snapshot::MessageWriter fields;
  snapshot::MessageWriter set;
  fields.Bytes(kId, silence.id);
  for (const Matcher& matcher : silence.matchers) {
    fields.Message(kMatchers, EncodeMatcher(matcher));
    set.Message(1, EncodeMatcher(matcher));
  }
  fields.Time(kStartsAt, silence.starts_at);
  fields.Time(kEndsAt, silence.ends_at);
  fields.Time(kUpdatedAt, silence.updated_at);
  fields.Bytes(kCreatedBy, silence.created_by);
  fields.Bytes(kComment, silence.comment);
  for (const auto& [name, value] : silence.annotations) {
    snapshot::MessageWriter annotation;
    annotation.Bytes(1, name);
    annotation.Bytes(2, value);
    fields.Message(kAnnotations, annotation.bytes());
  }
  fields.Message(kMatcherSets, set.bytes());
  snapshot::MessageWriter mesh;
  mesh.Message(kMeshSilence, fields.bytes());
  mesh.Time(kMeshExpiresAt, forgotten_at);
  return mesh.bytes();
}

std::optional<Silence> DecodeSilence(std::string_view record, absl::Time* forgotten_at) {
  Silence silence;
  bool has_silence = false;
  snapshot::MessageReader reader(record);
  while (reader.Next()) {
    if (reader.field() == kMeshSilence) {
      has_silence = true;
      if (!DecodeSilenceFields(reader.bytes(), &silence)) return std::nullopt;
    }
    if (reader.field() == kMeshExpiresAt) *forgotten_at = reader.time();
  }
  if (!reader.ok() || !has_silence) return std::nullopt;
  return silence;
}

Silences::Silences(const SilencesOptions& options, Clock* clock, metrics::Registry* registry)
    : options_(options),
      clock_(clock),
      queries_(registry->AddCounter("alertmanager_silences_queries_total",
                                    "How many silence queries were received.")),
      maintenances_(registry->AddCounter("alertmanager_silences_maintenance_total",
                                         "How many maintenances were executed for silences.")),
      maintenance_errors_(
          registry->AddCounter("alertmanager_silences_maintenance_errors_total",
                               "How many maintenances were executed for silences that failed.")),
      snapshot_size_(registry->AddGauge("alertmanager_silences_snapshot_size_bytes",
                                        "Size of the last silence snapshot in bytes.")) {
  AddGauges(registry);
}

void Silences::AddGauges(metrics::Registry* registry) {
  for (const State state : {State::kPending, State::kActive, State::kExpired}) {
    gauges_.push_back(registry->AddCallback(
        "alertmanager_silences", "How many silences by state.", "gauge",
        {{"state", std::string(StateText(state))}}, [this, state] {
          const absl::Time now = clock_->Now();
          const std::vector<SilencePtr> all = All();
          return static_cast<double>(std::count_if(
              all.begin(), all.end(),
              [&](const SilencePtr& silence) { return silence->StateAt(now) == state; }));
        }));
  }
}

absl::StatusOr<std::unique_ptr<Silences>> Silences::Open(const SilencesOptions& options,
                                                         io::FileSystem* file_system, Clock* clock,
                                                         Logger logger,
                                                         metrics::Registry* registry) {
  std::unique_ptr<Silences> silences(new Silences(options, clock, registry));
  if (options.path.empty()) return silences;
  const absl::Time now = clock->Now();
  MutexLock lock(&silences->mu_);
  const auto take = [&](std::string_view record) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    absl::Time forgotten_at = absl::InfiniteFuture();
    std::optional<Silence> silence = DecodeSilence(record, &forgotten_at);
    if (!silence.has_value()) return false;
    const std::string id = silence->id;
    silences->silences_[id] = {std::make_shared<const Silence>(*std::move(silence)), forgotten_at};
    return true;
  };
  NARTHEX_ASSIGN_OR_RETURN(silences->file_,
                           snapshot::RecordFile::Open(file_system, options.path, logger, take));
  std::erase_if(silences->silences_,
                [now](const auto& item) { return item.second.forgotten_at <= now; });
  silences->snapshot_size_->Set(static_cast<double>(silences->file_->size_bytes()));
  return silences;
}

absl::Status Silences::StoreLocked(Silence silence) {
  silence.updated_at = clock_->Now();
  NARTHEX_RETURN_IF_ERROR(Validate(silence));
  const absl::Time forgotten_at = silence.ends_at + options_.retention;
  const std::string record = EncodeSilence(silence, forgotten_at);
  if (options_.silence_bytes_max > 0 && record.size() > options_.silence_bytes_max) {
    return ResourceExhausted("silence exceeded maximum size: ", record.size(),
                             " bytes (limit: ", options_.silence_bytes_max, " bytes)");
  }
  // Written first: what is answered is on disk.
  if (file_ != nullptr) NARTHEX_RETURN_IF_ERROR(file_->Append(record, true));
  const std::string id = silence.id;
  silences_[id] = {std::make_shared<const Silence>(std::move(silence)), forgotten_at};
  return absl::OkStatus();
}

absl::Status Silences::ExpireLocked(const Silence& silence, absl::Time now) {
  Silence ended = silence;
  const State state = silence.StateAt(now);
  if (state == State::kExpired) return absl::OkStatus();
  if (state == State::kPending) ended.starts_at = now;
  ended.ends_at = now;
  return StoreLocked(std::move(ended));
}

absl::StatusOr<std::string> Silences::Set(Silence silence) {
  const absl::Time now = clock_->Now();
  MutexLock lock(&mu_);
  SilencePtr old;
  if (!silence.id.empty()) {
    const auto found = silences_.find(silence.id);
    if (found == silences_.end()) return NotFound("silence ", silence.id, " not found");
    old = found->second.silence;
    if (CanUpdate(*old, silence, now)) {
      const std::string id = silence.id;
      NARTHEX_RETURN_IF_ERROR(StoreLocked(std::move(silence)));
      return id;
    }
  }
  if (options_.silences_max > 0 && silences_.size() >= options_.silences_max) {
    return ResourceExhausted("exceeded maximum number of silences: ", silences_.size(),
                             " (limit: ", options_.silences_max, ")");
  }
  silence.id = NewId();
  silence.starts_at = std::max(silence.starts_at, now);
  const std::string id = silence.id;
  NARTHEX_RETURN_IF_ERROR(StoreLocked(std::move(silence)));
  // The new one holds before the old one ends, so that no moment is without.
  if (old != nullptr) NARTHEX_RETURN_IF_ERROR(ExpireLocked(*old, now));
  return id;
}

absl::Status Silences::Expire(const std::string& id) {
  MutexLock lock(&mu_);
  const auto found = silences_.find(id);
  if (found == silences_.end()) return NotFound("silence ", id, " not found");
  const SilencePtr silence = found->second.silence;
  return ExpireLocked(*silence, clock_->Now());
}

SilencePtr Silences::Get(const std::string& id) const {
  MutexLock lock(&mu_);
  const auto found = silences_.find(id);
  return found == silences_.end() ? nullptr : found->second.silence;
}

std::vector<SilencePtr> Silences::All() const {
  MutexLock lock(&mu_);
  std::vector<SilencePtr> all;
  all.reserve(silences_.size());
  for (const auto& item : silences_) all.push_back(item.second.silence);
  return all;
}

std::vector<std::string> Silences::SilencedBy(const Labels& labels) const {
  queries_->Increment();
  const absl::Time now = clock_->Now();
  std::vector<std::string> ids;
  MutexLock lock(&mu_);
  for (const auto& [id, stored] : silences_) {
    if (stored.silence->StateAt(now) == State::kActive &&
        alerts::MatchesAll(stored.silence->matchers, labels)) {
      ids.push_back(id);
    }
  }
  return ids;
}

absl::Status Silences::MaintainLocked() {
  const absl::Time now = clock_->Now();
  std::erase_if(silences_, [now](const auto& item) { return item.second.forgotten_at <= now; });
  if (file_ == nullptr) return absl::OkStatus();
  std::vector<std::string> records;
  records.reserve(silences_.size());
  for (const auto& item : silences_) {
    records.push_back(EncodeSilence(*item.second.silence, item.second.forgotten_at));
  }
  NARTHEX_RETURN_IF_ERROR(file_->Rewrite(records));
  snapshot_size_->Set(static_cast<double>(file_->size_bytes()));
  return absl::OkStatus();
}

absl::Status Silences::Maintain() {
  maintenances_->Increment();
  MutexLock lock(&mu_);
  absl::Status status = MaintainLocked();
  if (!status.ok()) maintenance_errors_->Increment();
  return status;
}

}  // namespace narthex::silence
