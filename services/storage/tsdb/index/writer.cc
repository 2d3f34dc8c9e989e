#include "services/storage/tsdb/index/writer.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/coding.h"
#include "lib/base/crc32c.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/labels/symbols.h"

// The index (format.md): header, symbols, series, postings, table of postings, contents.
//
// A waiting series, in the file beside: uv size of what follows; uv labels, each: uv number of the
// name, uv number of the value (both of `texts`, in order of appearance); then the chunks as the
// index has them.
namespace narthex::index {
namespace {

constexpr uint64_t kSyncBytes = uint64_t{32} << 20;

// Appends to a file through a buffer, and knows where it is.
class Output {
 public:
  Output(std::unique_ptr<io::WritableFile> file, size_t buffer_size)
      : file_(std::move(file)), buffer_size_(buffer_size) {}

  absl::Status Append(std::string_view bytes) {
    buffer_.append(bytes);
    position_ += bytes.size();
    return buffer_.size() < buffer_size_ ? absl::OkStatus() : Flush();
  }
  absl::Status Pad(uint64_t alignment) {
    const uint64_t padding = (alignment - position_ % alignment) % alignment;
    return Append(std::string(static_cast<size_t>(padding), '\0'));
  }
  // A section's bytes, which its checksum covers.
  absl::Status AppendSummed(std::string_view bytes) {
    crc_ = ExtendCrc32c(crc_, bytes);
    return Append(bytes);
  }
  absl::Status AppendSum() {
    std::string sum;
    AppendBig(&sum, std::exchange(crc_, 0));
    return Append(sum);
  }
  absl::Status Flush() {
    NARTHEX_RETURN_IF_ERROR(file_->Append(buffer_));
    buffer_.clear();
    return absl::OkStatus();
  }
  // To the disk in pieces: one sync of a large index would hold up those of the log.
  absl::Status SyncSome() {
    if (position_ - synced_ < kSyncBytes) return absl::OkStatus();
    NARTHEX_RETURN_IF_ERROR(Flush());
    return Sync();
  }
  absl::Status Sync() {
    synced_ = position_;
    return file_->Sync();
  }
  absl::Status Close() { return file_->Close(); }
  uint64_t position() const { return position_; }

 private:
  const std::unique_ptr<io::WritableFile> file_;
  const size_t buffer_size_;
  std::string buffer_;
  uint64_t position_ = 0;
  uint64_t synced_ = 0;
  uint32_t crc_ = 0;
};

size_t UvarintSize(uint64_t value) {
  uint8_t buffer[kUvarintBytesMax];
  return EncodeUvarint(buffer, value);
}
size_t LengthPrefixedSize(std::string_view text) { return UvarintSize(text.size()) + text.size(); }

void EncodeChunks(std::span<const ChunkMeta> chunks, std::string* out) {
  AppendUvarint(out, chunks.size());
  for (size_t i = 0; i < chunks.size(); ++i) {
    const ChunkMeta& chunk = chunks[i];
    if (i == 0) {
      AppendVarint(out, chunk.min_time);
    } else {
      AppendUvarint(out, static_cast<uint64_t>(chunk.min_time) -
                             static_cast<uint64_t>(chunks[i - 1].max_time));
    }
    AppendUvarint(out,
                  static_cast<uint64_t>(chunk.max_time) - static_cast<uint64_t>(chunk.min_time));
    if (i == 0) {
      AppendUvarint(out, chunk.reference);
    } else {
      AppendVarint(out, static_cast<int64_t>(chunk.reference - chunks[i - 1].reference));
    }
  }
}

// A label of a series as two numbers of texts.
struct NumberedLabel {
  uint32_t name = 0;
  uint32_t value = 0;
};

// Walks the waiting series, a piece of the file at a time: mapped, all of it would count as memory
// of this process.
class WaitingSeries {
 public:
  // `texts` is how many there are; `names` how many of those may be names.
  WaitingSeries(const io::RandomAccessFile* file, size_t piece, size_t names, size_t texts)
      : file_(file), piece_(piece), names_(names), texts_(texts) {}

