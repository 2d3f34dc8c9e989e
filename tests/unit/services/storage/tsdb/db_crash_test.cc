// Compactions, deletes, retention and snapshots, interrupted at each operation of the disk.

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/model/stale.h"
#include "services/storage/tsdb/compaction_plan.h"
#include "services/storage/tsdb/db_reader.h"
#include "tests/unit/services/storage/tsdb/db_fixture.h"

namespace narthex::tsdb {
namespace {

constexpr int64_t kMinute = 60'000;
constexpr int64_t kHour = 60 * kMinute;
const Timestamp kBegin = AlignDown(kStart, 2 * kHour);

Labels Series(int i) { return Labels({{kMetricName, "m"}, {"i", StrCat(i)}}); }

enum class End { kProcessCrash, kPowerLoss };

DbOptions Options() {
  DbOptions options;
  options.settings.out_of_order_window = absl::Hours(24);
  options.block_range_max_ms = 6 * kHour;
  return options;
}

struct Fixture : DbFixture {
  Fixture() : DbFixture(Options()) {}

  void Add(int series, Timestamp timestamp, double value) {
    const absl::Duration ahead = FromTimestamp(timestamp) - clock.Now();
    if (ahead > absl::ZeroDuration()) clock.Advance(ahead);
    REQUIRE(Append(Series(series), timestamp, value) == storage::Refusal::kNone);
  }
  void Fill(Timestamp from, Timestamp to) {
    for (Timestamp t = from; t <= to; t += 20 * kMinute) {
      for (int i = 0; i < 2; ++i) Add(i, t, static_cast<double>(t % 1000) + i);
    }
  }
};

// Writes the head into blocks up to `until`, and stops before they are merged.
void CompactHeadOnly(Fixture* f, Timestamp until) {
  const absl::Status status = f->db->Compact(
      [&] { return f->db->head().min_time() >= until ? Cancelled("enough") : absl::OkStatus(); });
  REQUIRE(absl::IsCancelled(status));
  REQUIRE(f->db->head().min_time() >= until);
}

// Runs `work` once to count its operations on the disk, then once more for each of them, on a
// database that `prepare` has filled, with the disk failing from that operation on. After the end
// of the process or the power the database must open, and `check` must hold; and once more after
// the same work is done again.
void InterruptEverywhere(const std::function<void(Fixture*)>& prepare,
                         const std::function<absl::Status(Fixture*)>& work,
                         const std::function<void(Fixture*, bool done)>& check) {
  const End end = GENERATE(End::kProcessCrash, End::kPowerLoss);
  const bool partial = end == End::kPowerLoss;
  uint64_t first = 0;
  uint64_t count = 0;
  {
    Fixture f;
    f.Open();
    prepare(&f);
    REQUIRE(f.db->Sync().ok());
    first = f.fs.operations();
    REQUIRE(work(&f).ok());
    count = f.fs.operations() - first;
  }
  INFO("operations " << count);
  REQUIRE(count > 3);
  for (uint64_t i = 1; i <= count; ++i) {
    INFO("power loss " << (end == End::kPowerLoss) << ", operation " << i << " of " << count);
    Fixture f;
    f.Open();
    prepare(&f);
    REQUIRE(f.db->Sync().ok());
    f.fs.FailFrom(f.fs.operations() + i, Internal("the disk is dead"), partial);
    const bool done = work(&f).ok();
    if (end == End::kPowerLoss) {
      f.fs.PowerLoss();
    } else {
      f.fs.ProcessCrash();
    }
    f.fs.FailFrom(0, absl::OkStatus());
    f.db.reset();
    f.Open();
    check(&f, done);
    const absl::Status again = work(&f);
    INFO(again.ToString());
    REQUIRE(again.ok());
    check(&f, true);
    const std::vector<std::string> names = *f.fs.List(kDbPath);
    for (const std::string& name : names) {
      CHECK(name.find(".tmp-for-") == std::string::npos);
    }
  }
}

TEST_CASE("An interrupted compaction of the head loses nothing and doubles nothing") {
  SeriesMap expected;
  InterruptEverywhere(
      [&](Fixture* f) {
        f->Fill(kBegin, kBegin + 3 * kHour + 20 * kMinute);
        expected = f->SelectAll();
        REQUIRE(expected.size() == 2);
      },
      [](Fixture* f) { return f->db->Compact(); },
      [&](Fixture* f, bool) { CHECK(f->SelectAll() == expected); });
}

TEST_CASE("An interrupted early compaction of stale series loses nothing and doubles nothing") {
  const auto values = [](Fixture* f) {
    SeriesMap all = f->SelectAll();
    for (auto& [labels, samples] : all) {
      std::erase_if(samples, [](const auto& sample) { return IsStale(sample.second); });
    }
    return all;
  };
  SeriesMap expected;
  InterruptEverywhere(
      [&](Fixture* f) {
        f->Fill(kBegin, kBegin + 2 * kHour + 40 * kMinute);
        f->Add(1, kBegin + 2 * kHour + 41 * kMinute, StaleNan());
        expected = values(f);
        REQUIRE(expected.size() == 2);
      },
      [](Fixture* f) {
        DbSettings settings = f->db->settings();
        settings.stale_series_threshold = 0.5;
        f->db->Apply(settings);
        const absl::Status status = f->db->Compact();
        // Once it is done the series is in blocks alone.
        if (status.ok()) CHECK(f->db->head().table().size() == 1);
        return status;
      },
      [&](Fixture* f, bool) { CHECK(values(f) == expected); });
}

TEST_CASE("An interrupted compaction of late samples loses nothing and doubles nothing") {
  SeriesMap expected;
  InterruptEverywhere(
      [&](Fixture* f) {
        f->Fill(kBegin, kBegin + 3 * kHour + 20 * kMinute);
        f->Add(0, kBegin + 1, 1);
        f->Add(1, kBegin + 2 * kHour + 1, 2);
        expected = f->SelectAll();
        REQUIRE(expected[Series(0)].size() == 12);
      },
      [](Fixture* f) { return f->db->Compact(); },
      [&](Fixture* f, bool) { CHECK(f->SelectAll() == expected); });
}

TEST_CASE("An interrupted merge of blocks loses nothing and doubles nothing") {
  SeriesMap expected;
  InterruptEverywhere(
      [&](Fixture* f) {
        f->Fill(kBegin, kBegin + 11 * kHour);
        expected = f->SelectAll();
        CompactHeadOnly(f, kBegin + 8 * kHour);
        REQUIRE(f->db->blocks()->size() >= 4);
        REQUIRE(f->SelectAll() == expected);
      },
      [](Fixture* f) { return f->db->Compact(); },
      [&](Fixture* f, bool) { CHECK(f->SelectAll() == expected); });
}

TEST_CASE(
    "An interrupted delete is there or not, series by series, and whole once it is acknowledged") {
  SeriesMap before;
  SeriesMap after;
  InterruptEverywhere(
      [&](Fixture* f) {
        f->Fill(kBegin, kBegin + 3 * kHour + 20 * kMinute);
        REQUIRE(f->db->Compact().ok());
        REQUIRE(f->db->blocks()->size() == 1);
        before = f->SelectAll();
        after = before;
        for (auto& [labels, samples] : after) {
          std::erase_if(samples, [](const auto& sample) {
            return sample.first >= kBegin + kHour && sample.first <= kBegin + 3 * kHour;
          });
        }
      },
      [](Fixture* f) { return f->db->Delete({}, kBegin + kHour, kBegin + 3 * kHour); },
      [&](Fixture* f, bool done) {
        const SeriesMap found = f->SelectAll();
        if (done) {
          CHECK(found == after);
          return;
        }
        REQUIRE(found.size() == 2);
        for (const auto& [labels, samples] : found) {
          // Nothing that was not to be deleted is missing, and nothing is there that never was.
          for (const auto& sample : after[labels]) {
            CHECK(std::find(samples.begin(), samples.end(), sample) != samples.end());
          }
          for (const auto& sample : samples) {
            const auto& all = before[labels];
            CHECK(std::find(all.begin(), all.end(), sample) != all.end());
          }
        }
      });
}

TEST_CASE("An interrupted clean-up of deletes brings nothing back") {
  SeriesMap expected;
  InterruptEverywhere(
      [&](Fixture* f) {
        f->Fill(kBegin, kBegin + 5 * kHour + 20 * kMinute);
        REQUIRE(f->db->Compact().ok());
        REQUIRE(f->db->blocks()->size() == 2);
        // Of one block everything, of the other a part.
        REQUIRE(f->db->Delete({}, kBegin, kBegin + 3 * kHour).ok());
        expected = f->SelectAll();
      },
      [](Fixture* f) { return f->db->CleanTombstones(); },
      [&](Fixture* f, bool) { CHECK(f->SelectAll() == expected); });
}

TEST_CASE("An interrupted retention deletes whole blocks or none") {
  SeriesMap before;
  SeriesMap after;
  const std::function<void(Fixture*)> shorten = [](Fixture* f) {
    DbSettings settings = f->db->settings();
    settings.retention_time = absl::Hours(3);
    f->db->Apply(settings);
  };
  InterruptEverywhere(
      [&](Fixture* f) {
        f->Fill(kBegin, kBegin + 7 * kHour + 20 * kMinute);
        CompactHeadOnly(f, kBegin + 6 * kHour);
        REQUIRE(f->db->blocks()->size() >= 2);
        before = f->SelectAll();
      },
      [&](Fixture* f) {
        shorten(f);
        return f->db->ReloadBlocks();
      },
      [&](Fixture* f, bool done) {
        const SeriesMap found = f->SelectAll();
        if (done) {
          CHECK(found.at(Series(0)).size() < before.at(Series(0)).size());
        }
        // What is left is the newest part of it, without a gap.
        for (const auto& [labels, samples] : found) {
          const auto& all = before.at(labels);
          REQUIRE(samples.size() <= all.size());
          CHECK(std::equal(samples.rbegin(), samples.rend(), all.rbegin()));
        }
      });
}

TEST_CASE("An interrupted snapshot leaves the database as it was, and no half of itself") {
  SeriesMap expected;
  int number = 0;
  InterruptEverywhere(
      [&](Fixture* f) {
        f->Fill(kBegin, kBegin + 3 * kHour + 20 * kMinute);
        REQUIRE(f->db->Compact().ok());
        f->Add(0, kBegin + 3 * kHour + 1, 3);
        expected = f->SelectAll();
      },
      [&](Fixture* f) { return f->db->Snapshot(StrCat("s", ++number), true).status(); },
      [&](Fixture* f, bool done) {
        CHECK(f->SelectAll() == expected);
        const std::string parent = StrCat(kDbPath, "/snapshots");
        if (!f->fs.Exists(parent)) {
          CHECK(!done);
          return;
        }
        const std::vector<std::string> names = *f->fs.List(parent);
        CHECK((!done || !names.empty()));
        for (const std::string& name : names) {
          DbOptions options;
          options.path = StrCat(parent, "/", name);
          auto copy = *Db::Open(options, &f->fs, &f->clock, Logger::ToLines(&f->log_lines));
          REQUIRE(copy->Replay([] { return false; }).ok());
          DbQuerier querier(copy.get(), &f->clock);
          const storage::Selector all = DbFixture::Selector({}, kMinTimestamp, kMaxTimestamp);
          auto result = *querier.Select(std::span(&all, 1), {});
          SeriesMap found;
          while (result.sets[0]->Next()) {
            SampleBuffer samples;
            REQUIRE(result.sets[0]->ReadSamples(&samples).ok());
            for (size_t i = 0; i < samples.size(); ++i) {
              found[result.sets[0]->labels()].emplace_back(samples.timestamps()[i],
                                                           samples.values()[i]);
            }
          }
          CHECK(found == expected);
        }
      });
}

}  // namespace
}  // namespace narthex::tsdb
