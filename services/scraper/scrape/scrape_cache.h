#ifndef NARTHEX_SERVICES_SCRAPER_SCRAPE_SCRAPE_CACHE_H_
#define NARTHEX_SERVICES_SCRAPER_SCRAPE_SCRAPE_CACHE_H_

#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "lib/labels/labels.h"
#include "lib/storage/append_batch.h"

namespace narthex::scrape {

// What one target exposed last: raw text of a series → the series' number, so that a known line
// costs neither labels nor relabelling. Targets write their lines in the same order every time; the
// cache remembers which text followed which, and a line that follows as before costs one memcmp and
// no hash. It also knows which series are live, that is, to be ended with a staleness marker when
// they disappear.
//
// A scrape is a round: Begin(), then Find() for each line (AddDropped() or AddSeries() where it
// says kUnknown, Mark() for each sample), then Commit() or Abort(); both name the series that went
// stale. Retired() then says which numbers no later batch uses.
//
// Owned by a ScrapeLoop. Thread safety: none.
class ScrapeCache {
 public:
  using TextId = uint32_t;
  static constexpr TextId kNone = std::numeric_limits<uint32_t>::max();
  using SeriesId = uint32_t;
  enum class Known : uint8_t { kUnknown, kDropped, kSeries };
  struct Found {
    Known known = Known::kUnknown;
    SeriesId series = 0;  // With kSeries.
  };
  using StaleVisitor = std::function<void(storage::SeriesNumber)>;

  ScrapeCache();
  ScrapeCache(const ScrapeCache&) = delete;
  ScrapeCache& operator=(const ScrapeCache&) = delete;

  void Begin();
  // Looks the text of the next line up and remembers its place.
  Found Find(std::string_view text) {
    const TextId expected = after_ == kNone ? first_ : texts_[after_].next;
    if (expected != kNone && texts_[expected].Is(text)) [[likely]] {
      return Reach(expected);
    }
    return FindByHash(text);
  }
  // REQUIRES: the last Find() of this text said kUnknown.
  void AddDropped(std::string_view text);
  // The series of these labels, if some other text (or the time before Forget()) made it.
  std::optional<SeriesId> FindSeries(const Labels& labels) const;
  // REQUIRES: FindSeries(labels) is nothing; `number` is new.
  SeriesId NewSeries(const Labels& labels, storage::SeriesNumber number);
  void AddSeries(std::string_view text, SeriesId series);

  // A sample of the series in this round; `track`: it is live from now on, and stale when a later
  // round has none. False when this round has one already.
  bool Mark(SeriesId id, bool track) {
    Series& series = series_[id];
    const bool first = series.seen != round_;
    series.seen = round_;
    if (track && series.tracked != round_) {
      series.tracked = round_;
      if (series.live) {
        ++live_tracked_;
      } else {
        newly_live_.push_back(id);
      }
    }
    return first;
  }
  storage::SeriesNumber number(SeriesId id) const { return series_[id].number; }
  const Labels& labels(SeriesId id) const { return series_[id].labels; }

  // The scrape is good: visits live series that it did not track, and forgets texts that it did not
  // have.
  void Commit(const StaleVisitor& stale);
  // It failed: visits all live series. Texts stay, unless failing scrapes have doubled their
  // number. True when that forced a flush.
  bool Abort(const StaleVisitor& stale);
  // Texts mean other series from now on (relabelling has changed); the series stay, and go stale if
  // the next round lacks them.
  void Forget();
  // The numbers of series that are gone since the last call, for BatchSink::RetireSeries().
  std::vector<storage::SeriesNumber> TakeRetired() { return std::exchange(retired_, {}); }
  // All numbers in use; the cache is empty afterwards.
  std::vector<storage::SeriesNumber> Clear();

  size_t texts() const { return by_text_.size(); }
  size_t series() const { return by_labels_.size(); }
  size_t live() const { return live_; }

 private:
  static constexpr SeriesId kDroppedSeries = std::numeric_limits<uint32_t>::max();

  struct Text {
    std::unique_ptr<char[]> bytes;  // Null: a free slot.
    uint32_t size = 0;
    SeriesId series = kDroppedSeries;
    uint32_t seen = 0;    // Round.
    TextId next = kNone;  // What followed it last time.
    std::string_view view() const { return {bytes.get(), size}; }
    bool Is(std::string_view text) const {
      return size == text.size() && bytes != nullptr &&
             std::memcmp(bytes.get(), text.data(), size) == 0;
    }
  };
  struct Series {
    storage::SeriesNumber number = 0;  // 0: a free slot.
    Labels labels;
    uint32_t texts = 0;  // That mean it.
    uint32_t seen = 0;   // Rounds.
    uint32_t tracked = 0;
    bool live = false;
  };
  // Sets of ids that are looked up by what the ids stand for.
  struct TextHash {
    using is_transparent = void;
    const ScrapeCache* cache;
    size_t operator()(std::string_view text) const;
    size_t operator()(TextId id) const { return (*this)(cache->texts_[id].view()); }
  };
  struct TextEqual {
    using is_transparent = void;
    const ScrapeCache* cache;
    bool operator()(TextId a, TextId b) const { return a == b; }
    bool operator()(TextId a, std::string_view b) const { return cache->texts_[a].Is(b); }
    bool operator()(std::string_view a, TextId b) const { return cache->texts_[b].Is(a); }
  };
  struct SeriesHash {
    using is_transparent = void;
    const ScrapeCache* cache;
    size_t operator()(const Labels& labels) const { return static_cast<size_t>(labels.hash()); }
    size_t operator()(SeriesId id) const { return (*this)(cache->series_[id].labels); }
  };
  struct SeriesEqual {
    using is_transparent = void;
    const ScrapeCache* cache;
    bool operator()(SeriesId a, SeriesId b) const { return a == b; }
    bool operator()(SeriesId a, const Labels& b) const { return cache->series_[a].labels == b; }
    bool operator()(const Labels& a, SeriesId b) const { return cache->series_[b].labels == a; }
  };

  Found Reach(TextId id) {
    Text& text = texts_[id];
    if (text.seen != round_) {
      text.seen = round_;
      ++texts_seen_;
    }
    after_ = id;
    if (text.series == kDroppedSeries) return {Known::kDropped, 0};
    return {Known::kSeries, text.series};
  }
  Found FindByHash(std::string_view text);
  void Link(TextId id);
  void AddText(std::string_view text, SeriesId series);
  void FlushTexts();
  void DropSeriesIfUnused(SeriesId id);

  uint32_t round_ = 0;
  std::vector<Text> texts_;
  std::vector<TextId> free_texts_;
  std::vector<Series> series_;
  std::vector<SeriesId> free_series_;
  absl::flat_hash_set<TextId, TextHash, TextEqual> by_text_;
  absl::flat_hash_set<SeriesId, SeriesHash, SeriesEqual> by_labels_;
  std::vector<storage::SeriesNumber> retired_;

  size_t live_ = 0;
  size_t texts_good_ = 0;  // After the last good scrape.
  bool orphans_ = false;   // Series may be without a text (since Forget()).

  // This round.
  TextId first_ = kNone;  // The text that came first last time.
  TextId after_ = kNone;  // The text that Find() reached last.
  size_t texts_seen_ = 0;
  size_t live_tracked_ = 0;
  std::vector<SeriesId> newly_live_;
};

}  // namespace narthex::scrape

#endif  // NARTHEX_SERVICES_SCRAPER_SCRAPE_SCRAPE_CACHE_H_