  // False at the end. These are our own bytes of a moment ago, but a disk lies between.
  absl::StatusOr<bool> Next() {
    if (rest_.size() < kUvarintBytesMax) NARTHEX_RETURN_IF_ERROR(Fill(piece_));
    if (rest_.empty()) return false;
    ByteReader reader(rest_);
    uint64_t size;
    if (!reader.ReadUvarint(&size)) return Damaged();
    if (reader.remaining() < size) {
      NARTHEX_RETURN_IF_ERROR(Fill(std::max<size_t>(piece_, reader.offset() + size)));
      reader = ByteReader(rest_);
      reader.ReadUvarint(&size);
    }
    std::string_view record;
    uint64_t count;
    if (!reader.ReadBytes(static_cast<size_t>(size), &record)) return Damaged();
    rest_ = reader.rest();
    ByteReader fields(record);
    if (!fields.ReadUvarint(&count) || count > fields.remaining()) return Damaged();
    labels_.resize(static_cast<size_t>(count));
    for (NumberedLabel& label : labels_) {
      uint64_t name;
      uint64_t value;
      if (!fields.ReadUvarint(&name) || !fields.ReadUvarint(&value) || name >= names_ ||
          value >= texts_) {
        return Damaged();
      }
      label = {static_cast<uint32_t>(name), static_cast<uint32_t>(value)};
    }
    chunks_ = fields.rest();
    return true;
  }
  const std::vector<NumberedLabel>& labels() const { return labels_; }
  std::string_view chunks() const { return chunks_; }

 private:
  static absl::Status Damaged() { return DataLoss("index: the waiting series are damaged"); }

  // Makes rest_ `size` bytes long, or as long as the file lasts.
  absl::Status Fill(size_t size) {
    const uint64_t offset = read_ - rest_.size();
    NARTHEX_RETURN_IF_ERROR(file_->Read(offset, size, &buffer_));
    read_ = offset + buffer_.size();
    rest_ = buffer_;
    return absl::OkStatus();
  }

  const io::RandomAccessFile* const file_;
  const size_t piece_;
  const size_t names_;
  const size_t texts_;
  std::string buffer_;
  std::string_view rest_;  // Of the buffer.
  uint64_t read_ = 0;      // Where the buffer ends in the file.
  std::vector<NumberedLabel> labels_;
  std::string_view chunks_;
};

// A series of a postings list that is being collected: rank of the value in the high half, number
// of the series in the low.
using RankedPosting = uint64_t;

// Sorts by rank; equal ranks stay in order. (std::sort takes five times as long.)
void SortByRank(std::vector<RankedPosting>* postings, std::vector<RankedPosting>* scratch) {
  constexpr int kDigitBits = 11;
  constexpr size_t kDigits = size_t{1} << kDigitBits;
  if (std::is_sorted(postings->begin(), postings->end())) return;
  uint64_t ranks = 0;
  for (const RankedPosting posting : *postings) ranks |= posting >> 32;
  scratch->resize(postings->size());
  for (int shift = 0; ranks >> shift != 0; shift += kDigitBits) {
    size_t starts[kDigits] = {};
    for (const RankedPosting posting : *postings) ++starts[(posting >> (32 + shift)) % kDigits];
    size_t start = 0;
    for (size_t& count : starts) start += std::exchange(count, start);
    for (const RankedPosting posting : *postings) {
      (*scratch)[starts[(posting >> (32 + shift)) % kDigits]++] = posting;
    }
    postings->swap(*scratch);
  }
}

// A line of the table of postings: how long the list is says where the next one begins.
struct TableEntry {
  uint32_t value = 0;  // Rank of the text.
  uint32_t postings = 0;
};
// The entries of one name.
struct TableName {
  uint32_t name = 0;  // Rank of the text.
  size_t entries_end = 0;
};

}  // namespace

struct Writer::Rep {
  Rep(io::FileSystem* file_system, std::string index_path, WriterOptions writer_options)
      : fs(file_system),
        path(std::move(index_path)),
        waiting_path(path + ".series"),
        options(writer_options) {}

  absl::Status CheckOrder(std::span<const LabelView> labels,
                          std::span<const ChunkMeta> chunks) const;
  void Number(std::span<const LabelView> labels);
  absl::Status WriteAll(const Pace& pace);
  void RankTexts();
  absl::Status WriteSymbols();
  absl::Status WriteSeries(const Pace& pace);
  absl::Status WritePostings(const Pace& pace);
  absl::Status WriteNames(std::span<const uint32_t> names, const Pace& pace);
  absl::Status WriteList(std::span<const RankedPosting> postings);
  absl::Status WriteTable(const Pace& pace);
  template <typename Visit>
  absl::Status ForEachTableLine(const Visit& visit) const;
  absl::Status WriteContents();
  absl::Status CallPace(const Pace& pace);

