// Any bytes as the index of a block: with and without its checksums (a fuzzer does not find those),
// and as one to salvage from. The reader stays within the bytes; whatever a selection gives, the
// lists and series it came from can be asked for.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/check.h"
#include "lib/labels/matcher.h"
#include "services/storage/tsdb/index/reader.h"
#include "services/storage/tsdb/index/select.h"

namespace narthex::index {
namespace {

constexpr size_t kSeriesMax = 1000;

void ReadAll(const Reader& reader) {
  std::vector<LabelView> labels;
  std::vector<ChunkMeta> chunks;
  const auto all = reader.AllPostings();
  if (!all.ok()) return;
  for (size_t i = 0; i < all->size() && i < kSeriesMax; ++i) {
    if (!reader.ReadSeries((*all)[i], &labels, &chunks).ok()) continue;
    for (size_t k = 0; k < chunks.size(); ++k) {
      NARTHEX_CHECK(chunks[k].min_time <= chunks[k].max_time);
      NARTHEX_CHECK(k == 0 || chunks[k].min_time >= chunks[k - 1].min_time);
    }
    for (const LabelView& label : labels) {
      NARTHEX_CHECK(reader.LabelValue((*all)[i], label.name).ok());
    }
  }
}

void SelectAll(const Reader& reader) {
  PostingsCache cache(size_t{1} << 16);
  std::vector<Matcher> every;
  for (const std::string_view name : reader.Names()) {
    // To compile expressions is most of the work, so only few names have some.
    if (every.size() == 2) break;
    const std::vector<Matcher> matchers = {Matcher::Equal(name, "a")};
    const auto regex = Matcher::Create(MatchType::kRegex, name, "a.*|.+b");
    const auto not_regex = Matcher::Create(MatchType::kNotRegex, name, "a.*");
    NARTHEX_CHECK(regex.ok() && not_regex.ok());
    for (const Matcher& matcher : {matchers[0], *regex, *not_regex}) {
      const auto selected = Select(reader, std::vector<Matcher>{matcher}, &cache);
      const auto again = Select(reader, std::vector<Matcher>{matcher}, nullptr);
      NARTHEX_CHECK(selected.ok() == again.ok());
      if (selected.ok()) NARTHEX_CHECK(*selected == *again);
    }
    every.push_back(*not_regex);
    size_t values = 0;
    const absl::Status visited =
        reader.VisitValues(name, "", [&values](std::string_view value, uint64_t) {
          NARTHEX_CHECK(value.data() != nullptr || value.empty());
          ++values;
          return true;
        });
    NARTHEX_CHECK(visited.ok() && values == reader.values(name));
  }
  Select(reader, every, &cache).status().IgnoreError();
}

}  // namespace
}  // namespace narthex::index

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using narthex::index::Reader;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const bool check_sums : {true, false}) {
    const auto reader = Reader::Open(bytes, {.check_sums = check_sums});
    if (!reader.ok()) continue;
    narthex::index::ReadAll(**reader);
    narthex::index::SelectAll(**reader);
  }
  const auto salvage = Reader::OpenForSalvage(bytes);
  if (salvage.ok()) {
    std::vector<narthex::LabelView> labels;
    std::vector<narthex::index::ChunkMeta> chunks;
    const Reader::Numbers numbers = (*salvage)->salvage_numbers();
    for (uint64_t number = numbers.first; number < numbers.end; ++number) {
      (*salvage)->ReadSeries(number, &labels, &chunks).IgnoreError();
    }
  }
  return 0;
}
