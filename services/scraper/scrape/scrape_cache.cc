#include "services/scraper/scrape/scrape_cache.h"

#include "lib/base/check.h"
#include "lib/base/hash.h"

namespace narthex::scrape {
namespace {

// Upstream's bound on what failing scrapes may add before the texts are flushed anyway.
constexpr size_t kFailingTextsMax = 1000;

}  // namespace

size_t ScrapeCache::TextHash::operator()(std::string_view text) const {
  return static_cast<size_t>(FastHash(text));
}

ScrapeCache::ScrapeCache()
    : by_text_(0, TextHash{this}, TextEqual{this}),
      by_labels_(0, SeriesHash{this}, SeriesEqual{this}) {}

void ScrapeCache::Begin() {
  ++round_;
  after_ = kNone;
  texts_seen_ = 0;
  live_tracked_ = 0;
  newly_live_.clear();
}

ScrapeCache::Found ScrapeCache::FindByHash(std::string_view text) {
  const auto it = by_text_.find(text);
  if (it == by_text_.end()) return {};
  Link(*it);
  return Reach(*it);
}

// `id` follows the text reached last, also next time.
void ScrapeCache::Link(TextId id) { (after_ == kNone ? first_ : texts_[after_].next) = id; }

void ScrapeCache::AddText(std::string_view text, SeriesId series) {
  TextId id;
  if (free_texts_.empty()) {
    id = static_cast<TextId>(texts_.size());
    texts_.emplace_back();
  } else {
    id = free_texts_.back();
    free_texts_.pop_back();
  }
  Text& added = texts_[id];
  added.bytes = std::make_unique<char[]>(text.size());
  std::memcpy(added.bytes.get(), text.data(), text.size());
  added.size = static_cast<uint32_t>(text.size());
  added.series = series;
  added.seen = round_ - 1;
  added.next = kNone;
  NARTHEX_CHECK(by_text_.insert(id).second);
  // What stood at this place before comes next, if it is still there.
  const TextId expected = after_ == kNone ? first_ : texts_[after_].next;
  added.next = expected;
  Link(id);
  Reach(id);
}

void ScrapeCache::AddDropped(std::string_view text) { AddText(text, kDroppedSeries); }

std::optional<ScrapeCache::SeriesId> ScrapeCache::FindSeries(const Labels& labels) const {
  const auto it = by_labels_.find(labels);
  if (it == by_labels_.end()) return std::nullopt;
  return *it;
}

ScrapeCache::SeriesId ScrapeCache::NewSeries(const Labels& labels, storage::SeriesNumber number) {
  SeriesId id;
  if (free_series_.empty()) {
    id = static_cast<SeriesId>(series_.size());
    series_.emplace_back();
  } else {
    id = free_series_.back();
    free_series_.pop_back();
  }
  Series& series = series_[id];
  series = Series();
  series.number = number;
  series.labels = labels;
  series.seen = series.tracked = round_ - 1;
  NARTHEX_CHECK(by_labels_.insert(id).second);
  return id;
}

void ScrapeCache::AddSeries(std::string_view text, SeriesId series) {
  ++series_[series].texts;
  AddText(text, series);
}

void ScrapeCache::Commit(const StaleVisitor& stale) {
  if (live_tracked_ != live_) {
    for (Series& series : series_) {
      if (!series.live || series.tracked == round_) continue;
      series.live = false;
      --live_;
      stale(series.number);
    }
  }
  for (const SeriesId id : newly_live_) series_[id].live = true;
  live_ += newly_live_.size();
  if (texts_seen_ != by_text_.size()) FlushTexts();
  if (orphans_) {
    for (SeriesId id = 0; id < series_.size(); ++id) {
      if (series_[id].number != 0) DropSeriesIfUnused(id);
    }
    orphans_ = false;
  }
  texts_good_ = by_text_.size();
}

bool ScrapeCache::Abort(const StaleVisitor& stale) {
  if (live_ > 0) {
    for (Series& series : series_) {
      if (!series.live) continue;
      series.live = false;
      stale(series.number);
    }
    live_ = 0;
  }
  if (by_text_.size() <= texts_good_ * 2 + kFailingTextsMax) return false;
  FlushTexts();
  return true;
}

void ScrapeCache::Forget() {
  texts_.clear();
  free_texts_.clear();
  by_text_.clear();
  first_ = kNone;
  after_ = kNone;
  for (Series& series : series_) series.texts = 0;
  orphans_ = true;
}

std::vector<storage::SeriesNumber> ScrapeCache::Clear() {
  Forget();
  std::vector<storage::SeriesNumber> numbers = TakeRetired();
  for (const Series& series : series_) {
    if (series.number != 0) numbers.push_back(series.number);
  }
  by_labels_.clear();
  series_.clear();
  free_series_.clear();
  live_ = 0;
  texts_good_ = 0;
  return numbers;
}

// Forgets the texts that this round did not have.
void ScrapeCache::FlushTexts() {
  for (TextId id = 0; id < texts_.size(); ++id) {
    Text& text = texts_[id];
    if (text.bytes == nullptr || text.seen == round_) continue;
    by_text_.erase(id);
    if (text.series != kDroppedSeries) {
      --series_[text.series].texts;
      DropSeriesIfUnused(text.series);
    }
    text = Text();
    free_texts_.push_back(id);
  }
}

void ScrapeCache::DropSeriesIfUnused(SeriesId id) {
  Series& series = series_[id];
  if (series.texts > 0 || series.live) return;
  retired_.push_back(series.number);
  by_labels_.erase(id);
  series = Series();
  free_series_.push_back(id);
}

}  // namespace narthex::scrape
