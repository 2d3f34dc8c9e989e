// Weak definitions of what the head is about to offer, so that what builds on it links; the real
// ones take their place.

#include "lib/base/strings.h"
#include "services/storage/tsdb/head.h"

namespace narthex::tsdb {
namespace {

class EmptySource : public ChunkSeriesSource {
 public:
  absl::StatusOr<bool> Next() override {
    return absl::UnimplementedError("the head has no source");
  }
  std::span<const LabelView> labels() const override { return {}; }
  std::span<const storage::SelectChunk> chunks() const override { return {}; }
  std::span<const storage::DeletedInterval> deleted() const override { return {}; }
};

}  // namespace

__attribute__((weak)) absl::StatusOr<size_t> Head::Delete(std::span<const Matcher>, Timestamp,
                                                          Timestamp) {
  return absl::UnimplementedError("the head cannot delete yet");
}
__attribute__((weak)) std::unique_ptr<ChunkSeriesSource> Head::Source(Timestamp, Timestamp) const {
  return std::make_unique<EmptySource>();
}
__attribute__((weak)) absl::StatusOr<Head::TruncateResult> Head::TruncateBefore(
    Timestamp, const std::function<bool(Slot)>&) {
  return absl::UnimplementedError("the head cannot be truncated yet");
}
__attribute__((weak)) bool Head::KeepsReference(uint64_t, uint64_t) const { return true; }
__attribute__((weak)) void Head::ForgetRemoved(uint64_t) {}

}  // namespace narthex::tsdb