  // Constant after construction.
  io::FileSystem* const fs;
  const std::string path;
  const std::string waiting_path;
  const WriterOptions options;

  std::unique_ptr<Output> out;
  std::unique_ptr<Output> waiting;
  std::unique_ptr<io::RandomAccessFile> waiting_file;  // In Finish().
  SymbolTable texts;
  std::vector<uint64_t> name_postings;  // By number of the text; shorter than `texts`.
  std::vector<NumberedLabel> last;      // The series before.
  std::string scratch;
  std::string record;
  uint64_t series = 0;
  absl::Status broken;  // First failure; returned by every later call.

  // In Finish().
  uint64_t paced = 0;
  std::vector<uint32_t> order;          // Texts by rank.
  std::vector<uint32_t> ranks;          // Ranks by number of the text.
  std::vector<uint32_t> series_places;  // Numbers of the series (offset / 16), in their order.
  std::vector<TableEntry> table;
  std::vector<TableName> table_names;
  uint64_t series_start = 0;
  uint64_t series_end = 0;
  uint64_t postings_start = 0;  // Of the first list, behind the padding.
  uint64_t table_start = 0;
};

absl::StatusOr<std::unique_ptr<Writer>> Writer::Create(io::FileSystem* fs, std::string path,
                                                       WriterOptions options) {
  auto rep = std::make_unique<Rep>(fs, std::move(path), options);
  NARTHEX_ASSIGN_OR_RETURN(auto out, fs->Create(rep->path));
  NARTHEX_ASSIGN_OR_RETURN(auto waiting, fs->Create(rep->waiting_path));
  rep->out = std::make_unique<Output>(std::move(out), options.buffer_size_bytes);
  rep->waiting = std::make_unique<Output>(std::move(waiting), options.buffer_size_bytes);
  // Upstream has the empty text among its symbols, for the name of the list of all series.
  rep->texts.Intern("");
  return std::unique_ptr<Writer>(new Writer(std::move(rep)));
}

Writer::Writer(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
Writer::~Writer() = default;

uint64_t Writer::series() const { return rep_->series; }
uint32_t Writer::series_number(uint64_t place) const {
  NARTHEX_CHECK(place < rep_->series_places.size());
  return rep_->series_places[static_cast<size_t>(place)];
}
uint64_t Writer::size_bytes() const { return rep_->out->position() + rep_->waiting->position(); }

absl::Status Writer::Rep::CheckOrder(std::span<const LabelView> labels,
                                     std::span<const ChunkMeta> chunks) const {
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i].name.empty() || labels[i].value.empty()) {
      return InvalidArgument("a label without name or value");
    }
    if (i > 0 && labels[i].name <= labels[i - 1].name) {
      return InvalidArgument("label ", Quote(labels[i].name), " does not come after ",
                             Quote(labels[i - 1].name));
    }
  }
  for (size_t i = 0; i < chunks.size(); ++i) {
    if (chunks[i].max_time < chunks[i].min_time) {
      return InvalidArgument("a chunk that ends at ", chunks[i].max_time, " before it begins at ",
                             chunks[i].min_time);
    }
    if (i > 0 && chunks[i].min_time <= chunks[i - 1].max_time) {
      return InvalidArgument("a chunk from ", chunks[i].min_time, " behind one to ",
                             chunks[i - 1].max_time);
    }
  }
  if (series == 0) return absl::OkStatus();
  const auto compare = [&](size_t i) {  // <0, 0, >0: label i against that of the series before.
    const int names = labels[i].name.compare(texts.Text(last[i].name));
    return names != 0 ? names : labels[i].value.compare(texts.Text(last[i].value));
  };
  for (size_t i = 0; i < std::min(labels.size(), last.size()); ++i) {
    const int order_of_label = compare(i);
    if (order_of_label > 0) return absl::OkStatus();
    if (order_of_label < 0) {
      return InvalidArgument("series out of order at label ", Quote(labels[i].name));
    }
  }
  if (labels.size() > last.size()) return absl::OkStatus();
  return InvalidArgument("series out of order, or twice");
}

