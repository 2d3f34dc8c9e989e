#include "services/storage/tsdb/block_meta.h"

#include <algorithm>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/json/reader.h"
#include "lib/json/writer.h"
#include "services/storage/tsdb/ulid.h"

// Numbers of the file are 64 bits, which a double does not hold, and members that are not ours go
// back as they came: so the text of each member is cut out of the document, which json::Parse has
// accepted before. Cutting may therefore rely on its being well-formed.
namespace narthex::tsdb {
namespace {

constexpr int kMetaVersion = 1;

struct RawMember {
  std::string key;
  std::string_view value;  // JSON text.
};

// Where the JSON value that begins at `start` ends.
size_t ValueEnd(std::string_view json, size_t start) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = start; i < json.size(); ++i) {
    const char c = json[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return i;
      --depth;
    } else if (c == ',' && depth == 0) {
      return i;
    }
  }
  return json.size();
}

size_t SkipSpace(std::string_view json, size_t i) {
  while (i < json.size() &&
         (json[i] == ' ' || json[i] == '\t' || json[i] == '\n' || json[i] == '\r')) {
    ++i;
  }
  return i;
}

size_t StringEnd(std::string_view json, size_t start) {
  size_t i = start + 1;
  while (i < json.size() && json[i] != '"') i += json[i] == '\\' ? 2 : 1;
  return i + 1;
}

absl::StatusOr<std::string> StringOf(std::string_view json) {
  NARTHEX_ASSIGN_OR_RETURN(const json::Value value, json::Parse(json));
  if (!value.is_string()) return InvalidArgument(json, " is no string");
  return value.text;
}

absl::StatusOr<std::vector<RawMember>> Members(std::string_view json) {
  json = TrimSpace(json);
  if (json.empty() || json.front() != '{') return InvalidArgument(json, " is no object");
  std::vector<RawMember> members;
  size_t i = SkipSpace(json, 1);
  while (i < json.size() && json[i] == '"') {
    const size_t key_end = StringEnd(json, i);
    RawMember member;
    NARTHEX_ASSIGN_OR_RETURN(member.key, StringOf(json.substr(i, key_end - i)));
    const size_t value = SkipSpace(json, SkipSpace(json, key_end) + 1);  // Behind the colon.
    const size_t end = ValueEnd(json, value);
    member.value = TrimSpace(json.substr(value, end - value));
    members.push_back(std::move(member));
    if (end >= json.size() || json[end] != ',') break;
    i = SkipSpace(json, end + 1);
  }
  return members;
}

// null is an empty list, as Go reads it.
absl::StatusOr<std::vector<std::string_view>> Elements(std::string_view json) {
  std::vector<std::string_view> elements;
  if (json == "null") return elements;
  if (json.empty() || json.front() != '[') return InvalidArgument(json, " is no list");
  size_t i = SkipSpace(json, 1);
  while (i < json.size() && json[i] != ']') {
    const size_t end = ValueEnd(json, i);
    elements.push_back(TrimSpace(json.substr(i, end - i)));
    if (end >= json.size() || json[end] != ',') break;
    i = SkipSpace(json, end + 1);
  }
  return elements;
}

absl::Status ReadInt(const RawMember& member, int64_t* out) {
  if (ParseInt64(member.value, out)) return absl::OkStatus();
  return InvalidArgument(member.key, ": ", member.value, " is no whole number");
}

absl::Status ReadUint(const RawMember& member, uint64_t* out) {
  if (ParseUint64(member.value, out)) return absl::OkStatus();
  return InvalidArgument(member.key, ": ", member.value, " is no whole number from 0 on");
}

absl::Status ReadBool(const RawMember& member, bool* out) {
  if (member.value != "true" && member.value != "false") {
    return InvalidArgument(member.key, ": ", member.value, " is neither true nor false");
  }
  *out = member.value == "true";
  return absl::OkStatus();
}

absl::Status ReadUlid(std::string_view key, std::string_view json, std::string* out) {
  NARTHEX_ASSIGN_OR_RETURN(*out, StringOf(json));
  if (Ulid::Parse(*out)) return absl::OkStatus();
  return InvalidArgument(key, ": ", Quote(*out), " is no ULID");
}

