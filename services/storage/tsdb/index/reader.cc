#include "services/storage/tsdb/index/reader.h"

#include <algorithm>
#include <atomic>
#include <limits>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "lib/base/crc32c.h"
#include "lib/base/mutex.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

// The layout is in writer.cc and format.md.
namespace narthex::index {
namespace {

// Every eighth symbol: finding one steps over 3.5 others on average, and an offset costs half a
// byte a symbol.
constexpr uint32_t kSymbolStride = 8;
constexpr size_t kTableStride = 32;
// Lists from here on are checked once, not at each reading; that many are remembered.
constexpr size_t kListBytesRemembered = 1024;
constexpr size_t kListsRememberedMax = size_t{64} << 10;

struct Contents {
  uint64_t symbols = 0;
  uint64_t series = 0;
  uint64_t label_indices = 0;
  uint64_t label_indices_table = 0;
  uint64_t postings = 0;
  uint64_t postings_table = 0;
};

// A line of the table of postings.
struct TableLine {
  std::string_view name;
  std::string_view value;
  uint64_t offset = 0;
};

bool ReadLine(ByteReader* reader, TableLine* line) {
  uint64_t texts;
  return reader->ReadUvarint(&texts) && texts == 2 && reader->ReadLengthPrefixed(&line->name) &&
         reader->ReadLengthPrefixed(&line->value) && reader->ReadUvarint(&line->offset);
}

bool ComesBefore(const TableLine& a, const TableLine& b) {
  return a.name != b.name ? a.name < b.name : a.value < b.value;
}

}  // namespace

struct Reader::Rep {
  Rep(std::string_view file, ReaderOptions reader_options) : bytes(file), options(reader_options) {}

  // The lines of one name: `values` of them, every 32nd with its place.
  struct Name {
    std::string_view text;
    size_t values = 0;
    size_t places_begin = 0;  // In `places`.
  };

  absl::StatusOr<std::string_view> Section(uint64_t offset, std::string_view what) const;
  absl::Status ReadHeader();
  absl::Status ReadContents();
  absl::Status ReadTable();
  absl::Status IndexTable();
  absl::Status SortTable();
  absl::Status ReadSymbols();
  void NoteName(std::string_view text, uint64_t number);
  const Name* FindName(std::string_view name) const;
  TableLine LineAt(uint64_t place) const;
  // The number of the last of the name's places whose value is at most `value`, or the first.
  size_t FindPlace(const Name& name, std::string_view value) const;
  absl::Status SeriesBody(uint64_t series, std::string_view* body) const;
  absl::Status Malformed(uint64_t series, std::string_view what) const {
    return DataLoss("index: series ", series, ": ", what);
  }
  absl::Status ReadLabelCount(uint64_t series, ByteReader* reader, uint64_t* count) const;
  absl::Status ReadChunks(uint64_t series, ByteReader* reader,
                          std::vector<ChunkMeta>* chunks) const;

  // Constant after opening.
  const std::string_view bytes;
  const ReaderOptions options;
  uint8_t version = 0;
  Contents toc;
  uint64_t series_limit = 0;             // No series ends behind it.
  std::string_view symbol_bytes;         // Behind the count.
  std::vector<uint32_t> symbol_offsets;  // In symbol_bytes, of every eighth.
  uint32_t symbols = 0;
  std::string sorted_table;      // In version 1, whose own table is in no order.
  std::string_view table;        // Lines, sorted.
  std::vector<Name> names;       // Sorted; without that of all series.
  std::vector<uint32_t> places;  // In table, of every 32nd line of each name.
  bool has_all_postings = false;
  uint64_t all_postings = 0;  // Offset of the list of all series.
  // From the number of a symbol that is a label name to its place in `names`.
  absl::flat_hash_map<uint64_t, uint32_t> name_symbols;