// Neighbours share most labels, so the table is asked for few.
void Writer::Rep::Number(std::span<const LabelView> labels) {
  const size_t same_max = std::min(labels.size(), last.size());
  last.resize(labels.size());
  for (size_t i = 0; i < labels.size(); ++i) {
    const bool same_name = i < same_max && texts.Text(last[i].name) == labels[i].name;
    const bool same_value = i < same_max && texts.Text(last[i].value) == labels[i].value;
    if (!same_name) last[i].name = texts.Intern(labels[i].name);
    if (!same_value) last[i].value = texts.Intern(labels[i].value);
    if (last[i].name >= name_postings.size()) name_postings.resize(last[i].name + 1);
    ++name_postings[last[i].name];
  }
}

absl::Status Writer::Add(std::span<const LabelView> labels, std::span<const ChunkMeta> chunks) {
  NARTHEX_RETURN_IF_ERROR(rep_->broken);
  rep_->broken = rep_->CheckOrder(labels, chunks);
  NARTHEX_RETURN_IF_ERROR(rep_->broken);
  rep_->Number(labels);
  std::string& record = rep_->record;
  record.clear();
  AppendUvarint(&record, labels.size());
  for (const NumberedLabel& label : rep_->last) {
    AppendUvarint(&record, label.name);
    AppendUvarint(&record, label.value);
  }
  EncodeChunks(chunks, &record);
  rep_->scratch.clear();
  AppendLengthPrefixed(&rep_->scratch, record);
  rep_->broken = rep_->waiting->Append(rep_->scratch);
  if (rep_->broken.ok()) ++rep_->series;
  return rep_->broken;
}

absl::Status Writer::Finish(const Pace& pace) {
  NARTHEX_RETURN_IF_ERROR(rep_->broken);
  rep_->broken = rep_->WriteAll(pace);
  NARTHEX_RETURN_IF_ERROR(rep_->broken);
  rep_->broken = FailedPrecondition("the index is finished");
  return absl::OkStatus();
}

absl::Status Writer::Rep::WriteAll(const Pace& pace) {
  NARTHEX_RETURN_IF_ERROR(waiting->Flush());
  NARTHEX_RETURN_IF_ERROR(waiting->Close());
  NARTHEX_ASSIGN_OR_RETURN(waiting_file, fs->OpenRead(waiting_path));
  RankTexts();
  NARTHEX_RETURN_IF_ERROR(WriteSymbols());
  NARTHEX_RETURN_IF_ERROR(WriteSeries(pace));
  if (series_places.size() != series) return DataLoss("index: waiting series are missing");
  NARTHEX_RETURN_IF_ERROR(WritePostings(pace));
  NARTHEX_RETURN_IF_ERROR(WriteTable(pace));
  NARTHEX_RETURN_IF_ERROR(WriteContents());
  NARTHEX_RETURN_IF_ERROR(out->Flush());
  NARTHEX_RETURN_IF_ERROR(out->Sync());
  NARTHEX_RETURN_IF_ERROR(out->Close());
  waiting_file = nullptr;
  return fs->Remove(waiting_path);
}

absl::Status Writer::Rep::CallPace(const Pace& pace) {
  NARTHEX_RETURN_IF_ERROR(out->SyncSome());
  const uint64_t bytes = out->position() - paced;
  if (!pace || bytes < options.buffer_size_bytes) return absl::OkStatus();
  paced = out->position();
  return pace(bytes);
}

void Writer::Rep::RankTexts() {
  order.resize(texts.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(),
            [&](uint32_t a, uint32_t b) { return texts.Text(a) < texts.Text(b); });
  ranks.resize(texts.size());
  for (uint32_t rank = 0; rank < order.size(); ++rank) ranks[order[rank]] = rank;
}

