#include "services/storage/tsdb/head_chunks.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/coding.h"
#include "lib/base/crc32c.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

// A file: u32 magic, u8 version, 3 zeros, then records: u64 series, i64 min_time, i64 max_time, u8
// encoding (bit 7: out of order), uv length, chunk, u32 CRC-32C of all that. head_chunks.md.
namespace narthex::tsdb {
namespace {

constexpr uint32_t kMagic = 0x0130BC91;
constexpr uint8_t kVersion = 1;
constexpr uint8_t kOutOfOrderBit = 0x80;
constexpr size_t kFixedSize = 3 * sizeof(uint64_t) + 1;
constexpr size_t kChecksumSize = sizeof(uint32_t);
constexpr size_t kNameDigits = 6;

std::string FileName(uint32_t number) {
  std::string digits = StrCat(number);
  if (digits.size() < kNameDigits) digits.insert(0, kNameDigits - digits.size(), '0');
  return digits;
}

bool ParseFileName(std::string_view name, uint32_t* number) {
  uint64_t value;
  if (name.size() < kNameDigits || name[0] == '+' || !ParseUint64(name, &value)) return false;
  if (value == 0 || value > std::numeric_limits<uint32_t>::max()) return false;
  *number = static_cast<uint32_t>(value);
  return FileName(*number) == name;
}

uint32_t FileOf(ChunkPlace place) { return static_cast<uint32_t>(place >> 32); }
uint64_t OffsetOf(ChunkPlace place) { return place & 0xffffffff; }

bool AllZero(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == 0; });
}

}  // namespace

absl::Status CheckHeadChunksHeader(std::string_view file) {
  ByteReader reader(file);
  uint32_t magic;
  uint8_t version;
  std::string_view padding;
  if (!reader.ReadBig(&magic) || !reader.ReadByte(&version) || !reader.ReadBytes(3, &padding)) {
    return DataLoss("the file ends within its header");
  }
  if (magic != kMagic) return DataLoss("the file does not begin as one of head chunks");
  if (version != kVersion) return DataLoss("the version ", int{version}, " is not known");
  return absl::OkStatus();
}

absl::Status DecodeHeadChunk(std::string_view file, uint64_t offset, HeadChunk* chunk,
                             uint64_t* next, bool* torn) {
  *torn = false;
  *next = 0;
  if (offset >= file.size()) return absl::OkStatus();
  const std::string_view rest = file.substr(offset);
  ByteReader reader(rest);
  uint64_t min_time;
  uint64_t max_time;
  uint8_t encoding;
  uint64_t length;
  const bool fixed = reader.ReadBig(&chunk->reference) && reader.ReadBig(&min_time) &&
                     reader.ReadBig(&max_time) && reader.ReadByte(&encoding);
  // Prometheus makes files as long as they may get beforehand.
  if (!fixed ? AllZero(rest) : (chunk->reference == 0 && min_time == 0 && max_time == 0)) {
    return absl::OkStatus();
  }
  uint32_t checksum;
  if (!fixed || !reader.ReadUvarint(&length) || !reader.ReadBytes(length, &chunk->bytes) ||
      !reader.ReadBig(&checksum)) {
    *torn = true;
    return DataLoss("the file ends within a chunk");
  }
  const size_t size = reader.offset();
  if (Crc32c(rest.substr(0, size - kChecksumSize)) != checksum) {
    // A record that was cut off in a file of full length is followed by zeros only.
    *torn = size < rest.size() && AllZero(rest.substr(size - 1));
    return DataLoss("the checksum of a chunk does not match");
  }
  chunk->min_time = static_cast<Timestamp>(min_time);
  chunk->max_time = static_cast<Timestamp>(max_time);
  chunk->out_of_order = (encoding & kOutOfOrderBit) != 0;
  chunk->encoding = static_cast<chunkenc::Encoding>(encoding & ~kOutOfOrderBit);
  *next = offset + size;
  return absl::OkStatus();
}

HeadChunks::~HeadChunks() {
  if (temporary_) {
    fs_->RemoveAll(directory_).IgnoreError();
  } else {
    Flush().IgnoreError();
  }
}

std::string HeadChunks::PathOf(uint32_t number) const {
  return io::JoinPath(directory_, FileName(number));
}