  mutable Mutex mu;
  mutable absl::flat_hash_set<uint64_t> checked_lists ABSL_GUARDED_BY(mu);
};

Reader::Reader(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
Reader::~Reader() = default;

uint8_t Reader::version() const { return rep_->version; }
uint32_t Reader::symbols() const { return rep_->symbols; }

absl::StatusOr<std::unique_ptr<Reader>> Reader::Open(std::string_view bytes,
                                                     ReaderOptions options) {
  auto rep = std::make_unique<Rep>(bytes, options);
  NARTHEX_RETURN_IF_ERROR(rep->ReadContents());
  NARTHEX_RETURN_IF_ERROR(rep->ReadTable());
  NARTHEX_RETURN_IF_ERROR(rep->ReadSymbols());
  return std::unique_ptr<Reader>(new Reader(std::move(rep)));
}

absl::StatusOr<std::unique_ptr<Reader>> Reader::OpenForSalvage(std::string_view bytes) {
  auto rep = std::make_unique<Rep>(bytes, ReaderOptions());
  NARTHEX_RETURN_IF_ERROR(rep->ReadHeader());
  if (rep->version == kVersion1) return DataLoss("index: version 1 cannot be salvaged");
  rep->toc.symbols = kHeaderSize;
  NARTHEX_RETURN_IF_ERROR(rep->ReadSymbols());
  rep->toc.series =
      static_cast<uint64_t>(rep->symbol_bytes.data() - bytes.data()) + rep->symbol_bytes.size();
  rep->series_limit = bytes.size();
  return std::unique_ptr<Reader>(new Reader(std::move(rep)));
}

Reader::Numbers Reader::salvage_numbers() const {
  return {(rep_->toc.series + kSeriesAlignment - 1) / kSeriesAlignment,
          rep_->series_limit / kSeriesAlignment + 1};
}

// A section is u32 size, that many bytes, u32 checksum of them.
absl::StatusOr<std::string_view> Reader::Rep::Section(uint64_t offset,
                                                      std::string_view what) const {
  ByteReader reader(bytes);
  std::string_view skipped;
  std::string_view section;
  uint32_t size;
  uint32_t checksum;
  if (offset > bytes.size() || !reader.ReadBytes(static_cast<size_t>(offset), &skipped) ||
      !reader.ReadBig(&size) || !reader.ReadBytes(size, &section) || !reader.ReadBig(&checksum)) {
    return DataLoss("index: ", what, " at ", offset, " go beyond the file");
  }
  if (options.check_sums && Crc32c(section) != checksum) {
    return DataLoss("index: ", what, " at ", offset, ": checksum mismatch");
  }
  return section;
}

absl::Status Reader::Rep::ReadHeader() {
  if (bytes.size() < kHeaderSize) return DataLoss("index: ", bytes.size(), " bytes are too few");
  if (LoadBig<uint32_t>(bytes.data()) != kMagic) return DataLoss("index: wrong magic number");
  version = static_cast<uint8_t>(bytes[4]);
  // Upstream's reader takes a version 3, which it reads as 2, although no release wrote it.
  if (version < kVersion1 || version > 3) return DataLoss("index: unknown version ", version);
  return absl::OkStatus();
}

absl::Status Reader::Rep::ReadContents() {
  NARTHEX_RETURN_IF_ERROR(ReadHeader());
  if (bytes.size() < kHeaderSize + kTocSize) {
    return DataLoss("index: ", bytes.size(), " bytes are too few");
  }
  const std::string_view contents = bytes.substr(bytes.size() - kTocSize);
  const std::string_view numbers = contents.substr(0, kTocSize - kChecksumSize);
  if (options.check_sums &&
      Crc32c(numbers) != LoadBig<uint32_t>(contents.data() + numbers.size())) {
    return DataLoss("index: table of contents: checksum mismatch");
  }
  ByteReader reader(numbers);
  for (uint64_t* number : {&toc.symbols, &toc.series, &toc.label_indices, &toc.label_indices_table,
                           &toc.postings, &toc.postings_table}) {
    if (!reader.ReadBig(number) || *number > bytes.size() - kTocSize) {
      return DataLoss("index: table of contents: ", *number, " is beyond the file");
    }
  }
  series_limit = bytes.size() - kTocSize;
  for (const uint64_t section : {toc.label_indices, toc.postings}) {
    if (section > toc.series) series_limit = std::min(series_limit, section);
  }
  return absl::OkStatus();
}

absl::Status Reader::Rep::ReadTable() {
  NARTHEX_ASSIGN_OR_RETURN(std::string_view section,
                           Section(toc.postings_table, "table of postings"));
  if (section.size() < sizeof(uint32_t)) return DataLoss("index: table of postings: no count");
  table = section.substr(sizeof(uint32_t));
  if (version == kVersion1) NARTHEX_RETURN_IF_ERROR(SortTable());
  NARTHEX_RETURN_IF_ERROR(IndexTable());
  if (!has_all_postings) return DataLoss("index: table of postings: no list of all series");
  return absl::OkStatus();
}

absl::Status Reader::Rep::SortTable() {
  std::vector<TableLine> lines;
  ByteReader reader(table);
  while (!reader.done()) {
    TableLine& line = lines.emplace_back();
    if (!ReadLine(&reader, &line)) return DataLoss("index: table of postings: malformed line");
  }
  std::stable_sort(lines.begin(), lines.end(), ComesBefore);
  std::string sorted;
  for (const TableLine& line : lines) {
    AppendUvarint(&sorted, 2);
    AppendLengthPrefixed(&sorted, line.name);
    AppendLengthPrefixed(&sorted, line.value);
    AppendUvarint(&sorted, line.offset);
  }
  sorted_table = std::move(sorted);
  table = sorted_table;
  return absl::OkStatus();
}

absl::Status Reader::Rep::IndexTable() {
  ByteReader reader(table);
  TableLine before;
  while (!reader.done()) {
    const uint64_t place = reader.offset();
    TableLine line;
    if (!ReadLine(&reader, &line)) {
      return DataLoss("index: table of postings: malformed line at ", place);
    }
    if (place > 0 && !ComesBefore(before, line)) {
      return DataLoss("index: table of postings: line at ", place, " is not in order");
    }
    before = line;
    if (line.name.empty()) {
      if (line.value.empty()) {
        has_all_postings = true;
        all_postings = line.offset;
      }
      continue;
    }
    if (names.empty() || names.back().text != line.name) {
      names.push_back({line.name, 0, places.size()});
    }
    if (names.back().values++ % kTableStride == 0) {
      places.push_back(static_cast<uint32_t>(place));
    }
  }
  return absl::OkStatus();
}

// Version 1 names a symbol by its offset in the file, version 2 by its number.
absl::Status Reader::Rep::ReadSymbols() {
  NARTHEX_ASSIGN_OR_RETURN(const std::string_view section, Section(toc.symbols, "symbols"));
  if (section.size() < sizeof(uint32_t)) return DataLoss("index: symbols: no count");
  symbols = LoadBig<uint32_t>(section.data());
  symbol_bytes = section.substr(sizeof(uint32_t));
  if (symbols > symbol_bytes.size()) {
    return DataLoss("index: ", symbols, " symbols in ", symbol_bytes.size(), " bytes");
  }
  symbol_offsets.reserve(symbols / kSymbolStride + 1);
  const uint64_t symbols_offset = static_cast<uint64_t>(symbol_bytes.data() - bytes.data());
  ByteReader reader(symbol_bytes);
  for (uint32_t i = 0; i < symbols; ++i) {
    const size_t offset = reader.offset();
    if (i % kSymbolStride == 0) symbol_offsets.push_back(static_cast<uint32_t>(offset));
    std::string_view text;
    if (!reader.ReadLengthPrefixed(&text)) return DataLoss("index: symbol ", i, " is malformed");
    NoteName(text, version == kVersion1 ? symbols_offset + offset : i);
  }
  return absl::OkStatus();
}

void Reader::Rep::NoteName(std::string_view text, uint64_t number) {
  const Name* const name = FindName(text);
  if (name != nullptr) name_symbols.emplace(number, static_cast<uint32_t>(name - names.data()));
}

const Reader::Rep::Name* Reader::Rep::FindName(std::string_view name) const {
  const auto found = std::partition_point(names.begin(), names.end(),
                                          [&](const Name& present) { return present.text < name; });
  return found != names.end() && found->text == name ? &*found : nullptr;
}

// The lines were all read once, when the index was opened.
TableLine Reader::Rep::LineAt(uint64_t place) const {
  ByteReader reader(table.substr(static_cast<size_t>(place)));
  TableLine line;
  ReadLine(&reader, &line);
  return line;
}

size_t Reader::Rep::FindPlace(const Name& name, std::string_view value) const {
  const auto begin = places.begin() + static_cast<std::ptrdiff_t>(name.places_begin);
  const auto end =
      begin + static_cast<std::ptrdiff_t>((name.values + kTableStride - 1) / kTableStride);
  const auto found = std::partition_point(
      begin, end, [&](uint32_t place) { return LineAt(place).value <= value; });
  return found == begin ? 0 : static_cast<size_t>(found - begin) - 1;
}

absl::StatusOr<std::string_view> Reader::Symbol(uint64_t number) const {
  std::string_view text;
  if (rep_->version == kVersion1) {
    const uint64_t start = static_cast<uint64_t>(rep_->symbol_bytes.data() - rep_->bytes.data());
    if (number < start || number - start >= rep_->symbol_bytes.size()) {
      return DataLoss("index: no symbol at ", number);
    }
    ByteReader reader(rep_->symbol_bytes.substr(static_cast<size_t>(number - start)));
    if (!reader.ReadLengthPrefixed(&text)) return DataLoss("index: no symbol at ", number);
    return text;
  }
  if (number >= rep_->symbols) return DataLoss("index: there is no symbol ", number);
  ByteReader reader(rep_->symbol_bytes.substr(rep_->symbol_offsets[number / kSymbolStride]));
  for (uint64_t i = 0; i <= number % kSymbolStride; ++i) {
    if (!reader.ReadLengthPrefixed(&text))
      return DataLoss("index: symbol ", number, " is malformed");
  }
  return text;
}

std::vector<std::string_view> Reader::Names() const {
  std::vector<std::string_view> names;
  names.reserve(rep_->names.size());
  for (const Rep::Name& name : rep_->names) names.push_back(name.text);
  return names;
}

size_t Reader::values(std::string_view name) const {
  const Rep::Name* const found = rep_->FindName(name);
  return found == nullptr ? 0 : found->values;
}

absl::Status Reader::VisitValues(std::string_view name, std::string_view prefix,
                                 const VisitValue& visit) const {
  const Rep::Name* const found = rep_->FindName(name);
  if (found == nullptr) return absl::OkStatus();
  const size_t place = prefix.empty() ? 0 : rep_->FindPlace(*found, prefix);
  ByteReader reader(rep_->table.substr(rep_->places[found->places_begin + place]));
  for (size_t i = place * kTableStride; i < found->values; ++i) {
    TableLine line;
    if (!ReadLine(&reader, &line)) return DataLoss("index: table of postings: malformed line");
    if (line.value < prefix) continue;
    if (!prefix.empty() && line.value.substr(0, prefix.size()) != prefix) break;
    if (!visit(line.value, line.offset)) break;
  }
  return absl::OkStatus();
}

absl::StatusOr<PostingsView> Reader::Postings(std::string_view name, std::string_view value) const {
  if (name.empty() && value.empty()) return AllPostings();
  const Rep::Name* const found = rep_->FindName(name);
  if (found == nullptr) return PostingsView();
  const size_t place = rep_->FindPlace(*found, value);
  ByteReader reader(rep_->table.substr(rep_->places[found->places_begin + place]));
  const size_t begin = place * kTableStride;
  for (size_t i = begin; i < std::min(found->values, begin + kTableStride); ++i) {
    TableLine line;
    if (!ReadLine(&reader, &line)) return DataLoss("index: table of postings: malformed line");
    if (line.value == value) return PostingsAt(line.offset);
    if (line.value > value) break;
  }
  return PostingsView();
}

absl::StatusOr<PostingsView> Reader::AllPostings() const { return PostingsAt(rep_->all_postings); }

absl::StatusOr<PostingsView> Reader::PostingsAt(uint64_t offset) const {
  const std::string_view bytes = rep_->bytes;
  const uint64_t header = 2 * sizeof(uint32_t);
  if (offset > bytes.size() || bytes.size() - offset < header + kChecksumSize) {
    return DataLoss("index: postings at ", offset, " are beyond the file");
  }
  const uint32_t size = LoadBig<uint32_t>(bytes.data() + offset);
  const uint32_t count = LoadBig<uint32_t>(bytes.data() + offset + sizeof(uint32_t));
  if (size > bytes.size() - offset - sizeof(uint32_t) - kChecksumSize ||
      size != sizeof(uint32_t) * (uint64_t{count} + 1)) {
    return DataLoss("index: postings at ", offset, ": ", count, " series in ", size, " bytes");
  }
  const PostingsView postings(bytes.data() + offset + header, count);
  if (!rep_->options.check_sums) return postings;
  const bool remember = size >= kListBytesRemembered;
  if (remember) {
    MutexLock lock(&rep_->mu);
    if (rep_->checked_lists.contains(offset)) return postings;
  }
  const std::string_view summed = bytes.substr(static_cast<size_t>(offset) + 4, size);
  if (Crc32c(summed) != LoadBig<uint32_t>(summed.data() + summed.size())) {
    return DataLoss("index: postings at ", offset, ": checksum mismatch");
  }
  if (remember) {
    MutexLock lock(&rep_->mu);
    if (rep_->checked_lists.size() >= kListsRememberedMax) rep_->checked_lists.clear();
    rep_->checked_lists.insert(offset);
  }
  return postings;
}

absl::Status Reader::Rep::SeriesBody(uint64_t series, std::string_view* body) const {
  const uint64_t limit = series_limit;
  if (series > limit) return Malformed(series, "beyond the file");
  const uint64_t offset = version == kVersion1 ? series : series * kSeriesAlignment;
  if (offset < toc.series || offset >= limit) return Malformed(series, "outside of the series");
  ByteReader reader(bytes.substr(static_cast<size_t>(offset), static_cast<size_t>(limit - offset)));
  uint32_t checksum;
  if (!reader.ReadLengthPrefixed(body) || body->empty() || !reader.ReadBig(&checksum)) {
    return Malformed(series, "malformed length");
  }
  if (options.check_sums && Crc32c(*body) != checksum)
    return Malformed(series, "checksum mismatch");
  return absl::OkStatus();
}

absl::Status Reader::Rep::ReadLabelCount(uint64_t series, ByteReader* reader,
                                         uint64_t* count) const {
  if (!reader->ReadUvarint(count) || *count > reader->remaining() / 2) {
    return Malformed(series, "malformed number of labels");
  }
  return absl::OkStatus();
}

absl::Status Reader::Rep::ReadChunks(uint64_t series, ByteReader* reader,
                                     std::vector<ChunkMeta>* chunks) const {
  uint64_t count;
  if (!reader->ReadUvarint(&count) || count > reader->remaining() / 3) {
    return Malformed(series, "malformed number of chunks");
  }
  chunks->resize(static_cast<size_t>(count));
  ChunkMeta before;
  for (size_t i = 0; i < chunks->size(); ++i) {
    ChunkMeta& chunk = (*chunks)[i];
    uint64_t gap = 0;
    uint64_t duration;
    int64_t step = 0;
    const bool whole = i == 0 ? reader->ReadVarint(&chunk.min_time) &&
                                    reader->ReadUvarint(&duration) &&
                                    reader->ReadUvarint(&chunk.reference)
                              : reader->ReadUvarint(&gap) && reader->ReadUvarint(&duration) &&
                                    reader->ReadVarint(&step);
    if (!whole) return Malformed(series, "malformed chunk");
    if (i > 0) {
      chunk.min_time = static_cast<Timestamp>(static_cast<uint64_t>(before.max_time) + gap);
      chunk.reference = before.reference + static_cast<uint64_t>(step);
    }
    chunk.max_time = static_cast<Timestamp>(static_cast<uint64_t>(chunk.min_time) + duration);
    if (chunk.max_time < chunk.min_time) {
      return Malformed(series, "a chunk that ends before it begins");
    }
    before = chunk;
  }
  const auto earlier = [](const ChunkMeta& a, const ChunkMeta& b) {
    return a.min_time < b.min_time;
  };
  if (!std::is_sorted(chunks->begin(), chunks->end(), earlier)) {
    std::stable_sort(chunks->begin(), chunks->end(), earlier);
  }
  return absl::OkStatus();
}

absl::Status Reader::ReadSeriesSymbols(uint64_t series, std::vector<SymbolPair>* labels) const {
  std::string_view body;
  NARTHEX_RETURN_IF_ERROR(rep_->SeriesBody(series, &body));
  ByteReader reader(body);
  uint64_t count;
  NARTHEX_RETURN_IF_ERROR(rep_->ReadLabelCount(series, &reader, &count));
  labels->resize(static_cast<size_t>(count));
  for (SymbolPair& label : *labels) {
    if (!reader.ReadUvarint(&label.first) || !reader.ReadUvarint(&label.second)) {
      return rep_->Malformed(series, "malformed label");
    }
  }
  return absl::OkStatus();
}

absl::Status Reader::ReadSeries(uint64_t series, std::vector<LabelView>* labels,
                                std::vector<ChunkMeta>* chunks) const {
  std::string_view body;
  NARTHEX_RETURN_IF_ERROR(rep_->SeriesBody(series, &body));
  ByteReader reader(body);
  uint64_t count;
  NARTHEX_RETURN_IF_ERROR(rep_->ReadLabelCount(series, &reader, &count));
  if (labels != nullptr) labels->resize(static_cast<size_t>(count));
  for (size_t i = 0; i < count; ++i) {
    uint64_t name;
    uint64_t value;
    if (!reader.ReadUvarint(&name) || !reader.ReadUvarint(&value)) {
      return rep_->Malformed(series, "malformed label");
    }
    if (labels == nullptr) continue;
    NARTHEX_ASSIGN_OR_RETURN((*labels)[i].name, Symbol(name));
    NARTHEX_ASSIGN_OR_RETURN((*labels)[i].value, Symbol(value));
  }
  return chunks == nullptr ? absl::OkStatus() : rep_->ReadChunks(series, &reader, chunks);
}

absl::StatusOr<std::string_view> Reader::LabelValue(uint64_t series, std::string_view name) const {
  const Rep::Name* const wanted = rep_->FindName(name);
  if (wanted == nullptr) return std::string_view();
  const uint32_t place = static_cast<uint32_t>(wanted - rep_->names.data());
  std::string_view body;
  NARTHEX_RETURN_IF_ERROR(rep_->SeriesBody(series, &body));
  ByteReader reader(body);
  uint64_t count;
  NARTHEX_RETURN_IF_ERROR(rep_->ReadLabelCount(series, &reader, &count));
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t name_symbol;
    uint64_t value_symbol;
    if (!reader.ReadUvarint(&name_symbol) || !reader.ReadUvarint(&value_symbol)) {
      return rep_->Malformed(series, "malformed label");
    }
    const auto found = rep_->name_symbols.find(name_symbol);
    if (found != rep_->name_symbols.end() && found->second == place) return Symbol(value_symbol);
  }
  return std::string_view();
}

}  // namespace narthex::index