absl::Status Writer::Rep::WriteSymbols() {
  std::string bytes;
  AppendBig(&bytes, kMagic);
  bytes.push_back(static_cast<char>(kVersion2));
  uint64_t size = sizeof(uint32_t);
  for (const uint32_t text : order) size += LengthPrefixedSize(texts.Text(text));
  if (size > std::numeric_limits<uint32_t>::max()) {
    return ResourceExhausted("index: the symbols take ", size,
                             " bytes, more than the format holds");
  }
  AppendBig(&bytes, static_cast<uint32_t>(size));
  NARTHEX_RETURN_IF_ERROR(out->Append(bytes));
  bytes.clear();
  AppendBig(&bytes, static_cast<uint32_t>(order.size()));
  for (const uint32_t text : order) {
    AppendLengthPrefixed(&bytes, texts.Text(text));
    NARTHEX_RETURN_IF_ERROR(out->AppendSummed(bytes));
    bytes.clear();
  }
  return out->AppendSum();
}

absl::Status Writer::Rep::WriteSeries(const Pace& pace) {
  series_start = out->position();
  series_places.reserve(static_cast<size_t>(series));
  WaitingSeries waiting_series(waiting_file.get(), options.buffer_size_bytes, name_postings.size(),
                               texts.size());
  std::string body;
  std::string entry;
  while (true) {
    NARTHEX_ASSIGN_OR_RETURN(const bool more, waiting_series.Next());
    if (!more) break;
    NARTHEX_RETURN_IF_ERROR(out->Pad(kSeriesAlignment));
    if (out->position() >= kFileSizeMax) {
      return ResourceExhausted("index: more than 64 GiB of series");
    }
    series_places.push_back(static_cast<uint32_t>(out->position() / kSeriesAlignment));
    body.clear();
    AppendUvarint(&body, waiting_series.labels().size());
    for (const NumberedLabel& label : waiting_series.labels()) {
      AppendUvarint(&body, ranks[label.name]);
      AppendUvarint(&body, ranks[label.value]);
    }
    body.append(waiting_series.chunks());
    entry.clear();
    AppendLengthPrefixed(&entry, body);
    AppendBig(&entry, Crc32c(body));
    NARTHEX_RETURN_IF_ERROR(out->Append(entry));
    NARTHEX_RETURN_IF_ERROR(CallPace(pace));
  }
  series_end = out->position();
  return absl::OkStatus();
}

// All series first, as the pair of two empty texts; then name by name.
absl::Status Writer::Rep::WritePostings(const Pace& pace) {
  NARTHEX_RETURN_IF_ERROR(out->Pad(kPostingsAlignment));
  postings_start = out->position();
  std::vector<RankedPosting> all(series_places.begin(), series_places.end());
  NARTHEX_RETURN_IF_ERROR(WriteList(all));
  all = {};

  std::vector<uint32_t> names;
  for (const uint32_t text : order) {
    if (text < name_postings.size() && name_postings[text] > 0) names.push_back(text);
  }
  for (size_t begin = 0; begin < names.size();) {
    size_t end = begin;
    uint64_t postings = 0;
    do {
      postings += name_postings[names[end++]];
    } while (end < names.size() && postings + name_postings[names[end]] <= options.postings_batch);
    NARTHEX_RETURN_IF_ERROR(WriteNames(std::span(names).subspan(begin, end - begin), pace));
    begin = end;
  }
  return absl::OkStatus();
}

absl::Status Writer::Rep::WriteNames(std::span<const uint32_t> names, const Pace& pace) {
  constexpr uint32_t kNotNow = std::numeric_limits<uint32_t>::max();
  std::vector<uint32_t> places(name_postings.size(), kNotNow);  // By text: which of `names`.
  std::vector<std::vector<RankedPosting>> collected(names.size());
  for (uint32_t i = 0; i < names.size(); ++i) {
    places[names[i]] = i;
    collected[i].reserve(static_cast<size_t>(name_postings[names[i]]));
  }
  WaitingSeries waiting_series(waiting_file.get(), options.buffer_size_bytes, name_postings.size(),
                               texts.size());
  for (const uint32_t series_place : series_places) {
    NARTHEX_ASSIGN_OR_RETURN(const bool more, waiting_series.Next());
    if (!more) return DataLoss("index: waiting series are missing");
    for (const NumberedLabel& label : waiting_series.labels()) {
      const uint32_t place = places[label.name];
      if (place == kNotNow) continue;
      collected[place].push_back(RankedPosting{ranks[label.value]} << 32 | series_place);
    }
  }
  std::vector<RankedPosting> sort_scratch;
  for (size_t i = 0; i < names.size(); ++i) {
    std::vector<RankedPosting> postings = std::move(collected[i]);
    SortByRank(&postings, &sort_scratch);
    for (size_t begin = 0; begin < postings.size();) {
      const uint64_t rank = postings[begin] >> 32;
      size_t end = begin + 1;
      while (end < postings.size() && postings[end] >> 32 == rank) ++end;
      table.push_back({static_cast<uint32_t>(rank), static_cast<uint32_t>(end - begin)});
      NARTHEX_RETURN_IF_ERROR(WriteList(std::span(postings).subspan(begin, end - begin)));
      NARTHEX_RETURN_IF_ERROR(CallPace(pace));
      begin = end;
    }
    table_names.push_back({ranks[names[i]], table.size()});
  }
  return absl::OkStatus();
}

