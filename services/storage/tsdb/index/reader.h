#ifndef NARTHEX_SERVICES_STORAGE_TSDB_INDEX_READER_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_INDEX_READER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/coding.h"
#include "lib/labels/labels.h"
#include "services/storage/tsdb/index/format.h"

namespace narthex::index {

// A postings list as it lies in the file: series numbers, ascending. Valid as long as the reader.
class PostingsView {
 public:
  PostingsView() = default;
  PostingsView(const char* data, size_t size) : data_(data), size_(size) {}
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // REQUIRES: i < size().
  uint32_t operator[](size_t i) const { return LoadBig<uint32_t>(data_ + 4 * i); }

 private:
  const char* data_ = nullptr;
  size_t size_ = 0;
};

struct ReaderOptions {
  // Off only where damage is looked for behind the checksums (fuzzing, repair).
  bool check_sums = true;
};

// Reads an index of version 1 or 2 from its mapped bytes. In memory are one offset for each eight
// symbols and for each 32 label pairs; everything else is read in place. Opening checks the table
// of contents, the symbols and the table of postings; series and postings are checked when they are
// read. What is damaged is DataLoss with its offset. Views point into the bytes.
//
// Immutable after opening (but for the memory of which long lists were checked, which synchronises
// itself): all methods may be called from any thread.
class Reader {
 public:
  // `bytes` is the whole file and must outlive the reader.
  static absl::StatusOr<std::unique_ptr<Reader>> Open(std::string_view bytes,
                                                      ReaderOptions options = {});
  // For repair, where the index is damaged behind its symbols: needs only those (else DataLoss) and
  // version 2. There are no postings then; series are found by trying every number of
  // salvage_numbers(): the checksum tells where one is.
  static absl::StatusOr<std::unique_ptr<Reader>> OpenForSalvage(std::string_view bytes);
  struct Numbers {
    uint64_t first = 0;
    uint64_t end = 0;
  };
  Numbers salvage_numbers() const;
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  uint8_t version() const;

  uint32_t symbols() const;
  // REQUIRES: in version 2, number < symbols(). (In version 1 symbols are named by offset.)
  absl::StatusOr<std::string_view> Symbol(uint64_t number) const;

  // Label names with series, sorted.
  std::vector<std::string_view> Names() const;
  size_t values(std::string_view name) const;  // How many values a name has.
  // Calls `visit(value, offset of its postings)` for the values of `name` that begin with `prefix`,
  // in order, until it returns false.
  using VisitValue = std::function<bool(std::string_view value, uint64_t offset)>;
  absl::Status VisitValues(std::string_view name, std::string_view prefix,
                           const VisitValue& visit) const;
  // Empty when there is no such pair.
  absl::StatusOr<PostingsView> Postings(std::string_view name, std::string_view value) const;
  absl::StatusOr<PostingsView> PostingsAt(uint64_t offset) const;
  absl::StatusOr<PostingsView> AllPostings() const;

  // Either pointer may be null; both are overwritten. Chunks come by their min_time; some versions
  // of other programs wrote such that overlap, so that must be reckoned with.
  absl::Status ReadSeries(uint64_t series, std::vector<LabelView>* labels,
                          std::vector<ChunkMeta>* chunks) const;
  // Labels as pairs of symbol numbers.
  using SymbolPair = std::pair<uint64_t, uint64_t>;
  absl::Status ReadSeriesSymbols(uint64_t series, std::vector<SymbolPair>* labels) const;
  // The value of `name` in a series: "" when it has none.
  absl::StatusOr<std::string_view> LabelValue(uint64_t series, std::string_view name) const;

 private:
  struct Rep;
  explicit Reader(std::unique_ptr<Rep> rep);
  const std::unique_ptr<Rep> rep_;
};

}  // namespace narthex::index

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_INDEX_READER_H_