absl::Status ReadStrings(const RawMember& member, std::vector<std::string>* out) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string_view> elements, Elements(member.value));
  for (const std::string_view element : elements) {
    NARTHEX_ASSIGN_OR_RETURN(std::string text, StringOf(element));
    out->push_back(std::move(text));
  }
  return absl::OkStatus();
}

absl::Status ReadStats(std::string_view json, BlockMeta::Stats* stats) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<RawMember> members, Members(json));
  for (const RawMember& member : members) {
    uint64_t* out = member.key == "numSamples"            ? &stats->samples
                    : member.key == "numFloatSamples"     ? &stats->float_samples
                    : member.key == "numHistogramSamples" ? &stats->histogram_samples
                    : member.key == "numSeries"           ? &stats->series
                    : member.key == "numChunks"           ? &stats->chunks
                    : member.key == "numTombstones"       ? &stats->tombstones
                                                          : nullptr;
    if (out != nullptr) NARTHEX_RETURN_IF_ERROR(Annotate(ReadUint(member, out), "stats"));
  }
  return absl::OkStatus();
}

absl::StatusOr<BlockParent> ReadParent(std::string_view json) {
  BlockParent parent;
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<RawMember> members, Members(json));
  for (const RawMember& member : members) {
    if (member.key == "ulid") {
      NARTHEX_RETURN_IF_ERROR(ReadUlid(member.key, member.value, &parent.ulid));
    } else if (member.key == "minTime") {
      NARTHEX_RETURN_IF_ERROR(ReadInt(member, &parent.min_time));
    } else if (member.key == "maxTime") {
      NARTHEX_RETURN_IF_ERROR(ReadInt(member, &parent.max_time));
    }
  }
  if (parent.ulid.empty()) return InvalidArgument("parents: no ulid");
  return parent;
}