// u32 size, u32 count, u32 series each, checksum of all but the size: always a multiple of four.
absl::Status Writer::Rep::WriteList(std::span<const RankedPosting> postings) {
  scratch.clear();
  AppendBig(&scratch, static_cast<uint32_t>(sizeof(uint32_t) * (1 + postings.size())));
  AppendBig(&scratch, static_cast<uint32_t>(postings.size()));
  for (const RankedPosting posting : postings) {
    AppendBig(&scratch, static_cast<uint32_t>(posting));
  }
  AppendBig(&scratch, Crc32c(std::string_view(scratch).substr(sizeof(uint32_t))));
  return out->Append(scratch);
}

// Calls visit(name, value, offset of the list), the list of all series first.
template <typename Visit>
absl::Status Writer::Rep::ForEachTableLine(const Visit& visit) const {
  const auto list_size = [](uint64_t postings) { return 4 * (3 + postings); };
  uint64_t offset = postings_start;
  NARTHEX_RETURN_IF_ERROR(visit(std::string_view(), std::string_view(), offset));
  offset += list_size(series);
  size_t i = 0;
  for (const TableName& name : table_names) {
    for (; i < name.entries_end; ++i) {
      NARTHEX_RETURN_IF_ERROR(
          visit(texts.Text(order[name.name]), texts.Text(order[table[i].value]), offset));
      offset += list_size(table[i].postings);
    }
  }
  NARTHEX_CHECK(offset == table_start);
  return absl::OkStatus();
}

absl::Status Writer::Rep::WriteTable(const Pace& pace) {
  table_start = out->position();
  uint64_t size = sizeof(uint32_t);
  NARTHEX_RETURN_IF_ERROR(
      ForEachTableLine([&size](std::string_view name, std::string_view value, uint64_t offset) {
        size += 1 + LengthPrefixedSize(name) + LengthPrefixedSize(value) + UvarintSize(offset);
        return absl::OkStatus();
      }));
  if (size > std::numeric_limits<uint32_t>::max()) {
    return ResourceExhausted("index: the table of postings takes ", size,
                             " bytes, more than the format holds");
  }
  std::string bytes;
  AppendBig(&bytes, static_cast<uint32_t>(size));
  NARTHEX_RETURN_IF_ERROR(out->Append(bytes));
  bytes.clear();
  AppendBig(&bytes, static_cast<uint32_t>(table.size() + 1));
  const absl::Status written = ForEachTableLine(
      [&](std::string_view name, std::string_view value, uint64_t offset) -> absl::Status {
        AppendUvarint(&bytes, 2);
        AppendLengthPrefixed(&bytes, name);
        AppendLengthPrefixed(&bytes, value);
        AppendUvarint(&bytes, offset);
        NARTHEX_RETURN_IF_ERROR(out->AppendSummed(bytes));
        bytes.clear();
        return CallPace(pace);
      });
  return written.ok() ? out->AppendSum() : written;
}

// There are no label indices, which readers of version 2 do not need: as upstream since 3.0, their
// places are those of what follows.
absl::Status Writer::Rep::WriteContents() {
  std::string toc;
  AppendBig(&toc, uint64_t{kHeaderSize});
  AppendBig(&toc, series_start);
  AppendBig(&toc, series_end);
  AppendBig(&toc, table_start);
  AppendBig(&toc, series_end);
  AppendBig(&toc, table_start);
  NARTHEX_RETURN_IF_ERROR(out->AppendSummed(toc));
  return out->AppendSum();
}

}  // namespace narthex::index