HeadChunks::File* HeadChunks::FindLocked(uint32_t number) const {
  if (files_.empty() || number < files_.front()->number) return nullptr;
  const size_t index = number - files_.front()->number;
  return index < files_.size() ? files_[index].get() : nullptr;
}

// --- Loading ---

absl::StatusOr<HeadChunks::LoadResult> HeadChunks::Load(io::FileSystem* fs,
                                                        const std::string& directory,
                                                        const std::string& lost_directory,
                                                        const Visit& visit, ChunkPlace scan_from) {
  fs_ = fs;
  directory_ = directory;
  std::vector<std::string> names;
  if (fs->Exists(directory)) {
    NARTHEX_ASSIGN_OR_RETURN(names, fs->List(directory));
  }
  std::vector<uint32_t> numbers;
  for (const std::string& name : names) {
    uint32_t number;
    if (ParseFileName(name, &number)) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  LoadResult result;
  MutexLock lock(&mu_);
  if (!fs->Exists(directory)) {
    NARTHEX_RETURN_IF_ERROR(RepairLocked([this] { return fs_->CreateDirectories(directory_); }));
  }
  for (const uint32_t number : numbers) {
    next_number_ = number + 1;
    if (result.damage.ok() && !files_.empty() && number != files_.back()->number + 1) {
      result.damage = DataLoss("file ", FileName(files_.back()->number + 1), " is missing");
    }
    if (!result.damage.ok()) {
      ++result.files_lost;
      NARTHEX_RETURN_IF_ERROR(RepairLocked(
          [this, number, lost_directory] { return MoveAway(number, 0, lost_directory); }));
      continue;
    }
    auto file = std::make_unique<File>();
    file->number = number;
    bool torn = false;
    uint64_t good = 0;
    const uint64_t from = FileOf(scan_from) > number    ? std::numeric_limits<uint64_t>::max()
                          : FileOf(scan_from) == number ? OffsetOf(scan_from)
                                                        : 0;
    const absl::Status status = VisitFile(file.get(), visit, from, &result, &good, &torn);
    if (!status.ok() && status.code() != absl::StatusCode::kDataLoss) return status;
    file->size = file->written = good;
    file->mapping.reset();  // The pages that were looked through need not stay in memory.
    file->durable = false;  // Whoever wrote it may not have synced it.
    if (!status.ok()) {
      const bool last = number == numbers.back();
      if (!(torn && last)) {
        ++result.files_lost;
        result.damage = Annotate(status, StrCat(PathOf(number), ", offset ", good));
        NARTHEX_RETURN_IF_ERROR(RepairLocked([this, number, good, lost_directory] {
          return MoveAway(number, good, lost_directory);
        }));
      } else {
        NARTHEX_RETURN_IF_ERROR(
            RepairLocked([this, number, good] { return CutFile(number, good); }));
      }
    }
    if (good == 0) continue;
    ++result.files;
    files_.push_back(std::move(file));
  }
  // Numbers go on without a gap, which upstream would refuse.
  if (!files_.empty()) next_number_ = files_.back()->number + 1;
  cut_ = true;
  holding_ = scan_from > 0;
  RemoveUnheldLocked();
  return result;
}

absl::Status HeadChunks::StartEmpty(io::FileSystem* fs, const std::string& directory) {
  NARTHEX_RETURN_IF_ERROR(fs->RemoveAll(directory));
  NARTHEX_RETURN_IF_ERROR(fs->CreateDirectories(directory));
  fs_ = fs;
  directory_ = directory;
  temporary_ = true;
  return absl::OkStatus();
}

absl::Status HeadChunks::VisitFile(File* file, const Visit& visit, uint64_t scan_from,
                                   LoadResult* result, uint64_t* good, bool* torn) {
  NARTHEX_ASSIGN_OR_RETURN(std::unique_ptr<io::MappedFile> mapping, fs_->Map(PathOf(file->number)));
  file->mapping = std::move(mapping);
  const std::string_view bytes = file->mapping->bytes();
  // Without anything behind it a bad header is one that a crash has cut off.
  *torn = bytes.size() <= kHeadChunksHeaderSize || AllZero(bytes.substr(kHeadChunksHeaderSize));
  NARTHEX_RETURN_IF_ERROR(CheckHeadChunksHeader(bytes));
  *good = kHeadChunksHeaderSize;
  if (scan_from >= bytes.size()) {
    *good = bytes.size();
    return absl::OkStatus();
  }
  uint64_t offset = std::max<uint64_t>(scan_from, kHeadChunksHeaderSize);
  *good = offset;
  while (true) {
    HeadChunk chunk;
    uint64_t next;
    NARTHEX_RETURN_IF_ERROR(DecodeHeadChunk(bytes, offset, &chunk, &next, torn));
    if (next == 0) return absl::OkStatus();
    chunk.place = uint64_t{file->number} << 32 | offset;
    NARTHEX_ASSIGN_OR_RETURN(const bool wanted, visit(chunk));
    if (wanted) ++file->holders;
    ++result->chunks;
    result->bytes += chunk.bytes.size();
    *good = offset = next;
  }
}

absl::Status HeadChunks::MoveAway(uint32_t number, uint64_t keep_bytes,
                                  const std::string& lost_directory) const {
  NARTHEX_RETURN_IF_ERROR(fs_->CreateDirectories(lost_directory));
  const std::string lost = io::JoinPath(lost_directory, FileName(number));
  if (keep_bytes == 0) return fs_->Rename(PathOf(number), lost);
  NARTHEX_ASSIGN_OR_RETURN(const std::string bytes, fs_->ReadFile(PathOf(number)));
  NARTHEX_RETURN_IF_ERROR(fs_->WriteFileAtomically(lost, bytes));
  return CutFile(number, keep_bytes);
}

absl::Status HeadChunks::CutFile(uint32_t number, uint64_t keep_bytes) const {
  if (keep_bytes == 0) return fs_->Remove(PathOf(number));
  NARTHEX_ASSIGN_OR_RETURN(const std::unique_ptr<io::WritableFile> writer,
                           fs_->OpenAppend(PathOf(number)));
  return writer->Truncate(keep_bytes);
}

absl::Status HeadChunks::RepairLocked(std::function<absl::Status()> repair) {
  if (repairs_.empty()) {
    const absl::Status status = repair();
    if (!absl::IsResourceExhausted(status)) return status;
  }
  repairs_.push_back(std::move(repair));
  return absl::OkStatus();
}

// --- Writing ---

void HeadChunks::StartFileLocked() {
  auto file = std::make_unique<File>();
  file->number = next_number_++;
  files_.push_back(std::move(file));
  cut_ = false;
  char* const header = RoomLocked(files_.back().get(), kHeadChunksHeaderSize);
  std::memset(header, 0, kHeadChunksHeaderSize);
  StoreBig(reinterpret_cast<uint8_t*>(header), kMagic);
  header[sizeof kMagic] = static_cast<char>(kVersion);
}

char* HeadChunks::RoomLocked(File* file, size_t size) {
  if (file->buffers.empty() || file->buffers.back()->size + size > file->buffers.back()->capacity) {
    // Half a buffer at a time, so that what waits is no more than a whole one.
    file->buffers.push_back(
        std::make_shared<Buffer>(file->size, std::max(size, options_.buffer_bytes / 2)));
  }
  Buffer& buffer = *file->buffers.back();
  char* const room = buffer.bytes.get() + buffer.size;
  buffer.size += size;
  file->size += size;
  buffered_bytes_ += size;
  return room;
}

ChunkPlace HeadChunks::Append(const HeadChunk& chunk) {
  uint8_t length[kUvarintBytesMax];
  const size_t length_size = EncodeUvarint(length, chunk.bytes.size());
  const size_t size = kFixedSize + length_size + chunk.bytes.size() + kChecksumSize;
  MutexLock lock(&mu_);
  if (cut_ || files_.back()->size + size > options_.file_size_bytes) {
    StartFileLocked();
  }
  File* const file = files_.back().get();
  const uint64_t offset = file->size;
  char* const record = RoomLocked(file, size);
  uint8_t* out = reinterpret_cast<uint8_t*>(record);
  StoreBig(out, chunk.reference);
  StoreBig(out + 8, static_cast<uint64_t>(chunk.min_time));
  StoreBig(out + 16, static_cast<uint64_t>(chunk.max_time));
  out[24] = static_cast<uint8_t>(static_cast<uint8_t>(chunk.encoding) |
                                 (chunk.out_of_order ? kOutOfOrderBit : 0));
  out += kFixedSize;
  std::memcpy(out, length, length_size);
  out += length_size;
  std::memcpy(out, chunk.bytes.data(), chunk.bytes.size());
  out += chunk.bytes.size();
  const uint32_t checksum = Crc32c({record, size - kChecksumSize});
  StoreBig(out, chunk.damaged ? ~checksum : checksum);
  if (chunk.damaged) counters_.chunks_damaged.fetch_add(1, std::memory_order_relaxed);
  ++file->holders;
  return uint64_t{file->number} << 32 | offset;
}

absl::Status HeadChunks::WriteLocked(File* file) {
  const std::string path = PathOf(file->number);
  if (file->writer == nullptr) {
    if (file->written == 0) {
      NARTHEX_ASSIGN_OR_RETURN(file->writer, fs_->Create(path));
    } else {
      NARTHEX_ASSIGN_OR_RETURN(file->writer, fs_->OpenAppend(path));
      NARTHEX_RETURN_IF_ERROR(file->writer->Truncate(file->written));
    }
  }
  while (!file->buffers.empty()) {
    const Buffer& buffer = *file->buffers.front();
    NARTHEX_RETURN_IF_ERROR(file->writer->Append({buffer.bytes.get(), buffer.size}));
    file->written += buffer.size;
    file->durable = false;
    buffered_bytes_ -= buffer.size;
    counters_.bytes_written.fetch_add(buffer.size, std::memory_order_relaxed);
    file->buffers.pop_front();
  }
  return absl::OkStatus();
}

absl::Status HeadChunks::FlushLocked() {
  if (fs_ == nullptr) return absl::OkStatus();
  while (!repairs_.empty()) {
    NARTHEX_RETURN_IF_ERROR(Annotate(repairs_.front()(), "repair head chunks"));
    repairs_.erase(repairs_.begin());
  }
  for (const std::unique_ptr<File>& file : files_) {
    if (file->buffers.empty()) continue;
    const absl::Status status = WriteLocked(file.get());
    if (!status.ok()) {
      // Opened again next time, and cut to what is known to be whole.
      file->writer.reset();
      counters_.writes_failed.fetch_add(1, std::memory_order_relaxed);
      return Annotate(status, "write head chunks");
    }
    if (file != files_.back() && file->durable) file->writer.reset();
  }
  return absl::OkStatus();
}

absl::Status HeadChunks::Flush() {
  MutexLock lock(&mu_);
  return FlushLocked();
}

absl::Status HeadChunks::Sync() {
  MutexLock lock(&mu_);
  NARTHEX_RETURN_IF_ERROR(FlushLocked());
  if (fs_ == nullptr) return absl::OkStatus();
  bool synced = false;
  if (!directory_durable_) {
    NARTHEX_RETURN_IF_ERROR(fs_->SyncDirectory(std::string(io::DirName(directory_))));
    directory_durable_ = true;
  }
  for (const std::unique_ptr<File>& file : files_) {
    if (file->durable) continue;
    if (file->writer == nullptr) {
      NARTHEX_ASSIGN_OR_RETURN(file->writer, fs_->OpenAppend(PathOf(file->number)));
    }
    NARTHEX_RETURN_IF_ERROR(file->writer->Sync());
    file->durable = synced = true;
    if (file != files_.back()) file->writer.reset();
  }
  return synced ? fs_->SyncDirectory(directory_) : absl::OkStatus();
}

void HeadChunks::Unmap() {
  std::vector<std::shared_ptr<io::MappedFile>> mappings;  // Go after the lock.
  MutexLock lock(&mu_);
  for (const std::unique_ptr<File>& file : files_) {
    if (file->mapping == nullptr) continue;
    mappings.push_back(std::move(file->mapping));
    file->mapping = nullptr;
    file->mapped = 0;
  }
}

void HeadChunks::Cut() {
  MutexLock lock(&mu_);
  cut_ = true;
}

// --- Holding and reading ---

bool HeadChunks::Hold(ChunkPlace place) {
  MutexLock lock(&mu_);
  File* const file = FindLocked(FileOf(place));
  if (file == nullptr || OffsetOf(place) < kHeadChunksHeaderSize || OffsetOf(place) >= file->size) {
    return false;
  }
  ++file->holders;
  return true;
}

void HeadChunks::Release(std::span<const ChunkPlace> places) {
  MutexLock lock(&mu_);
  for (const ChunkPlace place : places) {
    File* const file = FindLocked(FileOf(place));
    NARTHEX_CHECK(file != nullptr && file->holders > 0);
    if (--file->holders == 0) RemoveUnheldLocked();
  }
}

void HeadChunks::AllHeld() {
  MutexLock lock(&mu_);
  holding_ = false;
  RemoveUnheldLocked();
}

void HeadChunks::RemoveUnheldLocked() {
  if (holding_) return;
  while (!files_.empty() && files_.front()->holders == 0) {
    File& file = *files_.front();
    if (files_.size() == 1) {
      // The next chunk starts another file; the number of this one must not come again.
      cut_ = true;
    }
    for (const std::shared_ptr<Buffer>& buffer : file.buffers) buffered_bytes_ -= buffer->size;
    file.writer.reset();
    // One that stays is found at the next start, with chunks that nobody wants.
    if (fs_ != nullptr && file.written > 0) fs_->Remove(PathOf(file.number)).IgnoreError();
    files_.pop_front();
  }
}

ChunkPlace HeadChunks::end() const {
  MutexLock lock(&mu_);
  if (files_.empty() || cut_) return uint64_t{next_number_} << 32;
  return uint64_t{files_.back()->number} << 32 | files_.back()->size;
}

absl::Status HeadChunks::PinLocked(File* file, uint64_t offset, ChunkPins* pins) const {
  ChunkPins::Pin pin;
  pin.file = file->number;
  if (offset >= file->written) {
    for (const std::shared_ptr<Buffer>& buffer : file->buffers) {
      if (offset >= buffer->begin + buffer->size) continue;
      pin.begin = buffer->begin;
      pin.end = buffer->begin + buffer->size;
      pin.bytes = buffer->bytes.get();
      pin.keep = buffer;
      pins->pins_.push_back(std::move(pin));
      return absl::OkStatus();
    }
    return Internal("no head chunk at offset ", offset, " of file ", file->number);
  }
  if (file->mapping == nullptr || file->mapped <= offset) {
    NARTHEX_ASSIGN_OR_RETURN(std::unique_ptr<io::MappedFile> mapping,
                             fs_->Map(PathOf(file->number)));
    file->mapping = std::move(mapping);
    // What lies behind is of a write that failed.
    file->mapped = std::min<uint64_t>(file->mapping->bytes().size(), file->written);
    if (file->mapped <= offset) {
      return DataLoss(PathOf(file->number), " ends at ", file->mapped, ", before a chunk");
    }
  }
  pin.end = file->mapped;
  pin.bytes = file->mapping->bytes().data();
  pin.keep = file->mapping;
  pins->pins_.push_back(std::move(pin));
  return absl::OkStatus();
}

absl::StatusOr<HeadChunk> HeadChunks::Read(ChunkPlace place, ChunkPins* pins) const {
  const uint32_t number = FileOf(place);
  const uint64_t offset = OffsetOf(place);
  const auto covers = [&](const ChunkPins::Pin& pin) {
    return pin.file == number && pin.begin <= offset && offset < pin.end;
  };
  auto pin = std::find_if(pins->pins_.begin(), pins->pins_.end(), covers);
  if (pin == pins->pins_.end()) {
    MutexLock lock(&mu_);
    File* const file = FindLocked(number);
    if (file == nullptr) return Internal("no file ", FileName(number), " of head chunks");
    NARTHEX_RETURN_IF_ERROR(PinLocked(file, offset, pins));
    pin = pins->pins_.end() - 1;
  }
  HeadChunk chunk;
  uint64_t next;
  bool torn;
  const absl::Status status = DecodeHeadChunk({pin->bytes, pin->end - pin->begin},
                                              offset - pin->begin, &chunk, &next, &torn);
  if (!status.ok() || next == 0) {
    return DataLoss(PathOf(number), ", offset ", offset, ": ",
                    status.ok() ? "there is no chunk" : Message(status));
  }
  chunk.place = place;
  return chunk;
}

size_t HeadChunks::memory_bytes() const {
  MutexLock lock(&mu_);
  size_t bytes = 0;
  for (const std::unique_ptr<File>& file : files_) {
    for (const std::shared_ptr<Buffer>& buffer : file->buffers) bytes += buffer->capacity;
  }
  return bytes;
}

uint64_t HeadChunks::disk_bytes() const {
  MutexLock lock(&mu_);
  uint64_t bytes = 0;
  for (const std::unique_ptr<File>& file : files_) bytes += file->written;
  return bytes;
}

}  // namespace narthex::tsdb