absl::Status ReadCompactionMember(const RawMember& member, BlockMeta::Compaction* compaction) {
  if (member.key == "level") {
    int64_t level;
    NARTHEX_RETURN_IF_ERROR(ReadInt(member, &level));
    if (level < 0 || level > 1'000'000) return InvalidArgument("level ", level);
    compaction->level = static_cast<int>(level);
  } else if (member.key == "deletable") {
    return ReadBool(member, &compaction->deletable);
  } else if (member.key == "failed") {
    return ReadBool(member, &compaction->failed);
  } else if (member.key == "hints") {
    return ReadStrings(member, &compaction->hints);
  } else if (member.key == "sources" || member.key == "parents") {
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string_view> elements, Elements(member.value));
    for (const std::string_view element : elements) {
      if (member.key == "sources") {
        NARTHEX_RETURN_IF_ERROR(ReadUlid("sources", element, &compaction->sources.emplace_back()));
      } else {
        NARTHEX_ASSIGN_OR_RETURN(BlockParent parent, ReadParent(element));
        compaction->parents.push_back(std::move(parent));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status ReadMember(const RawMember& member, BlockMeta* meta, int64_t* version) {
  if (member.key == "ulid") return ReadUlid(member.key, member.value, &meta->ulid);
  if (member.key == "minTime") return ReadInt(member, &meta->min_time);
  if (member.key == "maxTime") return ReadInt(member, &meta->max_time);
  if (member.key == "version") return ReadInt(member, version);
  if (member.key == "stats") return ReadStats(member.value, &meta->stats);
  if (member.key == "compaction") {
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<RawMember> members, Members(member.value));
    for (const RawMember& inner : members) {
      NARTHEX_RETURN_IF_ERROR(
          Annotate(ReadCompactionMember(inner, &meta->compaction), "compaction"));
    }
    return absl::OkStatus();
  }
  meta->others.emplace_back(member.key, member.value);
  return absl::OkStatus();
}

// Appends JSON as Go's MarshalIndent with tabs lays it out.
class IndentedWriter {
 public:
  explicit IndentedWriter(std::string* out) : out_(out) {}
  void Open(char bracket) {
    out_->push_back(bracket);
    ++depth_;
    first_ = true;
  }
  void Close(char bracket) {
    --depth_;
    NewLine();
    out_->push_back(bracket);
    first_ = false;
  }
  void Element() {
    if (!first_) out_->push_back(',');
    first_ = false;
    NewLine();
  }
  void Key(std::string_view key) {
    Element();
    json::AppendQuoted(out_, key);
    out_->append(": ");
  }
  void String(std::string_view key, std::string_view value) {
    Key(key);
    json::AppendQuoted(out_, value);
  }
  template <typename T>
  void Raw(std::string_view key, const T& value) {
    Key(key);
    StrAppend(out_, value);
  }
  template <typename T>
  void RawUnlessZero(std::string_view key, const T& value) {
    if (value != T{}) Raw(key, value);
  }
  void Strings(std::string_view key, const std::vector<std::string>& values) {
    if (values.empty()) return;
    Key(key);
    Open('[');
    for (const std::string& value : values) {
      Element();
      json::AppendQuoted(out_, value);
    }
    Close(']');
  }

 private:
  void NewLine() {
    out_->push_back('\n');
    out_->append(static_cast<size_t>(depth_), '\t');
  }
  std::string* const out_;
  int depth_ = 0;
  bool first_ = true;
};

void WriteStats(const BlockMeta::Stats& stats, IndentedWriter* json, std::string* out) {
  json->Key("stats");
  if (stats.samples == 0 && stats.series == 0 && stats.chunks == 0 && stats.tombstones == 0 &&
      stats.float_samples == 0 && stats.histogram_samples == 0) {
    out->append("{}");
    return;
  }
  json->Open('{');
  json->RawUnlessZero("numSamples", stats.samples);
  json->RawUnlessZero("numFloatSamples", stats.float_samples);
  json->RawUnlessZero("numHistogramSamples", stats.histogram_samples);
  json->RawUnlessZero("numSeries", stats.series);
  json->RawUnlessZero("numChunks", stats.chunks);
  json->RawUnlessZero("numTombstones", stats.tombstones);
  json->Close('}');
}

void WriteCompaction(const BlockMeta::Compaction& compaction, IndentedWriter* json) {
  json->Key("compaction");
  json->Open('{');
  json->Raw("level", compaction.level);
  json->Strings("sources", compaction.sources);
  json->RawUnlessZero("deletable", compaction.deletable);
  if (!compaction.parents.empty()) {
    json->Key("parents");
    json->Open('[');
    for (const BlockParent& parent : compaction.parents) {
      json->Element();
      json->Open('{');
      json->String("ulid", parent.ulid);
      json->Raw("minTime", parent.min_time);
      json->Raw("maxTime", parent.max_time);
      json->Close('}');
    }
    json->Close(']');
  }
  json->RawUnlessZero("failed", compaction.failed);
  json->Strings("hints", compaction.hints);
  json->Close('}');
}

}  // namespace

absl::StatusOr<BlockMeta> ParseBlockMeta(std::string_view json) {
  const auto document = json::Parse(json);
  if (!document.ok()) return Annotate(document.status(), "meta.json");
  if (!document->is_object()) return InvalidArgument("meta.json: no object");
  BlockMeta meta;
  int64_t version = 0;
  const auto members = Members(json);
  if (!members.ok()) return Annotate(members.status(), "meta.json");
  for (const RawMember& member : *members) {
    NARTHEX_RETURN_IF_ERROR(Annotate(ReadMember(member, &meta, &version), "meta.json"));
  }
  if (version != kMetaVersion) return InvalidArgument("meta.json: unknown version ", version);
  if (meta.ulid.empty()) return InvalidArgument("meta.json: no ulid");
  if (meta.max_time < meta.min_time) {
    return InvalidArgument("meta.json: maxTime ", meta.max_time, " is before minTime ",
                           meta.min_time);
  }
  return meta;
}

bool IsPartial(const BlockMeta& meta) {
  const std::vector<std::string>& hints = meta.compaction.hints;
  return std::any_of(hints.begin(), hints.end(), [](std::string_view hint) {
    return hint == kHintOutOfOrder || hint == kHintStaleSeries || hint == kHintSelectedSeries;
  });
}

std::string FormatBlockMeta(const BlockMeta& meta) {
  std::string out;
  IndentedWriter json(&out);
  json.Open('{');
  json.String("ulid", meta.ulid);
  json.Raw("minTime", meta.min_time);
  json.Raw("maxTime", meta.max_time);
  WriteStats(meta.stats, &json, &out);
  WriteCompaction(meta.compaction, &json);
  json.Raw("version", kMetaVersion);
  for (const auto& [key, value] : meta.others) json.Raw(key, value);
  json.Close('}');
  return out;
}

}  // namespace narthex::tsdb
