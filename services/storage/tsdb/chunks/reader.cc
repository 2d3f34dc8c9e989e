#include "services/storage/tsdb/chunks/reader.h"

#include <algorithm>

#include "lib/base/coding.h"
#include "lib/base/crc32c.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

// The layout is in writer.cc and format.md.
namespace narthex::chunks {
namespace {

constexpr uint64_t kSegmentsMax = 1'000'000;  // 512 TiB.

// An error, or where `damage` is, a line of it.
absl::Status Note(const absl::Status& status, std::string_view path,
                  std::vector<std::string>* damage) {
  if (status.ok()) return status;
  if (damage == nullptr) return Annotate(status, path);
  damage->push_back(StrCat(path, ": ", Message(status)));
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckSegmentHeader(std::string_view segment) {
  if (segment.size() < kHeaderSize) {
    return DataLoss(segment.size(), " bytes are too few for a segment");
  }
  if (LoadBig<uint32_t>(segment.data()) != kMagic) return DataLoss("wrong magic number");
  const uint8_t version = static_cast<uint8_t>(segment[4]);
  if (version != kVersion) return DataLoss("unknown version ", version);
  return absl::OkStatus();
}

absl::Status ReadChunkAt(std::string_view segment, uint64_t offset, StoredChunk* chunk,
                         uint64_t* end) {
  if (offset < kHeaderSize || offset >= segment.size()) {
    return DataLoss("offset ", offset, " is outside of the segment of ", segment.size(), " bytes");
  }
  ByteReader reader(segment.substr(offset));
  uint64_t size;
  if (!reader.ReadUvarint(&size) || size == 0 || size > kChunkSizeMax) {
    return DataLoss("offset ", offset, ": malformed chunk length");
  }
  std::string_view body;
  uint32_t checksum;
  if (!reader.ReadBytes(static_cast<size_t>(size) + 1, &body) || !reader.ReadBig(&checksum)) {
    return DataLoss("offset ", offset, ": a chunk of ", size, " bytes goes beyond the segment");
  }
  if (end != nullptr) *end = offset + reader.offset();
  if (Crc32c(body) != checksum) return DataLoss("offset ", offset, ": chunk checksum mismatch");
  chunk->encoding = static_cast<chunkenc::Encoding>(body[0]);
  if (!chunkenc::IsKnown(chunk->encoding)) {
    return DataLoss("offset ", offset, ": unknown chunk encoding ", static_cast<uint8_t>(body[0]));
  }
  chunk->bytes = body.substr(1);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Reader>> Reader::Open(io::FileSystem* fs,
                                                     const std::string& directory,
                                                     std::vector<std::string>* damage) {
  NARTHEX_ASSIGN_OR_RETURN(std::vector<std::string> names, fs->List(directory));
  std::vector<uint64_t> numbers;
  for (const std::string& name : names) {
    uint64_t number;
    const bool digits =
        std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (name.size() >= 6 && digits && ParseUint64(name, &number)) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  std::unique_ptr<Reader> reader(new Reader());
  for (const uint64_t number : numbers) {
    if (number == 0 || number > kSegmentsMax) return DataLoss(directory, ": segment ", number);
    while (reader->files_.size() + 1 < number) {
      NARTHEX_RETURN_IF_ERROR(
          Note(DataLoss("segment ", SegmentFileName(static_cast<uint32_t>(reader->files_.size())),
                        " is missing"),
               directory, damage));
      reader->files_.push_back(nullptr);
    }
    const std::string path =
        io::JoinPath(directory, SegmentFileName(static_cast<uint32_t>(number - 1)));
    NARTHEX_ASSIGN_OR_RETURN(std::unique_ptr<io::MappedFile> file, fs->Map(path));
    NARTHEX_RETURN_IF_ERROR(Note(CheckSegmentHeader(file->bytes()), path, damage));
    reader->size_bytes_ += file->bytes().size();
    reader->files_.push_back(std::move(file));
  }
  return reader;
}

absl::Status Reader::Read(uint64_t reference, StoredChunk* chunk) const {
  const uint32_t segment = ReferenceSegment(reference);
  if (segment >= files_.size() || files_[segment] == nullptr) {
    return DataLoss("chunks: there is no segment ", SegmentFileName(segment));
  }
  const absl::Status status =
      ReadChunkAt(files_[segment]->bytes(), ReferenceOffset(reference), chunk);
  if (status.ok()) return status;
  return Annotate(status, StrCat("chunks: segment ", SegmentFileName(segment)));
}

}  // namespace narthex::chunks
